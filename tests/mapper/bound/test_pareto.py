"""Kernels of this module, called as Python."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from tests.mapper.bound.test_lookahead import of_ports
from tests.mapper.tables import small
from tqhw.mapper.bound.lookahead import look_from, objective_from
from tqhw.mapper.bound.measure import ENERGY
from tqhw.mapper.bound.outlook import COPIES, LEAK, MOST, STRICT, Outlook, look_at_pair, make_outlook
from tqhw.mapper.bound.pareto import ceiling, dominates, floor_around, insert
from tqhw.mapper.bound.partial_cost import GRID, HEAD, LINK, OPEN, SHUT, WIDTH, A, C, E, U, X, Y, fill_block
from tqhw.mapper.bound.relaxation import Relaxation
from tqhw.mapper.branch.incumbent import Clock
from tqhw.mapper.branch.sweeps import look_ahead
from tqhw.mapper.space.tiles import split_tile

COPIES_OUTSIDE = 4.0  # reduction units outside at most


def outlook(strict: bool = True, leak: float = 0.0, spaces: int = 2) -> Outlook:
    """What stands outside of a tile, with two kinds of loops of which each reuses one data space."""
    look = make_outlook(2, spaces)
    look.ahead[:] = 0.0
    for k in range(2):
        look.fill[k] = look.open[k] = np.where(np.arange(spaces) == k, 0.25, 1.0)
    look.units[:] = 0.5
    look.terms[:] = 0.0
    look.terms[[COPIES, MOST, LEAK, STRICT]] = COPIES_OUTSIDE, 1.0, leak, strict
    return look


def draw(rng: np.random.Generator, n: int, costs: int = 1) -> np.ndarray:
    """[n, costs, V] What is of the mapping and not of its cost is the same for all costs."""
    partials = np.stack([draw_of_one(rng, n) for _ in range(costs)], axis=1)
    partials[:, :, U:HEAD] = partials[:, :1, U:HEAD]
    return partials


def draw_of_one(rng: np.random.Generator, n: int) -> np.ndarray:
    partials = rng.integers(0, 4, (n, HEAD + 2 * WIDTH)).astype(float)
    partials[:, LINK] = np.where(rng.random(n) < 0.7, 0.0, partials[:, LINK])
    partials[:, U] += 1
    for r in range(2):  # elements that lie apart have a grid, and the others none
        partials[:, GRID + r] = np.where(partials[:, LINK + r] > 0.0, 1.0 + partials[:, GRID + r], 0.0)
    return partials


@pytest.mark.parametrize("look", [outlook(False), outlook(True), outlook(False, leak=1.0)])
def test_dominance_is_a_partial_order(look: Outlook) -> None:
    partials = draw(np.random.default_rng(0), 60)
    for p in partials:
        assert dominates(p, p, look, False)
        for q in partials[dominated(p, partials, look)]:
            assert dominated(q, partials, look).sum() <= dominated(p, partials, look).sum()


def dominated(p: np.ndarray, partials: np.ndarray, look: Outlook) -> np.ndarray:
    return np.array([dominates(p, q, look, False) for q in partials])


@pytest.mark.parametrize("leak", [0.0, 2.0])
def test_what_dominates_costs_no_more_in_any_context(leak: float) -> None:
    rng, look = np.random.default_rng(3), outlook(False, leak)
    partials = draw(rng, 200)
    pairs = [(p, q) for p in partials for q in partials if p is not q and dominates(p, q, look, False)]
    # Where it has more of something, it has less of another.
    assert any((p[0, HEAD:] > q[0, HEAD:]).any() for p, q in pairs)
    for p, q in pairs:
        for _ in range(20):
            k, first, leaks = rng.integers(2), rng.uniform(1.0, COPIES_OUTSIDE), rng.uniform(0.0, leak)
            shares = rng.uniform(look.fill[k], 1.0), rng.uniform(look.open[k], 1.0), rng.uniform(look.units, 1.0)
            cost = [
                x[C] - x[E] * first + leaks / x[U] + sum(x[HEAD + r :: WIDTH] @ shares[r] for r in (A, OPEN, SHUT))
                for (x,) in (p, q)
            ]
            assert cost[0] <= cost[1] + 1e-9


@pytest.mark.parametrize(
    ("field", "better"),
    [(C, -1), (E, 1), (HEAD + A, -1), (HEAD + OPEN, -1), (HEAD + SHUT, -1), (HEAD + X, 1), (U, 1)],
)
def test_one_is_better_in_a_field(field: int, better: int) -> None:
    p = np.full((1, HEAD + WIDTH), 2.0)
    p[0, LINK] = 0.0
    q = p.copy()
    p[0, field] += better
    look = outlook(True, spaces=1)
    assert dominates(p, q, look, False)
    assert not dominates(q, p, look, False)
    look = outlook(False, spaces=1)
    assert dominates(q, p, look, False) == (field == U)  # units that nothing depends on


@pytest.mark.parametrize(
    ("reach", "grid", "other_reach", "other_grid", "expected"),
    [
        (4, 2, 4, 2, True),
        (4, 2, 4, 4, True),
        (4, 4, 4, 2, False),
        (4, 1, 2, 2, True),
        (2, 1, 4, 2, False),
        (4, 2, 0, 0, True),
    ],
)
def test_links_that_serve_more_moves_are_no_worse(
    reach: int, grid: int, other_reach: int, other_grid: int, expected: bool
) -> None:
    p = np.full((1, HEAD + WIDTH), 2.0)
    q = p.copy()
    p[0, [LINK, GRID]], q[0, [LINK, GRID]] = (reach, grid), (other_reach, other_grid)
    assert dominates(p, q, outlook(spaces=1), False) == expected


def test_what_dominates_is_no_worse_in_any_cost() -> None:
    rng, look = np.random.default_rng(7), outlook()
    partials = draw(rng, 80, costs=2)
    dominating = 0
    for p in partials:
        for q in partials:
            in_each = [dominates(p[j : j + 1], q[j : j + 1], look, False) for j in range(2)]
            assert dominates(p, q, look, False) == all(in_each)
            dominating += any(in_each) and not all(in_each)
    assert dominating > 0  # in one of both


def test_only_contexts_below_the_limit_count() -> None:
    p = np.full((1, HEAD + 2 * WIDTH), 2.0)
    p[0, LINK] = 0.0
    q = p.copy()
    # 3 more of the traffic of the first data space, of which kind 0 leaves a quarter.
    p[0, HEAD + A], q[0, C] = 5.0, 3.5
    look = outlook(spaces=2)
    look.fill[0, 0] = look.open[0, 0] = 1.0
    look.fill[1, 0] = look.open[1, 0] = 0.0
    assert not dominates(p, q, look, True)
    look.alive[:] = False
    assert dominates(p, q, look, True)
    assert not dominates(p, q, look, False)
    look.ahead[:] = np.inf  # no mapping has such a loop there
    assert dominates(p, q, look, False)


@pytest.mark.parametrize("costs", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_a_front_holds_all_that_nothing_dominates(seed: int, costs: int) -> None:
    partials, look = draw(np.random.default_rng(seed), 80, costs), outlook()
    partials[:, :, [HEAD + X, HEAD + Y, HEAD + WIDTH + X, HEAD + WIDTH + Y]] = 1.0  # else it may hold better
    front, n = np.zeros((100, *partials.shape[1:])), 0
    for partial in partials:
        n = insert(front, n, partial, look)
    kept = front[:n]
    assert all(any(dominates(p, q, look, False) for p in kept) for q in partials)
    assert not any(dominates(p, q, look, False) for i, p in enumerate(kept) for j, q in enumerate(kept) if i != j)
    assert {p.tobytes() for p in kept} <= {p.tobytes() for p in partials}


@pytest.mark.parametrize("costs", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_a_full_front_is_merged_into_something_no_worse_than_any(seed: int, costs: int) -> None:
    partials, look = draw(np.random.default_rng(seed), 80, costs), outlook()
    front, n = np.zeros((4, *partials.shape[1:])), 0
    for partial in partials:
        n = insert(front, n, partial, look)
    assert n <= 4
    assert all(any(dominates(p, q, look, False) for p in front[:n]) for q in partials)


@pytest.mark.parametrize(("saved", "merged"), [(0.0, 0), (1.0, 1)])
def test_a_full_front_merges_what_is_nearest_over_all_costs_and_alike_in_all(saved: float, merged: int) -> None:
    """Of the first cost alone the second row is nearer, and what first visits save is alike."""
    front = np.zeros((2, 2, HEAD + 2 * WIDTH))
    front[:, :, U] = 1.0
    partial = front[0].copy()
    front[:, :, C], partial[:, C] = [[10.0, 0.0], [0.0, 10.0]], [4.0, 3.0]
    front[0, 1, E] = saved
    expected = front[:, :, C].copy()
    expected[merged] = np.minimum(expected[merged], partial[:, C])
    assert insert(front, 2, partial, outlook()) == 2
    assert (front[:, :, C] == expected).all()


def put_around(bound: Relaxation, q: int, t: int, inside: int) -> int:
    """Fills the work arrays for tile t around slot q and ``inside``; returns the loops, or -1 where none fit."""
    space, work = bound.space, bound.work
    if look_from(bound, q, t) == np.inf:
        return -1
    allowed = [space.allows[q, d, space.digits[t, d], space.digits[inside, d]] for d in range(len(space.bounds))]
    mask = split_tile(space, t, inside, work.tile, work.factors) if all(allowed) else -1
    work.above[:] = work.tile * work.factors
    work.most_gain[:] = np.inf
    fill_block(space, work.factors, work.block)
    return mask


@pytest.mark.parametrize("q", [0, 1, 2])
def test_an_inside_is_as_slow_as_its_slowest_port_with_the_best_kind_of_loops(q: int) -> None:
    """All ports together are what each is by itself, but for the kind: that is the same for all of them."""
    search = small("weight_stationary", "latency", C=4, M=4, P=4, R=3).search
    prices, rng = search.port_prices, np.random.default_rng(0)
    drawn = {name: rng.random(getattr(prices, name).shape) for name in ("parent_pj", "fill_pj", "first_pj", "cut_pj")}
    search.port_prices = prices._replace(**drawn)  # of no meaning: what is best for one is not for another
    search.sweep_below(math.inf, Clock(None))
    fronts, ports, tiles = search.ports.fronts, range(search.n_ports), range(len(search.tables.digits))
    bounds = [search._bound()._replace(**of_ports(search, some)) for some in (None, *([port] for port in ports))]
    together, *alone = (bound._replace(objective=ENERGY, lookahead=look_ahead(bound, Clock(None))) for bound in bounds)
    compared, other_kinds = 0, 0
    for t, inside in product(tiles, repeat=2):
        mask = put_around(together, q, t, inside)
        if mask < 0 or fronts.rows[q, inside] == 0 or any(put_around(one, q, t, inside) != mask for one in alone):
            continue
        partials = fronts.partials[fronts.start[q, inside]]
        if not search.tables.spatial[q]:  # of what slot and tile leave together
            for one in (together, *alone):
                look_at_pair(one.space, one.work.factors, one.work.tile, one.work.block, one.work.look)
            pair = [objective_from(alone[j], q, search.tables.n_kinds, partials[j : j + 1]) for j in ports]
            assert objective_from(together, q, search.tables.n_kinds, partials) == max(pair)
        inner = 0 if search.tables.spatial[q] else max(0, mask.bit_length() - 1)
        floor = floor_around(together, q, inner, mask > 0, partials, np.inf, np.inf)
        floors = [floor_around(alone[j], q, inner, mask > 0, partials[j : j + 1], np.inf, np.inf) for j in ports]
        if floor == np.inf:
            assert max(floors) == np.inf
            continue
        out = np.concatenate([one.work.partial for one in alone])
        assert (together.work.partial == out).all()
        kinds = [
            [objective_from(alone[j], q, k, out[j : j + 1]) for j in ports]
            for k in range(search.tables.n_kinds)
            if together.work.look.ahead[0, k] < np.inf
        ]
        assert floor == min(map(max, kinds))
        compared += 1
        other_kinds += floor > max(floors)
    assert compared > 10
    assert q < 2 or other_kinds > 0  # inside, what compute units ask for is most of all, whatever the kind


def test_a_ceiling_is_all_traffic_undivided_and_unknown_with_links() -> None:
    partial = np.zeros(HEAD + WIDTH)
    partial[C], partial[HEAD + A], partial[HEAD + OPEN], partial[HEAD + SHUT] = 1.0, 2.0, 4.0, 8.0
    assert ceiling(partial) == 15.0
    partial[LINK] = 1.0
    assert ceiling(partial) == np.inf
