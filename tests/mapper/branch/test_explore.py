"""Kernels of this module, called as Python."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.mapper.tables import Small, small
from tqhw.engine import run_batch
from tqhw.engine.jit import python
from tqhw.mapper.branch.explore import EXHAUSTED, FULL_STACK, PAUSED, explore, path_bound
from tqhw.mapper.branch.incumbent import Clock, leaf_batch
from tqhw.mapper.branch.solve import solve
from tqhw.mapper.branch.stack import make_stack

look = python(explore)


def planted(architecture: str, objective: str = "energy") -> Small:
    case = small(architecture, objective, C=4, M=2, P=4)
    case.search.sweep_below(math.inf, Clock(None))
    return case


@pytest.mark.parametrize(("architecture", "objective"), [("two_level_array", "energy"), ("eyeriss_like", "edp")])
def test_a_leaf_is_a_mapping_that_costs_at_least_its_bound(architecture: str, objective: str) -> None:
    case = planted(architecture, objective)
    state, found = look(case.search._tree(), math.inf, 8, 1000)
    assert state == PAUSED
    assert found == 8
    batch = leaf_batch(case.search.leaves, 0, found, case.search.prices.keep)
    assert (batch.temporal.prod(axis=1) * batch.spatial.prod(axis=1) == case.model.bounds).all()
    orders = np.sort(batch.temporal_order, axis=-1)
    assert (orders == np.arange(len(case.model.bounds))).all()
    counts = run_batch(case.model, batch)
    value = counts.energy_pj * (counts.cycles if objective == "edp" else 1)
    assert (counts.rule == 0).all()
    assert (value >= case.search.leaves.bound[:found] * (1 - 1e-12)).all()


def test_a_leaf_is_held_against_the_largest_bound_on_its_path() -> None:
    stack = make_stack(3, 2, 3, 8)
    stack.bound[:6] = 1.0, 9.0, 4.0, 2.0, 3.0, 8.0
    stack.next[:3] = 5, 3, 1  # rows 4, 2 and 0 are the path; the others wait, or are done with
    assert python(path_bound)(stack, 3) == 4.0


def test_below_its_optimum_a_space_is_exhausted_without_a_leaf() -> None:
    case = planted("two_level_array")
    best = solve(case.space, case.model, "energy").value
    assert look(case.search._tree(), best * (1 - 1e-9), 1, 10_000) == (EXHAUSTED, 0)
    assert look(case.search._tree(), math.inf, 1, 10_000) == (EXHAUSTED, 0)  # and stays so


def test_steps_are_counted_and_what_was_open_goes_on() -> None:
    once, often = planted("eyeriss_like"), planted("eyeriss_like")  # whose constraints leave no bypass free
    best = solve(once.space, once.model, "energy").value * (1 + 1e-9)
    whole = look(once.search._tree(), best, 100, 10_000)
    state, found = PAUSED, 0
    while state == PAUSED:
        state, more = look(often.search._tree(), best, 100, 1)
        found += more
    assert whole == (EXHAUSTED, found)
    assert found > 0
    assert often.search.stack.nodes[0] == once.search.stack.nodes[0]


def test_a_full_stack_is_told() -> None:
    case = planted("two_level_array")
    case.search.stack = make_stack(len(case.search.tables.level), len(case.search.tables.bounds), 3, room=2)
    assert look(case.search._tree(), math.inf, 1, 100) == (FULL_STACK, 0)
