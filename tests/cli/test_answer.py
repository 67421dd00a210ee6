"""What ``tqhw map`` prints of an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_app import tqhw
from tests.cli.test_hardware import arguments
from tqhw.cli.answer import bound_text
from tqhw.objectives import OBJECTIVES, Objective


@pytest.mark.parametrize(
    ("objective", "bound", "text"),
    [
        (OBJECTIVES["energy"], 50424.18, "50,424.2 pJ"),
        (OBJECTIVES["edp"], 404190.0, "404,190.0 pJ cycles"),
        (Objective("ed2p", 1, 2), 12.0, "12.0 pJ cycles^2"),
        (OBJECTIVES["latency"], 25088.0, "25,088 cycles"),
        (OBJECTIVES["latency"], 25088.000000001, "25,088 cycles"),  # what sums of floats add
        (OBJECTIVES["latency"], 25087.2, "25,088 cycles"),
        (OBJECTIVES["latency"], 1e15, "1,000,000,000,000,000 cycles"),
    ],
)
def test_a_bound_has_the_unit_of_its_objective(objective: Objective, bound: float, text: str) -> None:
    assert bound_text(objective, bound) == text


def test_the_bound_of_a_proved_search_is_what_was_found(tmp_path: Path) -> None:
    for objective, unit in (("energy", "pJ"), ("latency", "cycles")):
        lines = tqhw(*arguments(tmp_path), "--objective", objective).stdout.splitlines()
        (bound,) = (line.removeprefix("lower_bound: ") for line in lines if line.startswith("lower_bound: "))
        (found,) = (line for line in lines if " pJ (leakage " in line)
        assert bound.endswith(f" {unit}") and f" {bound.partition(' ')[0]} " in f" {found}", (bound, found)
