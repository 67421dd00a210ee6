from __future__ import annotations

import pytest

from tests.backends.cases import REFERENCE, reference_design
from tqhw.backends.timeloop.places import place_in

DESIGN = reference_design("two_level")
LINES = {component.name: component.place for component in DESIGN.architecture.components()}


@pytest.mark.parametrize(
    ("message", "component"),
    [
        ("ERROR: something about buffer is wrong", "buffer"),
        ("ParseError: missing key at architecture.nodes[1].DRAM.attributes", "DRAM"),
        ("Can not find an energy estimator for int_mac with action compute", "mac"),
        ('Failed to evaluate: 512; Location: arch attribute "rows"', "buffer"),
        ('Failed to evaluate: LPDDR4\nLocation: arch attribute "type"\nProblem', "DRAM"),
    ],
)
def test_the_line_that_is_meant(message: str, component: str) -> None:
    assert place_in(message, DESIGN) == LINES[component]
    assert LINES[component].startswith(f"{REFERENCE / 'arch' / 'two_level.yaml'}:")


@pytest.mark.parametrize(
    "message",
    [
        "Assertion `num_ports == 2' failed",
        "timeloop-mapper: src/model/buffer.cpp:398: Assertion `num_ports == 2' failed",
        'File "plug_in/mac.py", line 3',
        'Failed to evaluate: 7nm; Location: arch attribute "technology"',
    ],
)
def test_where_nothing_of_ours_is_named_there_is_the_file(message: str) -> None:
    assert place_in(message, DESIGN) == str(REFERENCE / "arch" / "two_level.yaml")
