"""Merges and aliases end where they grow without bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontend.files import ARCHITECTURE, PROBLEM, level, processed, with_attribute
from tqhw.errors import TqhwError

BASE = "b_ignore: &b {depth: 1, lst: [1, 2], mp: {x: 1}}\n"


def test_a_deep_merge_of_an_alias_that_is_used_twice(tmp_path: Path) -> None:
    text = BASE + with_attribute("one: {<<<: *b, lst: [0]}\n      two: {lst: [0], <<<: *b}\n      same: *b") + PROBLEM
    found = level(processed(tmp_path, a=text), "buf")
    assert found["one"] == {"depth": 1, "lst": [0], "mp": {"x": 1}}
    assert found["two"] == {"depth": 1, "lst": [0, 1, 2], "mp": {"x": 1}}
    assert found["same"] == {"depth": 1, "lst": [1, 2], "mp": {"x": 1}}


@pytest.mark.parametrize("value", ["[1, 2]", "5", "null", "{{ include('list.yaml', 'x') }}"])
def test_a_list_or_nothing_into_a_mapping(value: str, tmp_path: Path) -> None:
    text = with_attribute(f"m: {{a: 1, <<<: {value}}}") + PROBLEM
    with pytest.raises(TqhwError, match="a:16: <<<: a mapping is merged by <<<".replace("a:16", r"a\.yaml:16")):
        processed(tmp_path, "a.yaml", a=text, list="x: [1, 2]\n")


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"b{i}_ignore: &b{i} {{l: [1], <<<: [*b{i - 1}, *b{i - 1}]}}\n" for i in range(1, 30)),
        "".join(f"b{i}_ignore: &b{i} [*b{i - 1}, *b{i - 1}]\n" for i in range(1, 30)),
        "c_ignore: &c {{ include('long.yaml', 'x') }}\nd_ignore: [" + "*c, " * 20000 + "*c]\n",
        "c_ignore: &c {{ include('long.yaml', 'x') }}\nd_ignore: [" + "{<<<: {c: *c}}, " * 100 + "*c]\n",
    ],
)
def test_what_grows_without_bound(text: str, tmp_path: Path) -> None:
    start = "b0_ignore: &b0 {l: [1]}\n" + text
    long = "x: [" + "1, " * 20000 + "1]\n"
    with pytest.raises(TqhwError, match="more than 1000000 values"):
        processed(tmp_path, "a.yaml", a=start + ARCHITECTURE + PROBLEM, long=long)
