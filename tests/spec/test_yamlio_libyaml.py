"""Documents are the same, lines included, whether libyaml scans them or PyYAML does; so is every refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tqhw.errors import TqhwError
from tqhw.spec import yamlio

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(
    path for folder in ("mappings", "workloads", "experiments") for path in (ROOT / folder).rglob("*.yaml")
)

pytestmark = pytest.mark.skipif(yamlio._QuickLoader is None, reason="PyYAML comes without libyaml here")


def told(value: Any) -> object:
    """A document with all that it remembers of its text."""
    if isinstance(value, yamlio.Map):
        return value.tag, value.line, value.source, value.lines, [(key, told(item)) for key, item in value.items()]
    return [told(item) for item in value] if isinstance(value, list) else (type(value), repr(value))


def read(text: str) -> object:
    try:
        return told(yamlio.parse(text, "f.yaml"))
    except TqhwError as error:
        return str(error)


def both_ways(text: str) -> tuple[object, object]:
    """By PyYAML alone, and by libyaml where it is trusted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yamlio, "_QuickLoader", None)
        alone = read(text)
    return alone, read(text)


@pytest.mark.parametrize("folder", ["mappings", "workloads", "experiments"])
def test_what_we_ship_is_read_by_libyaml(folder: str) -> None:
    found = [path.read_text("utf-8") for path in SHIPPED if path.is_relative_to(ROOT / folder)][::7]
    assert found
    for text in found:
        plain, quick = both_ways(text)
        assert plain == quick
        assert yamlio._QUICK.fullmatch(f"{text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "{a: N?}",  # a plain text in libyaml, refused by PyYAML
        "!",  # an empty text in libyaml, nothing in PyYAML
        "- [a, !Component, b]",
        "|-#",
        "a:\t1",
        "a: >\n  b\n  c",
        "a: é",
        "%YAML 1.2\n---\na: 1",
        "# what? -> 100 % | !\na: !Component {b: 'c'}",
        "a: 1\na: 2",
        "a: [",
        "a: *b",
        "a: !Unknown {b: 1}",
        "&a [*a]",
        "a: 1\n---\nb: 2",
        "",
        "a: 0x",
        "a: 1e999",
        "a: 'b\n\n  c'",
        'a: "b\\x41\\\n  c"',
        "a: {<<: {b: 1}, c: 2}",
        "[" * 150 + "]" * 150,
        "[" * 100_000,
    ],
)
def test_what_they_might_take_for_different_things(text: str) -> None:
    plain, quick = both_ways(text)
    assert plain == quick


PIECES = (
    *(
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "&a ",
        "*a",
        "!Component ",
        "!",
        "|",
        ">",
        "'",
        '"',
        "\n",
        "\n  ",
        "#",
        " #",
    ),
    *("%", "---\n", "...\n", "? ", "<<: ", "\\n", "null", "1e5", "0x1F", "a", "b c", "-", "\t", "é"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_whatever_the_text(text: str) -> None:
    plain, quick = both_ways(text)
    assert plain == quick
