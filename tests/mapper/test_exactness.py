"""A part of ``python -m benchmarks.exactness``, of seeds of its own."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.mapper import exactness
from tests.mapper.exactness import GENERATORS, compared, tallied
from tests.sampling import fewer
from tqhw.mapper.bound import prices

MACHINES, FIRST = fewer(12), 1_000_000


@pytest.mark.parametrize("name", GENERATORS)
def test_searches_equal_enumerations(name: str) -> None:
    tally = next(one for one in tallied(GENERATORS[name], name, FIRST) if one.machines == MACHINES)
    assert tally.wrong == []
    assert tally.cases == 4 * MACHINES
    assert tally.mappings > 10 * MACHINES


@pytest.mark.parametrize("seed", [336, 963, 1178])
def test_bounds_that_do_not_know_what_is_cut_off_are_told(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "words cut off"
    drawn = GENERATORS[name](random.Random(f"{name} {seed}"))
    known = compared(drawn)
    monkeypatch.setattr(prices, "cut_pj", lambda *_: 0.0)
    unknown = compared(drawn)
    assert known is not None
    assert unknown is not None
    assert (known[2], unknown[2]) == ([], ["bounds"])


def test_what_is_wrong_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A front that lacks its last point, and an optimum that is dearer than another mapping."""
    whole, best = exactness.solve_front, exactness.solve
    monkeypatch.setattr(exactness, "solve_front", lambda *a: _shorter(whole(*a)))
    monkeypatch.setattr(exactness, "solve", lambda *a: _dearer(best(*a)))
    r = random.Random(0)
    found = next(one for one in (compared(GENERATORS["drawn machines"](r)) for _ in range(99)) if one)
    assert found[2] == ["front", "edp"]


def _shorter(outcome):
    return replace(outcome, stairs=outcome.stairs[:-1])


def _dearer(outcome):
    return replace(outcome, value=outcome.value * 1.01 + 1.0)
