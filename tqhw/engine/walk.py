"""How many words a level fetches: the walk over the loops above its boundary (reference section 5.3).

Timeloop walks the nest, executes iterations 0 and 1 of every temporal loop, and compares each move of a tile with
the last non-zero one: the overlap with the previous tile is exploited only if the move repeats. Consecutive visits
differ by the loop j that advanced: move_j = step_j minus the steps of the loops inside it, which fall back.

The 2^k visits collapse to an automaton. Let ``a`` be the first non-zero move, counted outwards. The sub-walk of any
loop further out ends with a visit by ``a``, so the remembered move before a visit is one of three:

* NONE, nothing is remembered: the overlap counts, the move is remembered;
* SAME, ``a`` is remembered: the overlap counts for ``a``, any other move fetches the whole tile and forgets;
* OTHER, something else: only directly after a visit further out; the next visit is by ``a`` and fetches all.

So the sums of the sub-walk of loop j follow from those of loop j - 1, for the three states at its entry.
"""

from __future__ import annotations

import numpy as np

from tqhw.engine.jit import jit
from tqhw.engine.model import Ints, Model
from tqhw.engine.nest import Nest, box_words, rank_extent

NONE, SAME, OTHER = range(3)


@jit
def moves_above(model: Model, s: int, nest: Nest, level: int, moves: Ints, extents: Ints) -> tuple[int, int]:
    """Moves of the tile of ``level`` for every temporal loop above it, and its extent along every rank.

    Writes ``moves[j, r]`` for the j-th loop above the boundary; returns (number of loops, first loop that moves).
    """
    start = nest.t_end[level + 1]
    n_loops = nest.t_end[nest.t_end.shape[0] - 1] - start
    first = n_loops
    for r in range(model.ranks[s]):
        extents[r] = rank_extent(model, s, r, nest.extent, level)
        fallen = 0
        for j in range(n_loops):
            step = model.coefficients[s, r, nest.t_dim[start + j]] * nest.t_step[start + j]
            moves[j, r] = step - fallen
            fallen += step
            if moves[j, r] != 0 and j < first:
                first = j
    return n_loops, first


@jit
def new_words(n_ranks: int, extents: Ints, moves: Ints, j: int) -> int:
    """Words of a box that are not in the same box before it moved by ``moves[j]``: |B| - |B and (B - move)|."""
    words = 1
    overlap = 1
    for r in range(n_ranks):
        words *= extents[r]
        overlap *= max(0, extents[r] - abs(moves[j, r]))
    return words - overlap


@jit
def same_move(n_ranks: int, moves: Ints, i: int, j: int) -> bool:
    for r in range(n_ranks):  # noqa: SIM110 - no generator in a kernel
        if moves[i, r] != moves[j, r]:
            return False
    return True


@jit
def is_zero(n_ranks: int, moves: Ints, j: int) -> bool:
    for r in range(n_ranks):  # noqa: SIM110 - no generator in a kernel
        if moves[j, r] != 0:
            return False
    return True


@jit
def fetched_separable(model: Model, s: int, nest: Nest, level: int, words: int) -> float:
    """:func:`fetched_words` where tiles either coincide or are disjoint: no rank sums two dimensions.

    Every advance of a relevant loop, or of any loop outside one, fetches a whole tile.
    """
    total = float(words)
    moving = False
    for t in range(nest.t_end[level + 1], nest.t_end[nest.t_end.shape[0] - 1]):
        moving = moving or model.relevant[s, nest.t_dim[t]]
        if moving:
            total *= nest.t_bound[t]
    return total


@jit
def fetched_words(model: Model, s: int, nest: Nest, level: int, moves: Ints, extents: Ints) -> float:
    """Words of data space s that one instance of ``level`` fetches over the whole walk."""
    words = box_words(model, s, nest.extent, level)
    if model.separable[s]:
        return fetched_separable(model, s, nest, level, words)
    n_loops, first = moves_above(model, s, nest, level, moves, extents)
    if first == n_loops:
        return float(words)
    n_ranks = model.ranks[s]
    start = nest.t_end[level + 1]
    # Sums and final states of the sub-walk of the first moving loop, by state at its entry.
    again = float(nest.t_bound[start + first] - 1)
    overlapped = again * new_words(n_ranks, extents, moves, first)
    sum_none, sum_same, sum_other = overlapped, overlapped, again * words
    end_none, end_same, end_other = SAME, SAME, NONE
    for j in range(first + 1, n_loops):
        again = float(nest.t_bound[start + j] - 1)
        zero = is_zero(n_ranks, moves, j)
        repeats = same_move(n_ranks, moves, j, first)
        fresh = 0 if zero else new_words(n_ranks, extents, moves, j)
        # A visit finds NONE or SAME; what it fetches, the sum of the sub-walk after it, and the final state.
        if zero:
            from_none, from_same = sum_none, sum_same
            then_none, then_same = end_none, end_same
        elif repeats:
            from_none, from_same = fresh + sum_same, fresh + sum_same
            then_none, then_same = end_same, end_same
        else:
            from_none, from_same = fresh + sum_other, words + sum_none
            then_none, then_same = end_other, end_none
        sum_none += again * (from_none if end_none == NONE else from_same)
        sum_same += again * (from_none if end_same == NONE else from_same)
        sum_other += again * (from_none if end_other == NONE else from_same)
        end_none = then_none if end_none == NONE else then_same
        end_same = then_none if end_same == NONE else then_same
        end_other = then_none if end_other == NONE else then_same
    return words + sum_none


def make_moves(n_loops: int, n_ranks: int) -> tuple[Ints, Ints]:
    """Work arrays for :func:`fetched_words`."""
    return np.zeros((n_loops, n_ranks), np.int64), np.zeros(n_ranks, np.int64)
