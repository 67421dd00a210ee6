"""What the elements of a spatial unit share: words that one access serves, and words that neighbours hand on.

Tiles are in iterations; steps, spans and hops in words of the data space. docs/mapper.md proves that none gains more.
"""

from __future__ import annotations

import numpy as np

from tqhw.engine.jit import part
from tqhw.engine.model import Ints
from tqhw.mapper.bound.moves import outer_grid
from tqhw.mapper.bound.places import (
    common_step,
    distinct_offsets,
    lies_further,
    overlap_share,
    richest_mean,
    steps_along,
)
from tqhw.mapper.bound.prices import Prices
from tqhw.mapper.bound.recall import recall
from tqhw.mapper.space.arrays import HALO_RANKS, Space

NONE = 1e-300  # a share that is known to be 0
ANY_WAY = -1  # moves along any halo rank; 0: along the first and perhaps others, 1: along the second alone


@part
def link_step(space: Space, s: int, y: int, tile: Ints) -> float:
    """Words that one step of a loop over y, outside of ``tile``, moves data space s along its halo rank."""
    return float(space.coefficient[s, y] * tile[y])


@part
def irrelevant_units(space: Space, s: int, factors: Ints) -> float:
    """Elements of a unit that work on the same words of data space s all the time."""
    units = 1.0
    for d in range(factors.shape[0]):
        if not space.relevant[s, d]:
            units *= factors[d]
    return units


@part
def slides_in_unit(space: Space, s: int, factors: Ints) -> bool:
    """Whether elements of a unit lie next to each other along a halo of data space s."""
    slides = False
    for d in range(factors.shape[0]):
        slides = slides or (factors[d] > 1 and space.rank[s, d] >= 0)
    return slides


@part
def ways_differ(space: Space, q: int, s: int, factors: Ints, tile: Ints) -> bool:
    """Whether links after a move along the first halo rank may save more or less than after one along the second."""
    if not (space.strict_links and space.linkable and space.halo[s]) or space.linked_macs:
        return False
    if lies_further(space, s, factors):
        return False
    return unit_hop(space, q, s, 0, factors, tile) > 0.0 and unit_hop(space, q, s, 1, factors, tile) > 0.0


@part
def spatial_gains(
    space: Space, prices: Prices, q: int, s: int, factors: Ints, tile: Ints, above: Ints, way: int = ANY_WAY
) -> tuple[float, float, float, float]:
    """(multicast, further gain if links happen, their gain for the fills right below, words they reach) of a unit.

    ``tile``/``above``: iterations per dimension inside and with the unit. The reach is 0 where links cannot or
    must not happen. Elements with equal words are one access, but each of them fills: links can serve all fills but
    one per line. ``way``: by what moves links happen, all or, where :func:`ways_differ`, those along one halo rank.
    """
    n_dims = tile.shape[0]
    multicast = 1.0
    sliding = 1.0
    for d in range(n_dims):
        if factors[d] > 1:
            if not space.relevant[s, d]:
                multicast *= factors[d]
            elif space.rank[s, d] >= 0:
                sliding *= factors[d]
    if sliding == 1.0:
        return multicast, 1.0, 1.0, 0.0
    if space.tangled[s]:
        return multicast * sliding, 1.0, 1.0, 0.0
    # Elements whose offsets along a rank agree share their words.
    shared, most_shared = share_along_all(space, s, factors, tile)
    reach = 0.0
    for r in range(n_dims):
        hop = unit_hop(space, q, s, r, factors, tile)
        if hop > 0.0:
            outside = 0
            least = 0.0
            for d in range(n_dims):
                if space.rank[s, d] == r and space.bounds[d] > above[d]:
                    outside += 1
                    least = link_step(space, s, d, above)
            if outside > 1:
                reach = np.inf
            elif outside == 1 and least <= hop:
                reach = max(reach, hop)
    if reach == 0.0 or not space.links[space.level[q], s]:
        return multicast * shared, 1.0, 1.0, 0.0
    if not keeps_below(space, prices, q, s):
        # What links do not carry may be the words that most elements share; links themselves save nothing here.
        richest = 0.0
        for r in range(n_dims):
            if way in (ANY_WAY, r):
                richest = max(richest, richest_along(space, q, s, r, factors, tile, above, shared, most_shared))
        return multicast * shared, richest / shared, 1.0, reach
    served = 1.0 if space.linked_macs or not space.strict_links or lies_further(space, s, factors) else 0.0
    for r in range(HALO_RANKS):
        if way in (ANY_WAY, r):
            served = max(served, served_along(space, q, s, r, factors, tile, above))
    return multicast * shared, min(sliding / shared, 1.0 / (1.0 - served) if served < 1.0 else np.inf), sliding, reach


@part
def served_along(space: Space, q: int, s: int, r: int, factors: Ints, tile: Ints, above: Ints) -> float:
    """The share of a unit's accesses that links can save at most, by moves along halo rank r that loops outside of
    ``above`` may make.
    """
    hop = unit_hop(space, q, s, r, factors, tile)
    step = outer_grid(space, s, r, above)
    if hop == 0.0 or step == 0:
        return 0.0
    n, x, m, y, dims = steps_along(space, s, r, factors, tile)
    if dims > 2:
        return 1.0
    at = recall(space.known, float(n), float(x), float(m), float(y), float(step), hop, -1.0, -1.0)
    if space.known[at, 8] == 0.0:
        space.known[at, 8] = NONE
        for move in range(step, int(hop) + 1, step):
            served = overlap_share(space, s, r, float(move), factors, tile)
            space.known[at, 8] = max(space.known[at, 8], served)
    return float(space.known[at, 8])


