"""Partial costs: what one way to map the inside of a tile costs, whatever stands outside.

One row [V] for energy, or one for the cycles of every port, [J, V]:

====  =======================================================================================================
C     settled energy, pJ
E     energy that first visits of outputs save, to be multiplied by reduction units further out
U     compute units used
LINK  per halo rank; one above 0: the partial cost counts on neighbour links, which need a loop outside that moves the
      data space by no more than this along each
GRID  per halo rank: and by a multiple of this, of which elements lie apart; 0 where none do
ALONG and along the first halo rank by so many words at least
A     per data space: fill energy that loops outside divide while they are irrelevant (its *run* is open)
OPEN  per data space: parent energy with an open run, to be divided by multicast units as well
SHUT  per data space: parent energy, run closed, to be divided by multicast units
X, Y  per data space: words along the halo ranks of the tile that moves
====  =======================================================================================================

The steps put one slot around a partial cost. docs/mapper.md proves that no mapping costs less than these say.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import part
from tqhw.engine.model import Bools, Floats, Ints
from tqhw.mapper.bound.moves import may_move
from tqhw.mapper.bound.places import common_step
from tqhw.mapper.bound.prices import Prices
from tqhw.mapper.bound.unit_gains import ANY_WAY, spatial_gains, unit_grid, unit_hop, ways_differ
from tqhw.mapper.space.arrays import HALO_RANKS, Space

C, E, U, LINK, GRID, ALONG, HEAD = 0, 1, 2, 3, 5, 7, 8
A, OPEN, SHUT, X, Y, WIDTH = 0, 1, 2, 3, 4, 5
UNLINKED = -1  # no way; those that there are number the halo ranks


@bundle
class Block(NamedTuple):
    """One slot's temporal loops, as the data spaces see them. Axis S."""

    reuse: Floats  # product of the loops that are irrelevant
    moves: Bools  # some loop is relevant
    inner: Bools  # the innermost loop is relevant
    share: Floats  # work: what the last partial cost's open traffic is multiplied by


@part
def has_links(partial: Floats) -> bool:
    """Whether a partial cost counts on neighbour links."""
    return bool(partial[LINK] > 0.0 or partial[LINK + 1] > 0.0)


@part
def reaches(space: Space, s: int, y: int, tile: Ints, partial: Floats) -> bool:
    """Whether a loop over y around ``tile``, or a return to it, may move data space s within the links counted on.

    A return by another dimension of y's rank may cancel there. Then it moves along other ranks alone, by the loops in
    between, which fall back.
    """
    if reaches_along(space, s, space.rank[s, y], tile, partial):
        return True
    cancels = False
    beside = False
    for z in range(tile.shape[0]):
        if z != y and space.rank[s, z] >= 0 and space.bounds[z] > tile[z]:
            if not space.strict_links:
                return True  # moves may cancel
            if space.rank[s, z] == space.rank[s, y]:
                cancels = True
            else:
                beside = beside or reaches_along(space, s, space.rank[s, z], tile, partial)
    return cancels and beside


@part
def reaches_along(space: Space, s: int, r: int, tile: Ints, partial: Floats) -> bool:
    """Whether a move along halo rank r may be within the links that a partial cost counts on.

    Of ranks beyond those that are kept nothing is known.
    """
    if r >= HALO_RANKS:
        return True
    return may_move(space, s, r, tile, int(partial[LINK + r]), max(1, int(partial[GRID + r])))


@part
def copy_partial(source: Floats, target: Floats) -> None:
    for i in range(source.shape[0]):
        target[i] = source[i]


@part
def rank_extent(space: Space, s: int, d: int, tile: Ints) -> float:
    """Words of a tile along the halo rank of dimension d."""
    extent = 1.0
    for e in range(tile.shape[0]):
        if space.rank[s, e] == space.rank[s, d]:
            extent += space.coefficient[s, e] * (tile[e] - 1)
    return extent


@part
def halo_share(space: Space, s: int, y: int, inside: int, bound: int, tile: Ints, extent: float) -> float:
    """Least share of a tile that the visits of loop y fetch on average: y moves it by less than its extent.

    ``inside``, ``tile``: iterations inside the loop, over y and at least over the other dimensions. See "Sliding" in
    docs/mapper.md for the three cases: a return may be free, move the tile as a step does, or neither.
    """
    if space.tangled[s]:
        return 0.0
    step = space.coefficient[s, y] * inside
    share = min(1.0, step / extent)
    common = 0  # divides what every loop of the rank further out moves
    for z in range(tile.shape[0]):
        if space.rank[s, z] == space.rank[s, y]:
            done = inside * bound if z == y else tile[z]
            if space.bounds[z] > done:
                common = common_step(space.coefficient[s, z] * done, common)
    if common > 0 and step % common == 0:
        return float((1.0 - 1.0 / bound) * share)
    if common > 0 and 2 * step % common == 0:
        return float(share)
    return float(share + (1.0 - share) / bound)


