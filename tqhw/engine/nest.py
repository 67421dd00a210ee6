"""The loop nest of one mapping, its tiles, and whether it fits (#loop-nest, #tiles, #validity).

Timeloop: ``src/loop-analysis/nest-analysis.cpp`` and ``src/model/{topology,buffer,arithmetic}.cpp``.
Anchors (#...) are those of docs/timeloop-model.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import inline
from tqhw.engine.model import Bools, Ints
from tqhw.engine.plan import Plan, Records, records

# Outcomes of a mapping: the rule that it breaks (#validity); OVERFLOW: a table of the engine is too small.
VALID, FACTORS, BYPASS_ALL, CAPACITY, FANOUT, OVERFLOW = range(6)
RULES = ("", "factors", "bypass_all", "capacity", "fanout")


@bundle
class Nest(NamedTuple):
    """Work arrays for one loop nest. Loops of bound 1 are left out; steps are distances in iteration space."""

    temporal: Records  # [L*D + 1] dimension, bound, step of all temporal loops, innermost first
    spatial: Records  # [L*D + 1] the same of the spatial loops, innermost (X) first
    levels: Records  # [L] which loops belong to the level, its spatial bounds, and the expansion above it
    extent: Ints  # [D] iterations spanned by the loops so far
    span: Ints  # [L, K] words of the level's tile along every rank of a data space that is not separable
    words: Ints  # [L, S] words of the level's tile
    unit_words: Ints  # [L, S] words of the tile below the level, enlarged by the level's spatial loops
    outermost: Ints  # [S] outermost level that keeps the data space


def make_nest(plan: Plan) -> Nest:
    """Empty work arrays."""
    n_levels, n_spaces, n_dims = len(plan.levels), len(plan.spaces), len(plan.bounds)
    names = ("first_loop", "end_loop", "first_unit", "end_unit", "fan_x", "fan_y", "used_x", "used_y", "used")
    loop = {"dimension": np.int64, "bound": np.int64, "step": np.int64}
    return Nest(
        temporal=records(n_levels * n_dims + 1, **loop),
        spatial=records(n_levels * n_dims + 1, **loop),
        levels=records(n_levels, **dict.fromkeys(names, np.int64)),
        extent=np.ones(n_dims, np.int64),
        span=np.zeros((n_levels, len(plan.ranks)), np.int64),
        words=np.zeros((n_levels, n_spaces), np.int64),
        unit_words=np.zeros((n_levels, n_spaces), np.int64),
        outermost=np.zeros(n_spaces, np.int64),
    )


@inline
def box_words(plan: Plan, extent: Ints, span: Ints, words: Ints) -> None:
    """Words that a box of iterations touches (holes included): per data space, and where ranks slide, along each."""
    for s in range(plan.spaces.shape[0]):
        space = plan.spaces[s]
        product = 1
        if space.separable:
            for k in range(space.first_rank, space.end_rank):
                rank = plan.ranks[k]
                product *= rank.least + rank.coefficient * extent[rank.dimension]
        else:
            for k in range(space.first_rank, space.end_rank):
                span[k] = rank_words(plan, k, extent)
                product *= span[k]
        words[s] = product


@inline
def rank_words(plan: Plan, k: int, extent: Ints) -> int:
    """Words that a box of iterations touches along rank k, holes included."""
    rank = plan.ranks[k]
    along = rank.least + rank.coefficient * extent[rank.dimension] + rank.other_coefficient * extent[rank.other]
    for t in range(rank.third_term, rank.end_term):
        along += plan.terms[t].coefficient * extent[plan.terms[t].dimension]
    return int(along)


@inline
def add_loops(factors: Ints, order: Ints, extent: Ints, loops: Records, n: int) -> int:
    """Appends the loops of bound > 1 to ``loops[:n]``, innermost first, and enlarges ``extent``; new number.

    A loop of bound 1 is written too, and overwritten by the next one: cheaper than a branch that nobody can predict.
    """
    for p in range(order.shape[0]):
        d = order[p]
        bound = factors[d]
        loop = loops[n]
        loop.dimension = d
        loop.bound = bound
        loop.step = extent[d]
        extent[d] *= bound
        n += bound > 1
    return n


@inline
def has_loops(factors: Ints) -> bool:
    """Whether a factor is not 1: the levels of fan-outs have no loops over time, and many others have none."""
    other = 0
    for d in range(factors.shape[0]):
        other |= factors[d] ^ 1
    return bool(other != 0)


@inline
def copy_words(plan: Plan, nest: Nest, i: int) -> None:
    """Writes the words of a level without loops: those of the level below."""
    for s in range(plan.spaces.shape[0]):
        space = plan.spaces[s]
        nest.words[i, s] = nest.words[i - 1, s]
        if not space.separable:
            for k in range(space.first_rank, space.end_rank):
                nest.span[i, k] = nest.span[i - 1, k]


@inline
def build_nest(
    plan: Plan, temporal: Ints, temporal_order: Ints, spatial: Ints, spatial_order: Ints, split: Ints, nest: Nest
) -> bool:
    """Fills ``nest`` from one mapping (arrays [L, D], orders innermost first); False if factors miss a bound."""
    n_levels, n_dims = temporal.shape
    extent = nest.extent
    for d in range(n_dims):
        extent[d] = 1
    t = 0
    s = 0
    for i in range(n_levels):
        level = nest.levels[i]
        level.first_loop = t
        level.first_unit = s
        fan_x = 1
        fan_y = 1
        # Where nothing fans out, spatial factors miss the bound.
        if plan.levels[i].fanout_x * plan.levels[i].fanout_y > 1 and has_loops(spatial[i]):
            for p in range(n_dims):
                bound = spatial[i, spatial_order[i, p]]
                fan_x *= bound if p < split[i] else 1
                fan_y *= 1 if p < split[i] else bound
            s = add_loops(spatial[i], spatial_order[i], extent, nest.spatial, s)
            box_words(plan, extent, nest.span[i], nest.unit_words[i])
        if has_loops(temporal[i]):
            t = add_loops(temporal[i], temporal_order[i], extent, nest.temporal, t)
        level.end_loop = t
        level.end_unit = s
        level.fan_x = fan_x
        level.fan_y = fan_y
        if i == 0 or t > level.first_loop or s > level.first_unit:
            box_words(plan, extent, nest.span[i], nest.words[i])
        else:
            copy_words(plan, nest, i)
    used_x = 1
    used_y = 1
    for i in range(n_levels - 1, -1, -1):
        level = nest.levels[i]
        level.used_x = used_x
        level.used_y = used_y
        level.used = used_x * used_y
        used_x *= level.fan_x
        used_y *= level.fan_y
    for d in range(n_dims):  # noqa: SIM110 - no generator in a kernel
        if extent[d] != plan.bounds[d]:
            return False
    return True


@inline
def rows_of(words: int, rows: Records) -> int:
    """Rows that so many words of a data space fill."""
    return int((words * rows.count + rows.words - 1) // rows.words)


@inline
def first_violation(plan: Plan, keep: Bools, nest: Nest) -> tuple[int, int]:
    """(rule, level) of the first rule that is broken (#validity); level -1 is the compute level."""
    n_levels, n_spaces = keep.shape
    for s in range(n_spaces):
        outermost = n_levels - 1
        while outermost >= 0 and not keep[outermost, s]:
            outermost -= 1
        if outermost < 0:
            return BYPASS_ALL, -1
        nest.outermost[s] = outermost
    machine = plan.machine[0]
    x = nest.levels[0].used_x * nest.levels[0].fan_x
    y = nest.levels[0].used_y * nest.levels[0].fan_y
    if x * y > machine.instances or x > machine.mesh_x or y > machine.mesh_y:
        return FANOUT, -1
    for i in range(n_levels):
        limits = plan.levels[i]
        words = 0
        for s in range(n_spaces):
            if keep[i, s]:
                words += nest.words[i, s] if not limits.packed else rows_of(nest.words[i, s], plan.rows[i, s])
        if limits.capacity >= 0 and words > limits.capacity:
            return CAPACITY, i
        level = nest.levels[i]
        if level.used > limits.instances or level.used_x > limits.mesh_x or level.used_y > limits.mesh_y:
            return FANOUT, i
    return VALID, -1
