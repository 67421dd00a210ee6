"""The cycles from which on no mapping is below a limit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tqhw.mapper.bound.measure import FRONT, most_cycles, objective_of, stair_measure
from tqhw.objectives import Objective

NO_STAIRS = np.zeros((0, 2))


@pytest.mark.parametrize("powers", [(0, 1), (1, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize("limit", [0.5, 60.0, 1e7])
def test_as_many_cycles_at_the_least_energy_are_not_below_the_limit(powers: tuple[int, int], limit: float) -> None:
    code = Objective("one", *powers).code
    most = most_cycles(code, NO_STAIRS, limit, 5.0)
    cycles = math.ceil(most * (1.0 - 1e-9))  # the least whole number of them
    assert objective_of(code, 5.0, cycles) >= limit
    assert cycles == 1 or objective_of(code, 5.0, cycles - 1) < limit


def test_without_a_limit_or_a_cost_any_number_may_be() -> None:
    edp = Objective("edp", 1, 1).code
    assert most_cycles(edp, NO_STAIRS, math.inf, 5.0) == math.inf
    assert [most_cycles(edp, NO_STAIRS, 60.0, least_pj) for least_pj in (0.0, -1.0, -math.inf)] == [math.inf] * 3
    assert most_cycles(Objective("latency", 0, 1).code, NO_STAIRS, 60.0, 0.0) == pytest.approx(60.0, rel=1e-9)


def test_of_a_front_the_step_that_costs_no_more_says_it() -> None:
    stairs = np.array([[9.0, 10.0], [6.0, 20.0], [4.0, 50.0]])
    assert most_cycles(FRONT, stairs, 1.0, 4.0) == pytest.approx(50.0, rel=1e-9)
    assert most_cycles(FRONT, stairs, 1.0, 7.0) == pytest.approx(20.0, rel=1e-9)
    assert most_cycles(FRONT, stairs, 1.0, 3.9) == math.inf  # it may cost less than any step
    assert most_cycles(FRONT, stairs, 0.9, 3.9) == pytest.approx(45.0, rel=1e-9)
    for limit, least_pj in ((1.0, 4.0), (1.0, 7.0), (0.9, 3.9)):
        assert stair_measure(stairs, least_pj, most_cycles(FRONT, stairs, limit, least_pj)) >= limit


def test_what_may_cost_nothing_measures_nothing() -> None:
    """More may be cut off a bound than it is: its square is not above 0."""
    assert objective_of(Objective("e2d", 2, 1).code, -5.0, 3.0) == 0.0
    assert objective_of(Objective("energy", 1, 0).code, -5.0, 3.0) == -5.0  # outputs with holes
