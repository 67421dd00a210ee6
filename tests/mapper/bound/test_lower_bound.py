"""Kernels of this module, called as Python: figures by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.mapper.tables import Small, small
from tqhw.mapper.bound.lower_bound import NEVER, links_possible, most_served, throttled_cycles
from tqhw.mapper.bound.measure import objective_of
from tqhw.mapper.bound.outside import FIRST, USED, look_outside, share_of
from tqhw.mapper.bound.partial_cost import U
from tqhw.mapper.bound.relaxation import Ports
from tqhw.mapper.branch.incumbent import Clock
from tqhw.objectives import OBJECTIVES, Objective


def outside(case: Small, *loops: tuple[str, int, int]):
    """Temporal loops, innermost first: dimension, bound, step."""
    out = case.search.out
    for i, (name, bound, step) in enumerate(loops):
        out.dim[i], out.bound[i], out.step[i] = case.space.problem.shape.dimensions.index(name), bound, step
    look_outside(case.search.tables, 0, len(loops), out)
    return out


def test_temporal_reuse_is_the_product_of_loops_before_the_first_that_is_relevant() -> None:
    case = small("two_level", C=4, M=6, P=5)
    out = outside(case, ("M", 3, 1), ("P", 5, 1), ("C", 4, 1))
    reuse = dict(zip(case.space.problem.shape.data_space_names, out.reuse.tolist(), strict=True))
    assert reuse == {"Weights": 1.0, "Inputs": 3.0, "Outputs": 1.0}
    assert [share_of(out, s, 0.0) for s in range(3)] == [1 / r for r in out.reuse]


@pytest.mark.parametrize(
    ("loops", "full", "slide"),
    [
        # P slides 4 times of 5, and every return fetches all.
        ([("P", 5, 1)], 1 / 5, 4 / 5),
        ([("P", 5, 1), ("C", 4, 1)], 1 / 5, 4 / 5),
        # R inside P: the return of P moves by a step of P less one of R. By 3 - 1: neither 0 nor R's own step.
        ([("R", 3, 1), ("P", 2, 3)], 1 / 3, 2 / 3),
        # By 2 - 1, R's own step: it slides.
        ([("R", 3, 1), ("P", 2, 2)], 1 / 3 - 0.5 / 3, 2 / 3 + 0.5 / 3),
        # By 1 - 1: it fetches nothing.
        ([("R", 3, 1), ("P", 2, 1)], 1 / 3 - 0.5 / 3, 2 / 3),
    ],
)
def test_shares_of_full_and_of_sliding_visits(loops, full: float, slide: float) -> None:
    case = small("two_level", C=4, P=10, R=3)
    out = outside(case, *loops)
    inputs = case.space.problem.shape.data_space_names.index("Inputs")
    assert out.full[inputs] == pytest.approx(full)
    assert out.slide[inputs] == pytest.approx(slide)
    # A tile of 4 words that moves by one fetches a quarter of itself per step.
    assert share_of(out, inputs, 4.0) == pytest.approx(full + slide / 4)


@pytest.mark.parametrize(
    ("loops", "moves"),
    [
        ([("P", 5, 1)], [(1, 0)]),
        # The return of P takes back the step of R inside of it: by 3 - 1 words.
        ([("R", 3, 1), ("P", 2, 3)], [(1, 0), (2, 0)]),
        # A loop along the other halo takes it back, too, and moves by its own step.
        ([("P", 2, 2), ("S", 3, 1)], [(2, 0), (2, 1)]),
        # M moves no input, but what is inside of it falls back; from C on nothing stays within a unit.
        ([("P", 2, 2), ("S", 3, 1), ("M", 3, 1), ("C", 2, 1), ("Q", 2, 1)], [(2, 0), (2, 1), (2, 1)]),
    ],
)
def test_moves_are_steps_less_what_falls_back(loops, moves: list[tuple[int, int]]) -> None:
    case = small("two_level", C=4, M=6, P=10, Q=4, R=3, S=3)
    out = outside(case, *loops)
    s = case.space.problem.shape.data_space_names.index("Inputs")
    found = out.moves[s, : out.n_moves[s]].tolist()
    across = case.search.tables.rank[s, case.space.problem.shape.dimensions.index("P")]
    assert [tuple(move[:: 1 if across == 0 else -1]) for move in found] == moves
    for reach in range(4):
        possible = any(max(move) <= reach for move in moves)
        assert links_possible(case.search.tables, out, s, float(reach), float(reach)) == possible
        # A unit without elements along the second halo hands on nothing that moves there.
        reaches = [float(reach), 0.0][:: 1 if across == 0 else -1]
        possible = any(move[0] <= reach and move[1] == 0 for move in moves)
        assert links_possible(case.search.tables, out, s, *reaches) == possible
    if across == 0:  # what counts on moves along the first halo is not served by those along the second alone
        for least in (1.0, 2.0):
            possible = any(least <= move[0] <= 2 and move[1] <= 1 for move in moves)
            assert links_possible(case.search.tables, out, s, 2.0, 1.0, 1.0, 1.0, least) == possible


def sizes(case: Small, **given: int) -> np.ndarray:
    return np.array([given.get(d, 1) for d in case.space.problem.shape.dimensions], np.int64)


def test_links_save_what_the_best_of_all_moves_leads_to() -> None:
    """A unit over R = 3: a step of one word leads from two of three places to another, one of three from none."""
    case = small("two_level_array", C=2, P=12, R=3)
    s = case.space.problem.shape.data_space_names.index("Inputs")
    unit, tile = sizes(case, R=3), sizes(case)
    for loops, share in (
        ([("P", 2, 1)], 2 / 3),
        ([("P", 2, 2)], 1 / 3),
        ([("P", 2, 3)], 0.0),
        ([("P", 2, 3), ("P", 2, 6)], 0.0),
        ([("P", 3, 2), ("P", 2, 3)], 2 / 3),  # the second one moves by 3 - 2
        ([("P", 2, 3), ("C", 2, 1), ("P", 2, 1)], 0.0),  # another channel is another word
    ):
        assert most_served(case.search.tables, s, unit, tile, outside(case, *loops)) == pytest.approx(share)


def test_a_visit_that_moves_nothing_leaves_nothing_to_pass_on() -> None:
    case = small("two_level", C=4, M=6, P=10, R=3)
    s = case.space.problem.shape.data_space_names.index("Inputs")
    for loops, possible in (([("P", 5, 1)], True), ([("M", 3, 1), ("P", 5, 1)], False), ([("C", 2, 1)], False)):
        assert links_possible(case.search.tables, outside(case, *loops), s, 9.0, 9.0) == possible


def test_cycles_are_whole() -> None:
    code = OBJECTIVES["edp"].code
    assert objective_of(code, 2.0, 10.25) == 22.0
    assert objective_of(code, 2.0, 11.0 * (1 + 1e-14)) == 22.0  # a sum in another order


@pytest.mark.parametrize("objective", [*OBJECTIVES.values(), Objective("ed2p", 1, 2), Objective("e3", 3, 0)])
def test_the_kernels_value_is_that_of_the_objective(objective: Objective) -> None:
    assert objective_of(objective.code, 3.7, 11.0) == objective.value(3.7, 11.0)


def test_a_context_takes_as_long_as_its_slowest_port_with_the_best_inside() -> None:
    case = small("weight_stationary", "latency", C=4, M=4, P=4, R=3)
    search, out = case.search, case.search.out
    n_ports = search.n_ports
    cut_pj = 0.25 * np.arange(1, n_ports + 1)  # of every port another
    search.port_prices = search.port_prices._replace(cut_pj=cut_pj)
    search.sweep_below(math.inf, Clock(None))
    out.totals[[FIRST, USED]] = 1.0
    bound, fronts = search._bound(), search.ports.fronts
    q, t = np.argwhere(fronts.rows > 1)[0].tolist()
    rows = fronts.partials[fronts.start[q, t] :][: fronts.rows[q, t]]

    def taken(partials: np.ndarray, cut_pj: np.ndarray, throttled: np.ndarray) -> float:
        one = fronts._replace(start=0 * fronts.start, rows=0 * fronts.rows + len(partials), partials=partials)
        ports = Ports(bound.ports.prices._replace(cut_pj=cut_pj), one, partials[:1])
        context = out._replace(throttled=throttled)
        return throttled_cycles(bound._replace(ports=ports, least_cycles=0.0), q, t, context)

    slowest = set()
    for port in range(n_ports):
        throttled = np.where(np.arange(n_ports) == port, 100.0, 1.0)
        each = [[taken(row[None, [j]], cut_pj[[j]], throttled[[j]]) for j in range(n_ports)] for row in rows]
        assert taken(rows, cut_pj, throttled) == min(map(max, each))
        slowest |= {int(np.argmax(of_row)) for of_row in each}
    assert len(slowest) == n_ports
    none = np.zeros_like(rows)
    none[:, :, U] = 1.0
    assert taken(none, cut_pj, np.zeros(n_ports)) == bound.space.computes  # of one unit
    assert taken(rows[:0], cut_pj, np.zeros(n_ports)) == NEVER
