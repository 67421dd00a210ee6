"""Outside in: what the loops outside a tile make of the partial costs of its front."""

from __future__ import annotations

import numpy as np

from tqhw.engine.jit import part
from tqhw.engine.model import Floats, Ints
from tqhw.mapper.bound.measure import measured
from tqhw.mapper.bound.outside import FIRST, LEAKING, SETTLED, USED, Outside, share_of
from tqhw.mapper.bound.partial_cost import (
    ALONG,
    GRID,
    HEAD,
    LINK,
    OPEN,
    SHUT,
    WIDTH,
    A,
    C,
    E,
    U,
    X,
    has_links,
    rank_extent,
)
from tqhw.mapper.bound.places import lies_further, overlap_share
from tqhw.mapper.bound.relaxation import Relaxation
from tqhw.mapper.bound.unit_gains import keeps_below, richest_move, share_along_all, unit_hop
from tqhw.mapper.space.arrays import HALO_RANKS, Space

NEVER = 1e300  # cycles where no inside is below the limit; finite, for a mapping that costs nothing


@part
def links_possible(
    space: Space,
    out: Outside,
    s: int,
    reach_x: float,
    reach_y: float,
    grid_x: float = 1.0,
    grid_y: float = 1.0,
    least_x: float = 0.0,
) -> bool:
    """Whether the loops outside can move data space s to a neighbour: right after a move, and along each rank within so
    many words and by a multiple of its grid; ``least_x``: by so many along the first at least.

    A visit that does not move the tile leaves nothing that a neighbour could pass on; only a compute unit asks again.
    """
    if out.rank[s] < 0 or not (out.reuse[s] == 1.0 or space.linked_macs):
        return False
    for n in range(out.n_moves[s]):
        x, y = out.moves[s, n, 0], out.moves[s, n, 1]
        if space.tangled[s] or (least_x <= x <= reach_x and y <= reach_y and x % grid_x == 0.0 and y % grid_y == 0.0):
            return True
    return False


@part
def may_link(space: Space, out: Outside, s: int, partial: Floats) -> bool:
    """Whether the links can happen that a partial cost counts on."""
    grid_x, grid_y = max(1.0, partial[GRID]), max(1.0, partial[GRID + 1])
    return links_possible(space, out, s, partial[LINK], partial[LINK + 1], grid_x, grid_y, partial[ALONG])


@part
def most_served(space: Space, s: int, factors: Ints, tile: Ints, out: Outside) -> float:
    """The share of a unit's accesses that its links can save at most, by the moves that the loops outside make.

    An element is served by one that had its new words: that lies where the move leads from it. An access is saved
    where all elements that share it are served. Moves along further ranks than HALO_RANKS may be of any length.
    """
    if space.tangled[s] or space.linked_macs:  # compute units ask again where nothing moved
        return 1.0
    most = 0.0
    further = lies_further(space, s, factors)
    for n in range(out.n_moves[s]):
        share = 1.0
        moved = further
        for r in range(HALO_RANKS):
            moved = moved or out.moves[s, n, r] > 0.0
            share *= overlap_share(space, s, r, out.moves[s, n, r], factors, tile)
        if moved:
            most = max(most, share)
    return most


@part
def richest_gain(space: Space, s: int, factors: Ints, tile: Ints, out: Outside) -> float:
    """How many times more elements a place of a unit may have, in the mean, of those that links leave than of all.

    By the moves that the loops outside make; infinite where they cannot be told.
    """
    if lies_further(space, s, factors):
        return np.inf
    shared, most_shared = share_along_all(space, s, factors, tile)
    richest = shared
    for n in range(out.n_moves[s]):
        of_move = np.inf
        for r in range(HALO_RANKS):
            if out.moves[s, n, r] > 0.0:
                along = richest_move(space, s, r, out.moves[s, n, r], factors, tile, shared, most_shared)
                of_move = min(of_move, along)
        if of_move < np.inf:  # what does not move hands nothing on
            richest = max(richest, of_move)
    return richest / shared


