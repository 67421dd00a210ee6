"""Machines on which contexts, links or a bound were once compared wrongly: each answer was called proved.

Fixed factors at the levels in between let the same loops stand at several places outside of one tile.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.mapper.brute import all_costs
from tests.mapper.custom import _MAC as MAC
from tests.mapper.custom import build, problem_of, shape
from tests.mapper.places import conv
from tests.mapper.test_solve import check
from tqhw.engine import Model, build_model
from tqhw.engine.evaluation import run_batch, statistics
from tqhw.mapper.bound.prices import build_prices, compulsory
from tqhw.mapper.branch.bypass_search import BypassSearch, Subproblem
from tqhw.mapper.branch.incumbent import Clock, Incumbent
from tqhw.mapper.branch.solve import solve
from tqhw.mapper.space.mapspace import Mapspace, build_mapspace
from tqhw.mapper.space.orders import build_orders
from tqhw.mapper.space.subspace import whole
from tqhw.objectives import Objective, objective_of
from tqhw.spec import ERT, make_problem

SPACES = ("Weights", "Inputs", "Outputs")


def level(name: str, keep: str, temporal: str, size: str = "") -> str:
    bypass = "" if keep == "all" else ", ".join(space for space in SPACES if space != keep)
    kept = ", ".join(SPACES) if keep == "all" else keep
    return (
        f"- !Component {{name: {name}, class: SRAM, attributes: {{datawidth: 8{size}}}, constraints: "
        f"{{dataspace: {{keep: [{kept}], bypass: [{bypass}]}}, temporal: {{{temporal}}}}}}}"
    )


def units(name: str, x: int, y: int, fixed: str) -> str:
    return (
        f"- !Container {{name: {name}, spatial: {{meshX: {x}, meshY: {y}}}, "
        f"constraints: {{spatial: {{factors: [{fixed}]}}}}}}"
    )


PRICES = {
    "DRAM": {"read": 100.0, "write": 110.0, "leak": 0.0},
    "Buffer": {"read": 10.0, "write": 10.0},
    "Buffer2": {"read": 7.0, "write": 9.0},
    "Buffer3": {"read": 1.0, "write": 1.0},
    "mac": {"compute": 1.0},
}

FILLS = {
    "DRAM": {"read": 0.0, "write": 0.0, "leak": 4.0},
    "Buffer": {"read": 0.0, "write": 0.0},
    "Buffer2": {"read": 0.0, "write": 1.0},
    "mac": {"compute": 0.0},
}

CASES = {
    # A longer run has fewer visits whose return is free.
    "runs": (
        (
            level("DRAM", "all", "factors: [R=1, P=1]"),
            level("Buffer", "Weights", "factors: [R=1, P=3, M>=2], permutation: [M, P]"),
            level("Buffer2", "Outputs", "factors: [R=2, M=1, P=1]"),
            level("Buffer3", "Inputs", "factors: [R=1, M=1, P=1]"),
            MAC,
        ),
        conv(M=4, R=2, P=3),
        {},
    ),
    # What stands behind the last sliding loop tells which returns links can serve.
    "behind": (
        (
            level("DRAM", "all", "factors: [R=1, P=1]"),
            level("Buffer", "Weights", "factors: [R=2, P=1, M=1, C=1]"),
            level("Buffer2", "Weights", "factors: [P=1, M=1, C=1, R=1]"),
            units("PE", 4, 1, "M=1, C=1, R=1"),
            level("Buffer3", "Inputs", "factors: [P=1, M=1, C=1, R=1]"),
            MAC,
        ),
        conv(M=2, C=2, R=2, P=4),
        {"DRAM": {"read": 100.0, "write": 1.0, "leak": 0.0}},
    ),
    # So do loops along another halo.
    "other_halo": (
        (
            level("DRAM", "all", "factors: [R=1, P=1, Q=1]"),
            level("Buffer", "Weights", "factors: [S=1, P=1, Q=1, C=1]"),
            level("Buffer2", "Weights", "factors: [P=1, C=1, R=1, S=1, Q=1]"),
            units("PE", 4, 4, "C=1, R=1, S=1"),
            level("Buffer3", "Inputs", "factors: [P=1, C=1, R=1, S=1, Q=1]"),
            MAC,
        ),
        conv(C=2, R=2, P=2, S=2, Q=2),
        {"DRAM": {"read": 100.0, "write": 1.0, "leak": 0.0}},
    ),
    # Equal sequences with a fan-out between them step differently.
    "steps": (
        (
            level("DRAM", "all", "factors: [R=1, P=1, M=8, C=8], permutation: [M, C]"),
            units("Row", 2, 1, "R=1, C=1, M=1"),
            level("Buffer", "Weights", "factors: [R<=2, P=3, M=1, C=1]"),
            units("PE", 2, 1, "M=1, C=1, R=1"),
            level("Buffer2", "Outputs", "factors: [P=1, M=1, C=1]"),
            level("Buffer3", "Inputs", "factors: [P=1]", ", entries: 8"),
            MAC,
        ),
        conv(M=8, C=8, R=6, P=6, Wstride=2),
        {
            "DRAM": {"read": 0.0, "write": 0.0, "leak": 0.0},
            "Buffer": {"read": 0.0, "write": 2.0},
            "Buffer2": {"read": 0.0, "write": 0.0},
            "Buffer3": {"read": 0.0, "write": 2.14},
            "mac": {"compute": 0.0},
        },
    ),
    # Of four elements one is not served over links, and the words over links are spread over 64 instances: a quarter
    # of the words is filled, where half of them was the bound.
    "fills": (
        (
            level("DRAM", "all", "factors: [K=1, P=1, R=1, T=1]"),
            units("Row", 16, 1, "K=16, P=1, R=1, T=1"),
            level("Buffer", "Weights", "factors: [K=1, P=1, R=1]"),
            units("PE", 4, 1, "K=1, T=1"),
            level("Buffer2", "Inputs", "factors: [K=1]"),
            MAC,
        ),
        problem_of("triple", (16, 2, 2, 12), (1, 2, 1)),
        FILLS,
    ),
    # 4.5 of 31 words per instance are not filled, and half a word is cut off besides.
    "cut": (
        (
            level("DRAM", "all", "factors: [M=1, R=1, P=2]"),
            units("Row", 12, 1, "M=12, R=1, P=1"),
            level("Buffer", "Weights", "factors: [M=1, R=3, P=1]"),
            units("PE", 2, 1, "M=1, R=1, P=2"),
            level("Buffer2", "Inputs", "factors: [M=1, R=3, P=3]"),
            MAC,
        ),
        conv(M=12, R=9, P=12),
        FILLS,
    ),
    # R steps by 2 and P returns by 2: what is left is a step of Q, to a neighbour.
    "cancelled": (
        (
            level("DRAM", "all", "permutation: [R, Q]"),
            units("PE", 4, 1, "R=1, P=1, Q=1"),
            level("Buffer", "Inputs", "factors: [R=1, Q=1, M=1]", ", entries: 1"),
            MAC,
        ),
        conv(M=2, R=2, S=2, P=2, Q=2, Wstride=2, Wdilation=2),
        {"DRAM": {"read": 100.0, "write": 0.0, "leak": 5.0}, "Buffer": {"read": 1.0, "write": 0.0}},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_enumeration(name):
    nodes, problem, prices = CASES[name]
    hardware, _ = build(nodes)
    assert check((hardware, ERT({**PRICES, **prices})), "energy", problem)


@pytest.mark.parametrize("bounds", [(1, 24, 2), (2, 4, 1), (1, 3, 1), (1, 6, 6)])
def test_words_of_a_diagonal_are_not_counted_twice(bounds):
    hardware, ert = build(("- !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}}", MAC))
    problem = problem_of("diagonal", bounds, (1, 2))
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    for objective in ("energy", "edp", "latency"):
        assert compulsory(space, model, objective) <= solve(space, model, objective).value


def test_links_along_a_third_halo_are_counted_on():
    """Frames of a volume slide as rows and columns do: a step of T passes from one of two frames to the other."""
    kernel, made = "[[[K]],[[R]],[[S]],[[T]]]", "[[[K]],[[P]],[[Q]],[[Z]]]"
    frames = "[[[P],[R]],[[Q,a],[S,a]],[[Z],[T]]]"
    volume = shape("volume", "KPQZRST", "a", Weights=kernel, Inputs=frames, Outputs=made)
    nodes = (
        level("DRAM", "all", "factors: [K=1, P=1, R=1], permutation: [T, Q, K, Z, P, R, S]"),
        units("Frames", 1, 3, ""),
        level("Buffer", "Inputs", "factors: [Q=1, Z=1, T=1]"),
        MAC,
    )
    hardware, _ = build(nodes)
    prices = {"DRAM": {"read": 100.0, "write": 0.0}, "Buffer": {"read": 0.0, "write": 1.0}, "mac": {"compute": 0.0}}
    problem = make_problem(volume, {"K": 2, "P": 2, "Q": 2, "Z": 4, "R": 2, "S": 2, "T": 3, "a": 2}, "volume")
    assert check((hardware, ERT({**PRICES, **prices})), "energy", problem)


@pytest.mark.parametrize(("stride", "reads"), [(1, 14 + 15 * 2), (2, 16 * 14)])
def test_links_reach_the_next_element_only(stride, reads):
    """Seven taps side by side: at stride 2 the word that one needs was with the next but one, which no link reaches."""
    nodes = (
        level("DRAM", "all", "factors: [C=1, M=1, R=1, P=1]"),
        level("Buffer", "Inputs", "factors: [C=1, M=1, R=1, P=16], permutation: [P]"),
        units("Row", 7, 1, "R=7, P=1, C=1, M=1"),
        level("Buffer2", "Inputs", "factors: [C=2, M=1, P=1, R=1]"),
        MAC,
    )
    hardware, _ = build(nodes)
    problem, ert = conv(C=2, M=1, R=7, P=16, Wstride=stride), ERT(PRICES)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    found = solve(space, model, "energy")
    stats = statistics(problem, hardware, model, found.batch, run_batch(model, found.batch, detail=True))
    assert stats.levels["Buffer"].dataspaces["Inputs"].reads == reads
    whole = found.value / found.tightness + build_prices(space, model, next(space.masks())).cut_pj
    assert (found.value < whole * (1.0 + 1e-9)) == (stride == 2)  # what links save is bounded only


def test_a_return_that_cancels_along_one_halo_moves_along_the_other():
    """R inside of Q inside of P: a step of P takes R back by as much as it leads, and Q to where the next tap was."""
    nodes = (
        level("DRAM", "all", "factors: [R=1, Q=1]"),
        level("Buffer", "Inputs", "permutation: [R, P, Q, S]"),
        units("Row", 2, 1, "R=1, P=1, Q=1"),
        MAC,
    )
    hardware, _ = build(nodes)
    prices = {"DRAM": {"read": 0.0, "write": 0.0}, "Buffer": {"read": 1.0, "write": 0.01}, "mac": {"compute": 0.0}}
    for objective in ("energy", "edp"):
        assert check((hardware, ERT({**PRICES, **prices})), objective, conv(R=2, S=2, P=2, Q=3))


LINE = shape(
    "line", "KCPR", "ab", Weights="[[[K]],[[C]],[[R]]]", Inputs="[[[C]],[[P,a],[R,b]]]", Outputs="[[[K]],[[P]]]"
)


@pytest.mark.parametrize("outside", [(2, 11), (3, 7), (2, 13), (4, 5)])
def test_orders_that_leave_as_many_elements_in_other_groups_fill_other_words(outside):
    """Two orders leave 20 elements in 6 of 8 places, as 2, 2, 4, 4, 4, 4 and 3, 3, 3, 3, 4, 4: fills are cut unlike."""
    p, r = outside
    nodes = (
        f"- !Component {{name: DRAM, class: DRAM, attributes: {{datawidth: 8}}, constraints: "
        f"{{temporal: {{factors: [K=1, C=1, P={p}, R={r}], permutation: [P, R]}}}}}}",
        units("PE", 12, 48, "K=4, C=2, P=3, R=2"),
        level("Buffer", "Inputs", "factors: [K=1, C=1, P=1, R=1]"),
        MAC,
    )
    hardware, _ = build(nodes)
    table = ERT(
        {"DRAM": dict.fromkeys(("read", "write"), 0.0), "Buffer": {"read": 0.0, "write": 1.0}, "mac": {"compute": 0.0}}
    )
    assert check((hardware, table), "energy", make_problem(LINE, {"K": 4, "C": 2, "P": 3 * p, "R": 2 * r}, "line"))


def cut_fills(bandwidth: str = "", outer: bool = False) -> tuple[Mapspace, Model]:
    """24 elements of a unit fill 4 words each; the sum of quotients ends just below. timeloop-model counts 3, too."""
    nodes = (
        "- !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}, constraints: "
        "{temporal: {factors: [R=1, S=1, P=1]}}}",
        *([level("Outer", "Weights", "factors: [R=1, S=1, P=1, Q=1]")] if outer else []),
        level("Buffer", "Inputs", "factors: [R=1, S=2, P=1]"),
        units("Row", 2, 1, "R=1, S=2, P=1"),
        "- !Container {name: Cell, spatial: {meshX: 12, meshY: 2}, constraints: "
        "{spatial: {factors: [R=2, S=2, P=2], permutation: [P, Q, R]}}}",
        level("Register", "Inputs", "factors: [R=1, S=1, P=1, Q=1]", bandwidth),
        MAC,
    )
    hardware, _ = build(nodes)
    free = dict.fromkeys(("read", "write"), 0.0)
    costs = {**dict.fromkeys(("DRAM", "Outer", "Buffer"), free), "Register": {"read": 0.0, "write": 1.0}}
    table = ERT({**costs, "mac": {"compute": 0.0}})
    problem = conv(R=2, S=8, P=2, Q=6, Hdilation=2)
    return build_mapspace(problem, hardware), build_model(problem, hardware, table)


@pytest.mark.parametrize("budget_s", [None, 1e6])
def test_fills_are_cut_to_whole_words_after_a_sum_of_quotients(budget_s):
    space, model = cut_fills()
    assert all_costs(space, model)[0].min() == 3 * 48
    found = solve(space, model, "energy", Clock(budget_s))
    assert (found.value, found.proved) == (3 * 48, True)
    assert found.tightness >= 1 - 1e-12


@pytest.mark.parametrize("budget_s", [None, 1e6])
@pytest.mark.parametrize("objective", ["latency", "edp", Objective("e2d", 2, 1)])
def test_cycles_of_a_port_are_cut_with_the_fills(objective, budget_s):
    """3 words at a hundredth of a word a cycle."""
    space, model = cut_fills(", write_bandwidth: 0.01")
    energy, cycles = all_costs(space, model)
    assert cycles.min() == 300
    found = solve(space, model, objective, Clock(budget_s))
    assert found.value == objective_of(objective).value(energy, cycles.astype(np.float64)).min()
    assert found.proved
    assert found.tightness >= 1 - 1e-12


@pytest.mark.parametrize(("objective", "limit"), [("energy", 150.0), ("latency", 310.0)])
def test_fronts_below_a_limit_keep_what_comes_there_by_a_cut(objective, limit):
    """Of 192 pJ, or 400 cycles, by the words; both are settled inside of the outermost memory but one."""
    space, model = cut_fills(", write_bandwidth: 0.01", outer=True)
    goal = objective_of(objective)
    subproblem = Subproblem.over(space, model, goal, build_orders(space, model), whole(space))
    (search,) = (BypassSearch(subproblem, mask) for mask in space.masks())
    search.bound_root(Clock(None), limit)
    assert search.lower_bound < limit
    search.sweep_below(limit, Clock(None))
    found = Incumbent(space, model, goal)
    search.search(found, limit, Clock(None))
    assert found.value < limit
