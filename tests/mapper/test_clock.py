"""A search that the clock stops, wherever it does, says no more than it knows."""

from __future__ import annotations

import pytest

from tests.mapper.places import conv, machine
from tqhw.engine import build_model
from tqhw.mapper import pricing
from tqhw.mapper.mapspace import build_mapspace
from tqhw.mapper.solve import solve

PLACES = [
    ("eyeriss_like", "edp", conv(C=4, M=4, R=3, P=6)),
    ("two_level_array", "energy", conv(C=8, M=8, P=8, R=3)),
    ("simba_like", "edp", conv(C=8, M=8, P=4, R=3)),
    ("eyeriss_like_free", "energy", conv(C=3, P=4)),
]


@pytest.mark.parametrize("architecture, objective, problem", PLACES)
def test_stopped_at_any_look(architecture, objective, problem, monkeypatch):
    """The time is over at the n-th look at the clock, for every n up to the last."""
    hardware, ert = machine(architecture)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    truth = solve(space, model, objective)
    monkeypatch.setattr(pricing, "time", Stopwatch())
    stopped = 0
    for last in range(10_000):
        pricing.time.reset(last)
        found = solve(space, model, objective, budget_s=1.0)
        assert found.lower_bound <= truth.value * (1 + 1e-11)
        assert found.value >= truth.value * (1 - 1e-11)
        assert not found.proved or found.value == pytest.approx(truth.value, rel=1e-11)
        assert found.proved or found.lower_bound < found.value
        stopped += not found.proved
        if pricing.time.looks <= last:
            break
    assert found.proved
    assert stopped > 1


class Stopwatch:
    """A stand-in for the module ``time``: the budget is over after so many looks."""

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, last: int) -> None:
        self.last, self.looks = last, -1  # the first look starts the clock

    def perf_counter(self) -> float:
        self.looks += 1
        return float("inf") if self.looks > self.last else 0.0
