"""Kernels of this module, called as Python."""

from __future__ import annotations

import numpy as np
import pytest

from tqhw.mapper.bound.pareto import ceiling, dominates, insert
from tqhw.mapper.bound.partial_cost import HEAD, LINK, OPEN, SHUT, WIDTH, A, C, E, U, X


def draw(rng: np.random.Generator, n: int) -> np.ndarray:
    partials = rng.integers(0, 4, (n, HEAD + 2 * WIDTH)).astype(float)
    partials[:, LINK] = np.where(rng.random(n) < 0.7, 0.0, partials[:, LINK])
    partials[:, U] += 1
    return partials


@pytest.mark.parametrize("spread", [False, True])
def test_dominance_is_a_partial_order(spread: bool) -> None:
    partials = draw(np.random.default_rng(0), 60)
    for p in partials:
        assert dominates(p, p, spread)
        for q in partials[dominated(p, partials, spread)]:
            assert dominated(q, partials, spread).sum() <= dominated(p, partials, spread).sum()


def dominated(p: np.ndarray, partials: np.ndarray, spread: bool) -> np.ndarray:
    return np.array([dominates(p, q, spread) for q in partials])


@pytest.mark.parametrize(
    ("field", "better"),
    [(C, -1), (E, 1), (HEAD + A, -1), (HEAD + OPEN, -1), (HEAD + SHUT, -1), (HEAD + X, 1), (U, 1)],
)
def test_one_is_better_in_a_field(field: int, better: int) -> None:
    p = np.full(HEAD + WIDTH, 2.0)
    p[LINK] = 0.0
    q = p.copy()
    p[field] += better
    assert dominates(p, q, True)
    assert not dominates(q, p, True)
    assert dominates(q, p, False) == (field == U)  # the units matter as long as others stand outside


@pytest.mark.parametrize("seed", range(5))
def test_a_front_holds_all_that_nothing_dominates(seed: int) -> None:
    partials = draw(np.random.default_rng(seed), 80)
    front, n = np.zeros((100, partials.shape[1])), 0
    for partial in partials:
        n = insert(front, n, partial, True)
    kept = front[:n]
    assert all(any(dominates(p, q, True) for p in kept) for q in partials)
    assert not any(dominates(p, q, True) for i, p in enumerate(kept) for j, q in enumerate(kept) if i != j)
    assert {tuple(p) for p in kept} <= {tuple(p) for p in partials}


@pytest.mark.parametrize("seed", range(5))
def test_a_full_front_is_merged_into_something_no_worse_than_any(seed: int) -> None:
    partials = draw(np.random.default_rng(seed), 80)
    front, n = np.zeros((4, partials.shape[1])), 0
    for partial in partials:
        n = insert(front, n, partial, True)
    assert n <= 4
    assert all(any(dominates(p, q, True) for p in front[:n]) for q in partials)


def test_a_ceiling_is_all_traffic_undivided_and_unknown_with_links() -> None:
    partial = np.zeros(HEAD + WIDTH)
    partial[C], partial[HEAD + A], partial[HEAD + OPEN], partial[HEAD + SHUT] = 1.0, 2.0, 4.0, 8.0
    assert ceiling(partial) == 15.0
    partial[LINK] = 1.0
    assert ceiling(partial) == np.inf