@part
def linked_share(bound: Relaxation, q: int, s: int, reach: float, gain: float, out: Outside) -> tuple[float, float]:
    """Of the words of work.tile, inside of the unit of slot q: the share that its links can serve at most.

    Also what links leave of the accesses to these, at least. ``reach``: of the unit along any rank, 0 where no link can
    happen in any context. ``gain``: of links that serve all that can be served.

    The tile slides where a step is shorter than it. Timeloop's walk stands at the first or second step of every loop:
    the set before a first step is the whole tile, which equals none that a step brings in (tqhw/engine/links.py).
    """
    space, factors, tile = bound.space, bound.work.factors, bound.work.tile
    if reach == 0.0:
        return 0.0, 1.0
    reach_x, reach_y = unit_hop(space, q, s, 0, factors, tile), unit_hop(space, q, s, 1, factors, tile)
    if not links_possible(space, out, s, reach_x, reach_y):
        return 0.0, 1.0
    served = most_served(space, s, factors, tile, out)
    if served == 0.0:
        return 0.0, 1.0
    if not keeps_below(space, bound.prices, q, s):
        gain = min(gain, richest_gain(space, s, factors, tile, out))
    left = max(1.0 / gain, 1.0 - served)
    first = 0
    while space.rank[s, first] != out.rank[s]:
        first += 1
    extent = rank_extent(space, s, first, tile)
    if space.linked_macs or out.words[s] >= extent:
        return 1.0, left
    if out.words[s] > reach:
        return 0.0, 1.0
    new = out.words[s] / extent
    share = min(1.0, new * out.again[s] * out.visits[s] / (out.full[s] + out.slide[s] * new))
    return share, left


@part
def throttled_cycles(bound: Relaxation, q: int, t: int, out: Outside) -> float:
    """The cycles that the ports take at least with any inside of tile ``t``, inside of slot q, in the context ``out``.

    With each inside, the slowest port takes as long as all do together.
    """
    ports, used = bound.ports, out.totals[USED]
    if ports.start.shape[1] == 0:
        return bound.least_cycles
    partials = ports.start if q == 0 else ports.fronts.partials
    begin = 0 if q == 0 else ports.fronts.start[q, t]
    best = NEVER
    for k in range(begin, begin + ports.fronts.rows[q, t]):
        most = bound.space.computes / (used * partials[k, 0, U])
        for j in range(partials.shape[1]):
            partial = partials[k, j]
            cycles = out.throttled[j] + (partial[C] - partial[E] * out.totals[FIRST]) / used
            for s in range(bound.space.relevant.shape[0]):
                at = HEAD + s * WIDTH
                extent = partial[at + X + out.rank[s]] if 0 <= out.rank[s] < 2 else 0.0
                share = share_of(out, s, extent)
                passed = out.multicast[s] * out.served[s]
                cycles += (partial[at + A] / (out.link[s] * used) + partial[at + OPEN] / passed) * share
                cycles += partial[at + SHUT] / passed
            most = max(most, cycles - ports.prices.cut_pj[j])
            if most >= best:
                break
        best = min(best, most)
    return max(best, bound.least_cycles)


@part
def least(bound: Relaxation, q: int, t: int, out: Outside, strict: bool) -> float:
    """The least objective over the partial costs of tile ``t`` inside of slot q, in the context ``out``.

    ``strict``: without the partial costs whose links cannot happen there.
    """
    space, units_left = bound.space, bound.prices.units_left[q]
    partials = bound.work.start if q == 0 else bound.fronts.partials
    begin = 0 if q == 0 else bound.fronts.start[q, t]
    used = out.totals[USED]
    throttled = throttled_cycles(bound, q, t, out)
    best = np.inf
    for k in range(begin, begin + bound.fronts.rows[q, t]):
        if used * partials[k, 0, U] < space.least_used:
            continue
        energy = out.totals[SETTLED] + partials[k, 0, C] - partials[k, 0, E] * out.totals[FIRST]
        busy = space.computes / (used * partials[k, 0, U])
        cycles = max(busy, throttled)
        if units_left:
            # With remainders a throttled mapping has fewer instances in use, and for fewer cycles: that is less than
            # the share of its cost that bounds hold for.
            energy += out.totals[LEAKING] * (busy if space.uneven else cycles)
        possible = True
        for s in range(space.relevant.shape[0]):
            at = HEAD + s * WIDTH
            extent = partials[k, 0, at + X + out.rank[s]] if 0 <= out.rank[s] < 2 else 0.0
            share = share_of(out, s, extent)
            energy += (partials[k, 0, at + A] / out.link[s] + partials[k, 0, at + OPEN] / out.multicast[s]) * share
            energy += partials[k, 0, at + SHUT] / out.multicast[s]
            if strict and space.halo[s] and has_links(partials[k, 0]) and not may_link(space, out, s, partials[k, 0]):
                possible = False
        if possible:
            best = min(best, measured(bound, energy, cycles))
    return best
