"""Kernels of this module, called as Python."""

from __future__ import annotations

import numpy as np
import pytest

from tqhw.mapper.bound.outlook import COPIES, LEAK, MOST, STRICT, Outlook, make_outlook
from tqhw.mapper.bound.pareto import ceiling, dominates, insert
from tqhw.mapper.bound.partial_cost import GRID, HEAD, LINK, OPEN, SHUT, WIDTH, A, C, E, U, X, Y

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


def test_a_ceiling_is_all_traffic_undivided_and_unknown_with_links() -> None:
    partial = np.zeros(HEAD + WIDTH)
    partial[C], partial[HEAD + A], partial[HEAD + OPEN], partial[HEAD + SHUT] = 1.0, 2.0, 4.0, 8.0
    assert ceiling(partial) == 15.0
    partial[LINK] = 1.0
    assert ceiling(partial) == np.inf
