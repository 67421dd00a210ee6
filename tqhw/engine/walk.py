"""How many words a level fetches: the walk over the loops above its boundary in closed form (#the-walk).

Timeloop walks the nest, executes iterations 0 and 1 of every temporal loop, and compares each move of a tile with
the last non-zero one: the overlap with the previous tile is exploited only if the move repeats. Consecutive visits
differ by the loop j that advanced: move_j = step_j minus the steps of the loops inside it, which fall back.

Let ``f`` be the innermost loop that moves the tile, and ``a`` its move. Its visit finds nothing remembered, or ``a``:
either way the overlap counts and ``a`` is remembered. So it is with the sub-walk of any loop further out: it costs
the same whether it finds nothing or ``a``, and it leaves ``a``. The visit of loop j that precedes it therefore finds
``a``, and fetches nothing if its move is zero, the overlap-free part of the tile if it is ``a``, and the whole tile
otherwise, when ``a`` is forgotten. With d_j = 0, part or whole, the words fetched by the sub-walk of loop j after its
first visit are

    S_f = (bound_f - 1) * part,    S_j = S_(j-1) + (bound_j - 1) * (d_j + S_(j-1)).
Anchors (#...) are those of docs/timeloop-model.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import inline
from tqhw.engine.model import Floats, Ints
from tqhw.engine.nest import Nest
from tqhw.engine.plan import Plan


@bundle
class Walk(NamedTuple):
    """Work arrays, and what the levels fetch of one data space."""

    step: Ints  # [J, K] words that loop j moves the tile along rank k
    inside: Ints  # [J, K] steps of all loops inside loop j
    visits: Ints  # [J + 1] what a tile below loop j is fetched how often, where tiles coincide or are disjoint
    moving: Ints  # [J + 1] the innermost loop that moves the data space, of loop j and those outside of it
    rest: Floats  # [J + 1] product of the bounds of loop j and all outside of it
    fetched: Floats  # [L] words that one instance of a level fetches over the whole walk


def make_walk(n_levels: int, n_loops: int, n_ranks: int) -> Walk:
    """Empty work arrays."""
    return Walk(
        step=np.zeros((n_loops, n_ranks), np.int64),
        inside=np.zeros((n_loops, n_ranks), np.int64),
        visits=np.ones(n_loops + 1, np.int64),
        moving=np.zeros(n_loops + 1, np.int64),
        rest=np.ones(n_loops + 1),
        fetched=np.zeros(n_levels),
    )


@inline
def fetch(plan: Plan, s: int, nest: Nest, n: int, walk: Walk) -> None:
    """Writes the words of data space s that the levels 0 .. n - 2 fetch."""
    if plan.spaces[s].separable:
        fetch_separable(plan, s, nest, walk)
        return
    single = plan.spaces[s].single
    if single:
        find_rest(plan, s, nest, walk)
    else:
        find_steps(plan, s, nest, walk)
    for i in range(n - 1):
        level = nest.levels[i]
        # A level without loops holds the tile of the level below for as long, so it fetches as much.
        if i == 0 or level.end_loop > level.first_loop or level.end_unit > level.first_unit:
            walk.fetched[i] = fetch_single(plan, s, nest, i, walk) if single else fetch_sliding(plan, s, nest, i, walk)
        else:
            walk.fetched[i] = walk.fetched[i - 1]


@inline
def fetch_separable(plan: Plan, s: int, nest: Nest, walk: Walk) -> None:
    """:func:`fetch` where tiles either coincide or are disjoint: no rank sums two dimensions.

    Every advance of a relevant loop, or of any loop outside one, fetches a whole tile.
    """
    n_levels = nest.levels.shape[0]
    outside = 1
    visits = 1
    for t in range(nest.levels[n_levels - 1].end_loop - 1, -1, -1):
        walk.visits[t + 1] = visits
        loop = nest.temporal[t]
        outside *= loop.bound
        visits = outside if plan.relevant[s, loop.dimension] else visits
    walk.visits[0] = visits
    for i in range(n_levels):
        walk.fetched[i] = float(walk.visits[nest.levels[i].end_loop]) * nest.words[i, s]


@inline
def find_rest(plan: Plan, s: int, nest: Nest, walk: Walk) -> None:
    """Writes, from every temporal loop outwards, what is left of the iterations and which loop moves data space s."""
    end = nest.levels[nest.levels.shape[0] - 1].end_loop
    rest = 1.0
    moving = end
    for t in range(end - 1, -1, -1):
        walk.rest[t + 1] = rest
        walk.moving[t + 1] = moving
        loop = nest.temporal[t]
        rest *= loop.bound
        moving = moving if plan.rank[s, loop.dimension] < 0 else t
    walk.rest[0] = rest
    walk.moving[0] = moving


@inline
def fetch_single(plan: Plan, s: int, nest: Nest, level: int, walk: Walk) -> float:
    """:func:`fetch_sliding` where every dimension moves one rank, as in a convolution.

    Once a loop has moved another rank than f does, every later loop lets both fall back and can move but one forwards:
    its move is neither zero nor ``a``. Such a loop multiplies all that was fetched by its bound.
    """
    words = nest.words[level, s]
    f = walk.moving[nest.levels[level].end_loop]
    end = nest.levels[nest.levels.shape[0] - 1].end_loop
    if f == end:
        return float(words)
    dimension = nest.temporal[f].dimension
    k = plan.rank[s, dimension]
    step = plan.coefficients[k, dimension] * nest.temporal[f].step
    span = nest.span[level, k]
    part = words // span * min(span, step)
    fetched = words + (nest.temporal[f].bound - 1.0) * part
    inside = step
    for j in range(f + 1, end):
        dimension = nest.temporal[j].dimension
        rank = plan.rank[s, dimension]
        bound = nest.temporal[j].bound
        if rank < 0:
            fetched *= bound
        elif rank == k:
            ahead = plan.coefficients[k, dimension] * nest.temporal[j].step
            move = ahead - inside
            inside += ahead
            visit = 0 if move == 0 else (part if move == step else words)
            fetched += (bound - 1.0) * (visit + fetched - words)
        else:
            return float(fetched * walk.rest[j])
    return float(fetched)


@inline
def find_steps(plan: Plan, s: int, nest: Nest, walk: Walk) -> None:
    """Writes the steps of all temporal loops, outer and inner ones."""
    n_loops = nest.levels[nest.levels.shape[0] - 1].end_loop
    for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
        inside = 0
        for t in range(n_loops):
            step = plan.coefficients[k, nest.temporal[t].dimension] * nest.temporal[t].step
            walk.step[t, k] = step
            walk.inside[t, k] = inside
            inside += step


@inline
def fetch_sliding(plan: Plan, s: int, nest: Nest, level: int, walk: Walk) -> float:
    """Words of data space s that one instance of ``level`` fetches over the whole walk."""
    space = plan.spaces[s]
    words = nest.words[level, s]
    f = nest.levels[level].end_loop
    end = nest.levels[nest.levels.shape[0] - 1].end_loop
    while f < end and not plan.relevant[s, nest.temporal[f].dimension]:
        f += 1
    if f == end:
        return float(words)
    overlap = 1
    for k in range(space.first_rank, space.end_rank):
        overlap *= max(0, nest.span[level, k] - walk.step[f, k])
    part = words - overlap
    again = (nest.temporal[f].bound - 1.0) * part
    for j in range(f + 1, end):
        zero = True
        repeats = True
        for k in range(space.first_rank, space.end_rank):
            move = walk.step[j, k] - walk.inside[j, k] + walk.inside[f, k]
            zero = zero and move == 0
            repeats = repeats and move == walk.step[f, k]
        visit = 0 if zero else (part if repeats else words)
        again += (nest.temporal[j].bound - 1.0) * (visit + again)
    return float(words + again)
