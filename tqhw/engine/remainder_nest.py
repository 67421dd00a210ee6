"""The loop nest of a mapping with remainders: what the last pass of a loop leaves out (#remainders).

Timeloop: ``src/loop-analysis/nest-analysis.cpp`` (``InitPerLevelDimScales``, ``InitNumSpatialElems``).
Anchors (#...) are those of docs/timeloop-model.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import part
from tqhw.engine.model import Bools, Floats, Ints
from tqhw.engine.nest import Nest, box_words
from tqhw.engine.plan import Plan


@bundle
class Rests(NamedTuple):
    """Work arrays beside those of :class:`Nest`, whose loops have their whole bounds."""

    temporal: Ints  # [J] iterations of a temporal loop in the last pass of the loops over its dimension outside
    spatial: Ints  # [J]
    uneven: Bools  # [J] some loop inside this temporal one, over its dimension, has a remainder
    full: Ints  # [L, D] iterations that the tile of a level spans,
    short: Ints  # [L, D] and in the last pass
    unit_full: Ints  # [L, D] the same with the level's spatial loops alone around the tile inside
    unit_short: Ints  # [L, D]
    scale: Ints  # [D] work
    short_scale: Ints  # [D]
    open: Bools  # [D] a loop outside has more than one iteration in its last pass, too
    extent: Ints  # [D]
    mean: Floats  # [L] instances in use, over all passes


def make_rests(n_levels: int, n_dims: int) -> Rests:
    """Empty work arrays."""

    def ints(*shape: int) -> Ints:
        return np.ones(shape, np.int64)

    n_loops = n_levels * n_dims + 1
    return Rests(
        temporal=ints(n_loops),
        spatial=ints(n_loops),
        uneven=np.zeros(n_loops, np.bool_),
        full=ints(n_levels, n_dims),
        short=ints(n_levels, n_dims),
        unit_full=ints(n_levels, n_dims),
        unit_short=ints(n_levels, n_dims),
        scale=ints(n_dims),
        short_scale=ints(n_dims),
        open=np.zeros(n_dims, np.bool_),
        extent=ints(n_dims),
        mean=np.ones(n_levels),
    )


@part
def add_rests(factors: Ints, rests: Ints, order: Ints, found: Ints, n: int, work: Rests) -> int:
    """Appends the remainders of the loops of bound above 1, innermost first, and enlarges the extents; new number."""
    for p in range(order.shape[0]):
        d = order[p]
        if factors[d] > 1:
            found[n] = rests[d]
            n += 1
            work.short_scale[d] += work.scale[d] * (rests[d] - 1)
            work.scale[d] *= factors[d]
    return n


@part
def build_rests(
    temporal_rest: Ints,
    temporal: Ints,
    temporal_order: Ints,
    spatial_rest: Ints,
    spatial: Ints,
    spatial_order: Ints,
    nest: Nest,
    work: Rests,
) -> None:
    """Fills ``work`` from a mapping whose nest is built."""
    n_levels, n_dims = temporal.shape
    for d in range(n_dims):
        work.scale[d] = 1
        work.short_scale[d] = 1
        work.open[d] = False
    t = 0
    s = 0
    for i in range(n_levels):
        if nest.levels[i].end_unit > nest.levels[i].first_unit:
            s = add_rests(spatial[i], spatial_rest[i], spatial_order[i], work.spatial, s, work)
        for d in range(n_dims):
            work.unit_full[i, d] = work.scale[d]
            work.unit_short[i, d] = work.short_scale[d]
        t = add_rests(temporal[i], temporal_rest[i], temporal_order[i], work.temporal, t, work)
        for d in range(n_dims):
            work.full[i, d] = work.scale[d]
            work.short[i, d] = work.short_scale[d]
    for d in range(n_dims):
        work.open[d] = False  # for now: some loop inside has a remainder
    for i in range(n_levels):
        for u in range(nest.levels[i].first_unit, nest.levels[i].end_unit):
            if work.spatial[u] != nest.spatial[u].bound:
                work.open[nest.spatial[u].dimension] = True
        for j in range(nest.levels[i].first_loop, nest.levels[i].end_loop):
            d = nest.temporal[j].dimension
            work.uneven[j] = work.open[d]
            if work.temporal[j] != nest.temporal[j].bound:
                work.open[d] = True


@part
def measure_tiles(plan: Plan, nest: Nest, work: Rests) -> None:
    """Writes the words of the largest tiles that occur, and the mean of the instances in use."""
    n_levels, n_dims = work.full.shape
    mean = 1.0
    for d in range(n_dims):
        work.open[d] = False
        work.scale[d] = 1  # iterations of the loops outside: the mean of a spatial loop is over these
    for i in range(n_levels - 1, -1, -1):
        level = nest.levels[i]
        work.mean[i] = mean
        for d in range(n_dims):
            work.extent[d] = work.full[i, d] if work.open[d] else work.short[i, d]
        box_words(plan, work.extent, nest.span[i], nest.words[i])
        for t in range(level.end_loop - 1, level.first_loop - 1, -1):
            d = nest.temporal[t].dimension
            work.open[d] = work.open[d] or work.temporal[t] > 1
            work.scale[d] = work.temporal[t] + nest.temporal[t].bound * (work.scale[d] - 1)
        if level.end_unit == level.first_unit:
            continue
        for d in range(n_dims):
            work.extent[d] = work.unit_full[i, d] if work.open[d] else work.unit_short[i, d]
        box_words(plan, work.extent, nest.span[i], nest.unit_words[i])
        for u in range(level.end_unit - 1, level.first_unit - 1, -1):
            loop, rest = nest.spatial[u], work.spatial[u]
            d = loop.dimension
            passes = work.scale[d]
            work.scale[d] = rest + loop.bound * (passes - 1)
            mean = mean * loop.bound if rest == loop.bound else mean * float(work.scale[d]) / passes
            work.open[d] = work.open[d] or rest > 1
