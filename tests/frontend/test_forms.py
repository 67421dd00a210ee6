"""Forms that the real front end takes or refuses (pytimeloop.timeloopfe.v4 was asked for each of them)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.frontend.files import ARCHITECTURE, PROBLEM, arch, level, processed, with_attribute
from tqhw.errors import TqhwError

MAC = "  - !Component\n    name: mac\n"
SRAM = "class: SRAM, attributes: {depth: 4, width: 8, datawidth: 8}"


def nodes(text: str) -> str:
    """The architecture with nodes before ``mac``."""
    return arch(**{MAC: text + MAC}) + PROBLEM


@pytest.mark.parametrize(
    "branch",
    ["!Hierarchical {}", "!Hierarchical {nodes: []}", "!Parallel {nodes: []}", "!Pipelined {ignore_this: 3}"],
)
def test_a_branch_of_nothing_is_nothing(branch: str, tmp_path: Path) -> None:
    if "Parallel" in branch:
        with pytest.raises(TqhwError, match="no branch of a !Parallel keeps A, B, Z"):
            processed(tmp_path, a=nodes(f"  - {branch}\n"))
        return
    found = processed(tmp_path, a=nodes(f"  - {branch}\n"))
    assert [one["name"] for one in found.levels] == ["DRAM[1..1]", "buf[1..1]", "mac[1..1]"]


def test_a_branch_of_nothing_is_not_what_computes(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match="the last node of an architecture must compute, found nothing"):
        processed(tmp_path, a=ARCHITECTURE + "  - !Hierarchical {nodes: []}\n" + PROBLEM)


def test_a_component_of_the_class_nothing_has_a_name_of_its_own(tmp_path: Path) -> None:
    text = "  - !Component {name: gap, class: nothing_here, attributes: {x: 1}}\n"
    assert len(processed(tmp_path, a=nodes(text)).levels) == 3


@pytest.mark.parametrize("tag", ["!Nothing", "!Hierarchical", "!Component"])
def test_a_tag_alone_is_no_node(tag: str, tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match=f"tag {tag} needs a mapping"):
        processed(tmp_path, a=nodes(f"  - {tag}\n"))


@pytest.mark.parametrize(("text", "found"), [("42", "42"), ("- 1", "a list of 1"), ("null", "nothing")])
def test_a_file_of_no_sections_says_what_it_is(text: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match=f"a file holds a mapping of sections, found {found}$"):
        processed(tmp_path, a=text)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("variables:", "'variables' is nothing, it must be a variables"),
        ("globals:", "'globals' is nothing, it must be a globals"),
        ("mapper:", "'mapper' is nothing, it must be a mapper"),
        ("constraints:", "'constraints' is nothing"),
        ("components:", "'components' is nothing"),
    ],
)
def test_a_section_without_anything_is_refused(section: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match=message) as refusal:
        processed(tmp_path, a=ARCHITECTURE + PROBLEM, x=f"{section}\n")
    assert str(tmp_path / "x.yaml") in str(refusal.value)


def test_a_value_that_holds_itself_is_refused(tmp_path: Path) -> None:
    text = "variables:\n  all: spec.variables\n"
    with pytest.raises(TqhwError, match=r"x.yaml:2: all: 'spec.variables' is a section that holds this value"):
        processed(tmp_path, a=ARCHITECTURE + PROBLEM, x=text)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("x: 2024-01-02", "2024-01-02"),
        ("x: !mine 5", "5"),
        ("x: !mine [1, 2]", [1, 2]),
        ("x: !mine {a: 1}", {"a": 1}),
        ("x: W8\n      W8: 5\n      y: W8", 8),
    ],
)
def test_values_that_a_file_can_hold(line: str, value: Any, tmp_path: Path) -> None:
    found = processed(tmp_path, a=with_attribute(line) + PROBLEM, v="variables: {W8: 8}\n")
    assert level(found, "buf")["x"] == value


def test_other_refusals(tmp_path: Path) -> None:
    for text, message in (
        ("%YAML 1.1\n---\n" + ARCHITECTURE, "a.yaml:1: YAML 1.1 is not read"),
        (arch(**{"    class: storage\n": "    class: storage\n    required_actions: [{a: 1}]\n"}), "actions are names"),
        (
            arch(**{"    class: storage\n": "    class: storage\n    constraints: {temporal: {permutation: null}}\n"}),
            "a permutation is a list or a text, found nothing",
        ),
    ):
        with pytest.raises(TqhwError, match=message):
            processed(tmp_path, a=text, p=PROBLEM)


def test_an_art_alone_leaves_the_version_of_the_ert_a_number(tmp_path: Path) -> None:
    text = "ART: {version: 0.4, tables: [{name: buf, area: 1.5}]}\n"
    found = processed(tmp_path, a=ARCHITECTURE + PROBLEM, x=text).as_json()
    assert found["ERT"] == {"version": 0.4, "tables": []}


def test_a_size_that_takes_for_ever_to_take_apart_is_refused(tmp_path: Path) -> None:
    mesh = f"    spatial: {{meshX: {10**19}}}\n    constraints: {{spatial: {{maximize_dims: [M]}}}}\n"
    text = arch(**{MAC: f"  - !Container\n    name: pes\n{mesh}{MAC}"})
    with pytest.raises(TqhwError, match="maximize_dims of a dimension of 1000000000000000003"):
        processed(tmp_path, a=text, p=PROBLEM.replace("M: 8", f"M: {10**18 + 3}"))


@pytest.mark.parametrize(
    ("kind", "key", "home"),
    [
        ("temporal", "no_link_transfer: [A]", "constraints of type spatial"),
        ("spatial", "rmw_first_update: [Z]", "constraints of type temporal"),
        ("temporal", "keep: [A]", "constraints of type dataspace"),
        ("dataspace", "no_reuse: [A]", "constraints of type spatial or constraints of type temporal"),
    ],
)
def test_a_key_of_another_constraint_is_told_its_home(kind: str, key: str, home: str, tmp_path: Path) -> None:
    text = f"  - !Component {{name: gap, {SRAM}, constraints: {{{kind}: {{{key}}}}}}}\n"
    with pytest.raises(TqhwError, match=rf"unknown key '{key.split(':')[0]}' \(it belongs to {home}; known: "):
        processed(tmp_path, a=nodes(text))
