"""The loop nest of one mapping, its tiles, and whether it fits (reference sections 5.1, 5.2, 5.13).

Timeloop: ``src/loop-analysis/nest-analysis.cpp`` and ``src/model/{topology,buffer,arithmetic}.cpp``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.jit import jit
from tqhw.engine.model import Ints, Model

# Outcomes of a mapping: the rule of section 5.13 that it breaks; OVERFLOW: a table of the engine is too small.
VALID, FACTORS, BYPASS_ALL, CAPACITY, FANOUT, OVERFLOW = range(6)
RULES = ("", "factors", "bypass_all", "capacity", "fanout")


class Nest(NamedTuple):
    """Work arrays for one loop nest. Loops of bound 1 are left out; steps are distances in iteration space."""

    t_dim: Ints  # [L*D] temporal loops, innermost first
    t_bound: Ints
    t_step: Ints
    t_end: Ints  # [L + 1]; the loops of level i are t_end[i] .. t_end[i + 1], the first level starts at t_end[0] = 0
    s_dim: Ints  # [L*D] spatial loops, innermost (X) first
    s_bound: Ints
    s_step: Ints
    s_end: Ints  # [L + 1]
    fan_x: Ints  # [L] product of the spatial bounds of the level along X
    fan_y: Ints  # [L]
    used_x: Ints  # [L] expansion above the level along X
    used_y: Ints  # [L]
    extent: Ints  # [L, D] iterations spanned by all loops up to the level's boundary
    extent_unit: Ints  # [L, D] the same, up to the level's spatial loops
    running: Ints  # [D]


def make_nest(n_levels: int, n_dimensions: int) -> Nest:
    """Empty work arrays."""

    def loops() -> Ints:
        return np.zeros(n_levels * n_dimensions, np.int64)

    def levels(more: int = 0) -> Ints:
        return np.zeros(n_levels + more, np.int64)

    def spans() -> Ints:
        return np.zeros((n_levels, n_dimensions), np.int64)

    return Nest(
        t_dim=loops(),
        t_bound=loops(),
        t_step=loops(),
        t_end=levels(1),
        s_dim=loops(),
        s_bound=loops(),
        s_step=loops(),
        s_end=levels(1),
        fan_x=levels(),
        fan_y=levels(),
        used_x=levels(),
        used_y=levels(),
        extent=spans(),
        extent_unit=spans(),
        running=np.ones(n_dimensions, np.int64),
    )


@jit
def build_nest(
    model: Model, temporal: Ints, temporal_order: Ints, spatial: Ints, spatial_order: Ints, split: Ints, nest: Nest
) -> bool:
    """Fills ``nest`` from one mapping (arrays [L, D], orders innermost first); False if factors miss a bound."""
    n_levels, n_dims = temporal.shape
    extent = nest.running
    for d in range(n_dims):
        extent[d] = 1
    t = 0
    s = 0
    for level in range(n_levels):
        fan_x = 1
        fan_y = 1
        for p in range(n_dims):
            d = spatial_order[level, p]
            bound = spatial[level, d]
            if bound > 1:
                nest.s_dim[s] = d
                nest.s_bound[s] = bound
                nest.s_step[s] = extent[d]
                s += 1
                extent[d] *= bound
                if p < split[level]:
                    fan_x *= bound
                else:
                    fan_y *= bound
        nest.fan_x[level] = fan_x
        nest.fan_y[level] = fan_y
        nest.s_end[level + 1] = s
        for d in range(n_dims):
            nest.extent_unit[level, d] = extent[d]
        for p in range(n_dims):
            d = temporal_order[level, p]
            bound = temporal[level, d]
            if bound > 1:
                nest.t_dim[t] = d
                nest.t_bound[t] = bound
                nest.t_step[t] = extent[d]
                t += 1
                extent[d] *= bound
        nest.t_end[level + 1] = t
        for d in range(n_dims):
            nest.extent[level, d] = extent[d]
    used_x = 1
    used_y = 1
    for level in range(n_levels - 1, -1, -1):
        nest.used_x[level] = used_x
        nest.used_y[level] = used_y
        used_x *= nest.fan_x[level]
        used_y *= nest.fan_y[level]
    for d in range(n_dims):  # noqa: SIM110 - no generator in a kernel
        if extent[d] != model.bounds[d]:
            return False
    return True


@jit
def rank_extent(model: Model, s: int, r: int, extent: Ints, level: int) -> int:
    """Words along rank r of data space s of the box of iterations ``extent[level]``."""
    words = 1
    for k in range(model.n_terms[s, r]):
        words += model.term_coefficient[s, r, k] * (extent[level, model.term_dimension[s, r, k]] - 1)
    return words


@jit
def box_words(model: Model, s: int, extent: Ints, level: int) -> int:
    """Words of data space s that the box of iterations ``extent[level]`` touches (holes included)."""
    words = 1
    for r in range(model.ranks[s]):
        words *= rank_extent(model, s, r, extent, level)
    return words


@jit
def first_violation(model: Model, keep: np.ndarray, nest: Nest, tile: Ints) -> tuple[int, int]:
    """(rule, level) of the first rule of section 5.13 that is broken; level -1 is the compute level."""
    n_levels, n_spaces = keep.shape
    for s in range(n_spaces):
        kept = False
        for level in range(n_levels):
            kept = kept or keep[level, s]
        if not kept:
            return BYPASS_ALL, -1
    x = nest.used_x[0] * nest.fan_x[0]
    y = nest.used_y[0] * nest.fan_y[0]
    if x * y > model.compute_instances or x > model.compute_x or y > model.compute_y:
        return FANOUT, -1
    for level in range(n_levels):
        words = 0
        for s in range(n_spaces):
            if keep[level, s]:
                words += tile[level, s]
        if model.capacity[level] >= 0 and words > model.capacity[level]:
            return CAPACITY, level
        x = nest.used_x[level]
        y = nest.used_y[level]
        if x * y > model.instances[level] or x > model.mesh_x[level] or y > model.mesh_y[level]:
            return FANOUT, level
    return VALID, -1