@part
def share_along(space: Space, s: int, r: int, factors: Ints, tile: Ints) -> tuple[float, float]:
    """Elements of a unit per place along halo rank r, in the mean and at most; 1 where it has none along it."""
    product = 1.0
    widest = 1.0
    for d in range(factors.shape[0]):
        if space.rank[s, d] == r and factors[d] > 1:
            product *= factors[d]
            widest = max(widest, float(factors[d]))
    if product == 1.0:
        return 1.0, 1.0
    return product / distinct_offsets(space, s, r, factors, tile, widest), product / widest


@part
def share_along_all(space: Space, s: int, factors: Ints, tile: Ints) -> tuple[float, float]:
    """:func:`share_along` of all halo ranks together."""
    shared = 1.0
    most_shared = 1.0
    for r in range(factors.shape[0]):
        mean, most = share_along(space, s, r, factors, tile)
        shared *= mean
        most_shared *= most
    return shared, most_shared


@part
def keeps_below(space: Space, prices: Prices, q: int, s: int) -> bool:
    """Whether links above slot q save words of data space s: right above a level that keeps them, or compute units."""
    level = space.level[q]
    return bool(level == 0 or prices.keep[level - 1, s])


@part
def richest_move(
    space: Space, s: int, r: int, move: float, factors: Ints, tile: Ints, shared: float, most_shared: float
) -> float:
    """Elements per place of a unit that links can leave at most, in the mean, after a ``move`` along halo rank r.

    ``shared``, ``most_shared``: what all ranks together have in the mean and at most.
    """
    mean, most = share_along(space, s, r, factors, tile)
    if steps_along(space, s, r, factors, tile)[4] > 2:
        return most_shared
    return richest_mean(space, s, r, move, factors, tile, shared / mean, most_shared / most)


@part
def richest_along(
    space: Space,
    q: int,
    s: int,
    r: int,
    factors: Ints,
    tile: Ints,
    above: Ints,
    shared: float,
    most_shared: float,
) -> float:
    """:func:`richest_move` over all moves along halo rank r that loops outside of ``above`` can make, 0 without any.

    Loops over one dimension move by multiples of the unit.
    """
    hop = unit_hop(space, q, s, r, factors, tile)
    outside = 0
    step = 0.0
    for d in range(factors.shape[0]):
        if space.rank[s, d] == r and space.bounds[d] > above[d]:
            outside += 1
            step = link_step(space, s, d, above)
    if hop == 0.0 or outside == 0:
        return 0.0
    if outside > 1:
        return most_shared
    mean, most = share_along(space, s, r, factors, tile)
    n, x, m, y, dims = steps_along(space, s, r, factors, tile)
    if dims > 2:  # of which two are told: what is known of these is not so of all
        return most_shared if step <= hop else 0.0
    at = recall(space.known, float(n), float(x), float(m), float(y), step, hop, shared / mean, most_shared / most)
    if space.known[at, 8] == 0.0:
        move = step
        while move <= hop:
            richest = richest_move(space, s, r, move, factors, tile, shared, most_shared)
            space.known[at, 8] = max(space.known[at, 8], richest)
            move += step
    return float(space.known[at, 8])


@part
def unit_hop(space: Space, q: int, s: int, r: int, factors: Ints, tile: Ints) -> float:
    """:func:`neighbour_hop`, 0 where no element of the unit lies along rank r."""
    span = 0.0
    for d in range(factors.shape[0]):
        if space.rank[s, d] == r and factors[d] > 1:
            span += (factors[d] - 1) * link_step(space, s, d, tile)
    return neighbour_hop(space, q, s, r, span, factors, tile) if span > 0.0 else 0.0


@part
def unit_grid(space: Space, s: int, r: int, factors: Ints, tile: Ints) -> int:
    """Words of which the elements of a unit lie multiples apart along halo rank r; 0 where none lie along it."""
    grid = 0
    for d in range(factors.shape[0]):
        if space.rank[s, d] == r and factors[d] > 1:
            grid = common_step(int(link_step(space, s, d, tile)), grid)
    return grid


@part
def neighbour_hop(space: Space, q: int, s: int, r: int, span: float, factors: Ints, tile: Ints) -> float:
    """The words along halo rank r that lie between two mesh neighbours of a unit at most; ``span``: any two elements.

    In one row or column the next element is one further over some dimension, and back at the first over others.
    Elements that lie apart along a rank without a halo hand nothing on: all loops outside move by multiples of the unit
    there.
    """
    used = 1
    for d in range(factors.shape[0]):
        used *= factors[d]
    if space.fanout[q, 0] > 1 and used > space.fanout[q, 0]:
        return span
    hop = 0.0
    for d in range(factors.shape[0]):
        plain = space.strict_links and space.relevant[s, d] and space.rank[s, d] < 0
        if factors[d] > 1 and not plain:
            step = link_step(space, s, d, tile) if space.rank[s, d] == r else 0.0
            hop = max(hop, step, span - factors[d] * step)
    return hop