@part
def fill_block(space: Space, factors: Ints, block: Block) -> None:
    """What the loops of a slot do to every data space, whatever their order."""
    for s in range(space.relevant.shape[0]):
        block.reuse[s] = 1.0
        block.moves[s] = False
        for d in range(factors.shape[0]):
            if factors[d] > 1:
                if space.relevant[s, d]:
                    block.moves[s] = True
                else:
                    block.reuse[s] *= factors[d]


@part
def temporal_cost(
    space: Space, prices: Prices, q: int, inner: int, factors: Ints, tile: Ints, block: Block, partial: Floats
) -> float:
    """Settled energy of a partial cost inside temporal loops, ``inner`` innermost; inf if its links cannot happen then.

    Fills block.inner and block.share for :func:`temporal_step`. ``inner`` is -1 for a slot without loops.
    """
    total = float(partial[C])
    level = space.level[q]
    for s in range(space.relevant.shape[0]):
        at = HEAD + s * WIDTH
        block.inner[s] = inner >= 0 and space.relevant[s, inner]
        if not block.moves[s]:
            block.share[s] = 1.0 / block.reuse[s]
            continue
        share = 1.0 if block.inner[s] else 1.0 / block.reuse[s]
        if space.halo[s]:
            slides = 1.0
            linked = False
            for y in range(factors.shape[0]):
                if factors[y] > 1 and space.rank[s, y] >= 0 and (y == inner or not block.inner[s]):
                    extent = partial[at + X + space.rank[s, y]] if space.rank[s, y] < 2 else 0.0
                    # The extent of a third halo rank is not kept: its overlap may be anything.
                    least = halo_share(space, s, y, tile[y], factors[y], tile, extent) if extent > 0.0 else 0.0
                    slides = min(slides, least)
                    linked = linked or reaches(space, s, y, tile, partial)
            if has_links(partial) and not linked:
                return np.inf
            share *= slides
        block.share[s] = share
        total += partial[at + A] * share
        if prices.keep[level, s] or not prices.more_units[q + 1, s]:
            total += partial[at + OPEN] * share
    return total


@part
def temporal_step(
    space: Space, prices: Prices, q: int, total: float, block: Block, partial: Floats, out: Floats
) -> None:
    """The partial cost that :func:`temporal_cost` has priced."""
    copy_partial(partial, out)
    level = space.level[q]
    out[C] = total
    for s in range(space.relevant.shape[0]):
        at = HEAD + s * WIDTH
        if not block.moves[s]:
            out[at + A] *= block.share[s]
            out[at + OPEN] *= block.share[s]
            continue
        if not (prices.keep[level, s] or not prices.more_units[q + 1, s]):
            out[at + SHUT] += partial[at + OPEN] * block.share[s]
        for r in (A, OPEN, X, Y):
            out[at + r] = 0.0
        if space.halo[s]:
            for i in range(LINK, HEAD):
                out[i] = 0.0


@part
def links_to_macs(space: Space, s: int, partial: Floats) -> None:
    """Right above the compute units a neighbour may still hold the word of an operation that does not move it.

    The units hand it on over links, so that visits without a move cost their parent nothing: a run like that of a
    tile of one word.
    """
    at = HEAD + s * WIDTH
    partial[at + OPEN] += partial[at + SHUT]
    partial[at + SHUT] = 0.0
    for r in range(at + X, at + WIDTH):
        partial[r] = 1.0 if space.halo[s] else 0.0


@part
def need_links(space: Space, q: int, s: int, factors: Ints, tile: Ints, way: int, out: Floats) -> None:
    """Writes what a move must be for the links of a unit that a partial cost counts on.

    Where it counts on links of a unit inside, too, both have to happen: what is needed there stays, unless it is more
    than what is needed here.
    """
    inside = has_links(out)
    for r in range(HALO_RANKS):
        reach = unit_hop(space, q, s, r, factors, tile) if r >= way else 0.0
        if inside and out[LINK + r] < reach:
            return
    out[ALONG] = 1.0 if way == 0 else 0.0
    for r in range(HALO_RANKS):
        counts = r >= way
        out[LINK + r] = unit_hop(space, q, s, r, factors, tile) if counts else 0.0
        grid = unit_grid(space, s, r, factors, tile) if counts else 0
        out[GRID + r] = grid if space.strict_links else min(grid, 1)


