"""The front equals that of the enumeration of every mapping, point by point."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from tests.mapper.brute import all_costs, front_of_costs
from tests.mapper.custom import MACHINES, build
from tests.mapper.places import conv, machine
from tests.mapper.test_bandwidths import draw_throttled
from tests.mapper.test_clock import Stopwatch
from tests.mapper.test_properties import MOST, draw_case
from tests.mapper.test_solve import CASES
from tests.sampling import EVERY, some
from tqhw.engine import build_model
from tqhw.mapper.branch import incumbent
from tqhw.mapper.branch.front import Staircase, solve_front
from tqhw.mapper.branch.incumbent import Clock, leaf_batch
from tqhw.mapper.branch.stack import make_leaves
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.spec import ERT, Hardware, Problem

Front = list[tuple[float, int]]


def check_front(target: tuple[Hardware, ERT], problem: Problem, most: int = 200_000) -> Front | None:
    """The front, compared with the enumeration; None if there are more than ``most`` mappings."""
    hardware, ert = target
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    costs = all_costs(space, model, most)
    if costs is None:
        return None
    truth = front_of_costs(*costs)
    found = solve_front(space, model)
    if truth and truth[-1][0] < 0.0:  # `search` refuses what costs less than nothing
        assert min(stair.energy_pj for stair in found.stairs) < 0.0
        return truth
    assert found.proved
    assert found.tightness >= 1 - 1e-11  # no mapping that was priced lies below its bound
    assert [stair.cycles for stair in found.stairs] == [cycles for _, cycles in truth]
    assert [stair.energy_pj for stair in found.stairs] == pytest.approx([energy for energy, _ in truth], rel=1e-11)
    return truth


@pytest.mark.parametrize("architecture, objective, given", some(CASES))
def test_equals_enumeration(architecture, objective, given):
    assert check_front(machine(architecture), given if isinstance(given, Problem) else conv(**given))


@pytest.mark.parametrize("draw", [draw_case, draw_throttled])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("seed", some([10, 11]))
def test_equals_enumeration_on_drawn_machines(draw, nested, seed):
    r = random.Random(seed)
    sizes: list[int] = []
    while len(sizes) < 20:
        hardware, ert, problem, _ = draw(r, nested)
        front = check_front((hardware, ert), problem, MOST)
        if front is not None:
            sizes.append(len(front))
    assert max(sizes) > 1


@pytest.mark.parametrize("name", sorted(MACHINES.keys() - {"blocks"}))
def test_equals_enumeration_on_small_machines(name):
    assert check_front(build(MACHINES[name]), conv(M=4, P=3, R=2, C=2), 50_000)


class Hourglass(Stopwatch):
    """As many looks, and then no time for any of the clocks that are still to be started."""

    def perf_counter(self) -> float:
        return self.looks * 1e6 if math.isinf(super().perf_counter()) else 0.0


def test_a_stopped_search_tells_where_better_mappings_may_be(monkeypatch):
    """Wherever the clock stops it, no mapping of the true front lies outside of the region that is left open."""
    hardware, ert = machine("eyeriss_like")
    problem = conv(C=4, M=4, R=3, P=6)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    truth = solve_front(space, model)
    monkeypatch.setattr(incumbent, "time", Hourglass())
    stopped = set()
    for last in range(0, 10_000, EVERY):
        incumbent.time.reset(last)
        found = solve_front(space, model, Clock(1.0))
        stopped.add(round(found.share, 6))
        for stair in truth.stairs:
            assert stair.energy_pj >= found.least_pj * (1 - 1e-11)
            assert stair.cycles >= found.least_cycles
            below = [min(stair.energy_pj / one.energy_pj, stair.cycles / one.cycles) for one in found.stairs]
            assert max(below) >= found.share * (1 - 1e-11)
        if found.proved:
            break
    assert found.proved
    assert len(stopped) > 2
    assert [stair.cycles for stair in found.stairs] == [stair.cycles for stair in truth.stairs]


def test_a_point_replaces_those_that_it_dominates():
    hardware, ert = machine("two_level")
    problem = conv(C=2)
    stairs = Staircase(build_mapspace(problem, hardware), build_model(problem, hardware, ert))
    batch = leaf_batch(make_leaves(4, 2, 8), 0, 4, np.ones((2, 3), np.bool_))
    energies, cycles = np.array([10.0, 5.0, 10.0 * (1 - 1e-14), 4.0]), np.array([4.0, 9.0, 4.0, 9.0])
    stairs.offer(batch, energies, cycles, np.array([True, True, True, False]))
    assert [(one.energy_pj, one.cycles) for one in stairs.points] == [
        (10.0, 4.0),
        (5.0, 9.0),
    ]  # the first of equals
    stairs.offer(batch, np.array([5.0, 3.0, 11.0, 5.0]), np.array([8.0, 3.0, 3.0, 10.0]), np.ones(4, np.bool_))
    assert [(one.energy_pj, one.cycles) for one in stairs.points] == [(3.0, 3.0)]
