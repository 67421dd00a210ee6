"""The seconds of a search are the same on a machine that has never compiled a kernel as on any other."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.mapper.places import conv, machine
from tqhw.engine import stopwatch
from tqhw.engine.stopwatch import compiling
from tqhw.mapper import search
from tqhw.mapper.branch import front, incumbent, solve
from tqhw.mapper.branch.incumbent import OutOfTimeError
from tqhw.mapper.branch.uneven import part_for

HOUR_S = 3600.0


class Clock:
    """The clock, and what is added to it."""

    ahead = 0.0

    def perf_counter(self) -> float:
        return time.perf_counter() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(stopwatch, "time", found)
    monkeypatch.setattr(incumbent, "time", found)
    return found


@pytest.mark.parametrize("way", ["perfect", "imperfect", "padded"])
@pytest.mark.parametrize("objective", ["energy", "energy,latency"])
def test_an_hour_of_compiling_is_not_searching(
    objective: str, way: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_orders = solve.build_orders

    def compiles(*arguments: Any) -> Any:
        with compiling():
            clock.ahead += HOUR_S
        return build_orders(*arguments)

    for module in (solve, front):
        monkeypatch.setattr(module, "build_orders", compiles)
    hardware, ert = machine("two_level_array")
    found = search(conv(C=3, M=5, P=4), hardware, ert, objective, way=way)
    assert clock.ahead >= HOUR_S
    assert 0.0 < found.seconds < HOUR_S


def test_a_budget_is_not_shared_with_the_compiler(clock: Clock) -> None:
    budget = incumbent.Clock(20.0)
    with compiling():
        clock.ahead += HOUR_S
    assert 9.0 < (part_for(budget, 2, 4).budget_s or 0.0) <= 10.0
    clock.ahead += 10.0
    part = part_for(budget, 2, 4)
    assert 4.0 < (part.budget_s or 0.0) <= 5.0
    part.armed = True
    with compiling():
        clock.ahead += HOUR_S
    part.check()
    clock.ahead += 5.0
    with pytest.raises(OutOfTimeError):
        part.check()