@part
def spatial_step(
    space: Space,
    prices: Prices,
    q: int,
    factors: Ints,
    tile: Ints,
    above: Ints,
    most_gain: Floats,
    way: int,
    partial: Floats,
    out: Floats,
) -> bool:
    """Puts a unit around a partial cost, counting on links of a ``way`` (UNLINKED: on none); False if that cannot be.

    Ways are halo ranks along which words move. Where they do not differ, the first stands for all.
    """
    n_spaces, n_dims = space.relevant.shape
    copy_partial(partial, out)
    used = 1.0
    for d in range(n_dims):
        used *= factors[d]
    out[U] = partial[U] * used
    shared = used if prices.per_instance else 1.0
    out[C] /= shared
    out[E] /= shared
    if out[U] * space.most_units[q + 1] < space.least_used:
        return False
    any_link = False
    for s in range(n_spaces):
        at = HEAD + s * WIDTH
        differ = way != UNLINKED and ways_differ(space, q, s, factors, tile)
        moved = way if differ else ANY_WAY
        multicast, gain, fill_gain, reach = spatial_gains(space, prices, q, s, factors, tile, above, moved)
        gain = min(gain, most_gain[s])
        out[at + A] /= shared
        if s == space.output:
            for d in range(n_dims):
                if space.copies[d]:
                    out[E] *= factors[d]
        if way != UNLINKED and (way == 0 or differ) and reach > 0.0 and gain > 1.0:
            any_link = True
            if space.linkable:
                need_links(space, q, s, factors, tile, way if differ else ANY_WAY, out)
            multicast *= gain
            out[at + A] /= fill_gain
        if space.level[q] == 0 and multicast > 1.0 and space.links[0, s]:
            links_to_macs(space, s, out)
        out[at + OPEN] /= multicast
        out[at + SHUT] /= multicast
        if space.halo[s] and has_links(partial):
            possible = False
            for y in range(n_dims):
                if space.rank[s, y] >= 0 and space.bounds[y] > above[y]:
                    possible = possible or reaches(space, s, y, above, partial)
            if not possible:
                return False
    if way != UNLINKED and not any_link:
        return False
    if not prices.units_left[q + 1]:
        # No unit changes these any more.
        out[C] -= out[E]
        out[E] = 0.0
        for i in range(space.level[q], prices.leak_pj.shape[0]):
            out[C] += prices.leak_pj[i] * space.computes / out[U]
    return True


@part
def keep_step(space: Space, prices: Prices, j: int, q: int, t: int, partial: Floats) -> None:
    """Level ``level[q]`` with tile t: traffic from below arrives, its own begins. ``partial``: of cost j."""
    level = space.level[q]
    units = prices.units_left[q + 1]
    if units:
        partial[C] += prices.leak_pj[level] * space.computes / partial[U]
    for s in range(space.relevant.shape[0]):
        if not prices.keep[level, s]:
            continue
        at = HEAD + s * WIDTH
        partial[C] += partial[at + SHUT]
        partial[at + SHUT] = 0.0
        was_open = partial[at + A] + partial[at + OPEN]
        moved = space.computes * space.words[s, t] / space.iterations[t] * space.run[s, t]
        partial[at + A] = was_open + moved * prices.fill_pj[j, level, s]
        partial[at + OPEN] = moved * prices.parent_pj[j, level + 1, s]
        for r in range(2):
            inside = partial[at + X + r] if was_open > 0.0 else 0.0
            partial[at + X + r] = max(inside, space.extent[s, r, t]) if space.halo[s] else 0.0
        if s == space.output:
            first = prices.first_pj[j, level] * space.words[s, space.iterations.shape[0] - 1]
            if units:
                partial[E] += first
            else:
                partial[C] -= first


@part
def first_partial(space: Space, prices: Prices, j: int, partial: Floats) -> None:
    """The inside of a compute unit: one iteration, one word of every data space per operation. Of cost j."""
    partial[:] = 0.0
    partial[C] = prices.constant_pj
    partial[U] = 1.0
    if not prices.units_left[0]:
        for i in range(prices.leak_pj.shape[0]):
            partial[C] += prices.leak_pj[i] * space.computes
    for s in range(space.relevant.shape[0]):
        at = HEAD + s * WIDTH
        # No word stays in a compute unit: every operation asks for its words anew.
        partial[at + SHUT] = space.computes * space.asked[s] * prices.parent_pj[j, 0, s]
