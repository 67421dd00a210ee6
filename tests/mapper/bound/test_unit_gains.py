"""What lies between mesh neighbours, against elements that are laid out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, permutations, product

import numpy as np
import pytest

from tests.mapper.custom import MACHINES, build, problem_of
from tests.mapper.tables import small
from tqhw.engine import build_model
from tqhw.mapper.bound.unit_gains import richest_along, share_along_all, unit_hop
from tqhw.mapper.branch.bypass_search import Subproblem
from tqhw.mapper.space.arrays import build_space
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.mapper.space.orders import build_orders
from tqhw.mapper.space.subspace import whole
from tqhw.objectives import objective_of

DIMS = "MGSQ"  # irrelevant to Inputs, of a rank without a halo, and two of a halo


def farthest(factors: dict[str, int], tile: dict[str, int], stride: int) -> int:
    """The words along the halo between elements side by side in a row that agree in G, at most, over all orders."""
    step = {"S": tile["S"], "Q": tile["Q"] * stride}
    most = 0
    for order in permutations(DIMS):
        elements = [
            dict(zip(order, at[::-1], strict=True)) for at in product(*(range(factors[d]) for d in order[::-1]))
        ]
        for one, next_one in pairwise(elements):
            if one["G"] == next_one["G"]:
                most = max(most, abs(sum((next_one[d] - one[d]) * step[d] for d in "SQ")))
    return most


def hop(factors: dict[str, int], tile: dict[str, int], stride: int = 1, strict: bool = True) -> float:
    """Of the halo of Inputs, for a unit on a row that is wide enough."""
    case = small("two_level_array", M=2, G=2, S=6, Q=4, Hstride=stride)
    shape, tables = case.space.problem.shape, case.search.tables
    arrays = [np.array([given.get(d, 1) for d in shape.dimensions], np.int64) for given in (factors, tile)]
    wide = tables._replace(fanout=np.full_like(tables.fanout, 64), strict_links=strict)
    s, q = shape.data_space_names.index("Inputs"), int(tables.spatial.argmax())
    return float(unit_hop(wide, q, s, int(tables.rank[s].max()), *arrays))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("units", [*product((1, 2), (1, 2), (2, 3), (1, 2))])
def test_neighbours_lie_no_farther_apart(units: tuple[int, ...], stride: int) -> None:
    factors, tile = dict(zip(DIMS, units, strict=True)), {**dict.fromkeys(DIMS, 1), "S": 2}
    assert hop(factors, tile, stride) == farthest(factors, tile, stride)


def test_a_dimension_of_no_halo_is_left_out_where_links_are_strict() -> None:
    unit = {"G": 2, "S": 3}
    assert [hop(unit, {}, strict=strict) for strict in (True, False)] == [1.0, 2.0]


def test_links_are_strict_where_cycles_count_or_the_clock_and_nothing_has_remainders() -> None:
    objectives = ("energy", "latency", "edp")
    assert [small("two_level_array", name, S=3, Q=2).search.tables.strict_links for name in objectives] == [
        False,
        True,
        True,
    ]
    case = small("two_level_array", "latency", S=3, Q=2)
    orders, lists = build_orders(case.space, case.model), whole(case.space)
    quick = Subproblem.over(case.space, case.model, objective_of("energy"), orders, lists, hurried=True)
    assert quick.tables.strict_links
    uneven = replace(case.space, actual=tuple(case.space.problem.bounds.values()))
    assert not build_space(uneven, case.model, whole(uneven)).strict_links


def test_what_is_remembered_of_a_unit_is_what_would_be_worked_out_anew() -> None:
    case = small("weight_stationary", P=12, R=6, Q=4, S=3, Hstride=2)
    tables, dims = case.search.tables, case.space.problem.shape.dimensions
    s, q = case.space.problem.shape.data_space_names.index("Inputs"), int(tables.spatial.argmax())
    units = [*product((1, 2, 3, 4, 6, 12), (1, 2, 3, 6), (1, 2, 4), (1, 2, 3))]

    def richest(known_rows: np.ndarray, unit: tuple[int, ...]) -> list[float]:
        factors, tile = np.ones(len(dims), np.int64), np.ones(len(dims), np.int64)
        factors[[dims.index(d) for d in "PRQS"]] = unit
        shared, most_shared = share_along_all(tables, s, factors, tile)
        known = tables._replace(known=known_rows)
        return [richest_along(known, q, s, r, factors, tile, factors * tile, shared, most_shared) for r in (0, 1)]

    room, crowded = np.zeros((4096, 9)), np.zeros((1, 9))
    anew = [richest(np.zeros((1, 9)), unit) for unit in units]
    assert len({tuple(one) for one in anew}) > 10
    assert [richest(crowded, unit) for unit in units] == anew
    assert [richest(room, unit) for unit in (*units, *reversed(units))] == [*anew, *reversed(anew)]
    assert (room[:, 8] > 0.0).sum() > 4


def test_what_is_known_of_two_dimensions_is_not_taken_for_three() -> None:
    """R and T in a unit, and P, R and T: the same steps of the last two, the same reach, the same loop outside."""
    hardware, ert = build(MACHINES["line"])
    problem = problem_of("triple", (1, 8, 4, 2), (1, 1, 1))
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    names, s = problem.shape.dimensions, problem.shape.data_space_names.index("Inputs")

    def iterations(**given: int) -> np.ndarray:
        return np.array([given.get(name, 1) for name in names])

    pair = iterations(R=2, T=2), iterations(P=2, R=2), iterations(P=2, R=4, T=2)
    three = iterations(P=2, R=2, T=2), iterations(R=2), iterations(P=2, R=4, T=2)
    found = []
    for units in ([three], [pair, three]):
        tables = build_space(space, model, whole(space))
        tables = tables._replace(fanout=np.full_like(tables.fanout, 64))
        q = int(tables.spatial.argmax())
        for factors, tile, above in units:
            shared = share_along_all(tables, s, factors, tile)
            last = richest_along(tables, q, s, 0, factors, tile, above, *shared)
        found.append(last)
    assert found == [4.0, 4.0]
