"""What stands outside must cost at least something: with a limit on the whole, most partial costs inside are out of it.

All traffic that is open at a tile is paid at least as often as the tile's words change, and every level that is still
to come moves the words of one of the tiles around. docs/mapper.md, "The limit", has the argument.
"""

from __future__ import annotations

import numpy as np

from tqhw.engine.jit import jit, part
from tqhw.engine.model import Floats, Ints
from tqhw.mapper.bound.measure import measured
from tqhw.mapper.bound.partial_cost import HEAD, OPEN, SHUT, WIDTH, A, Block, C, E, U, halo_share, rank_extent
from tqhw.mapper.bound.prices import Prices, fits_level
from tqhw.mapper.bound.relaxation import Relaxation
from tqhw.mapper.space.arrays import Space
from tqhw.mapper.space.tiles import first_below, next_below


@part
def least_share(space: Space, q: int, s: int, tile: Ints) -> float:
    """The share of a tile's traffic without reuse that no loops and no units outside of slot q can go below.

    Units over irrelevant dimensions divide it as loops do. Those along a halo may hand words on.
    """
    reuse = 1.0
    share = 1.0
    slides = 1.0
    for d in range(tile.shape[0]):
        bound = space.bounds[d] // tile[d]
        if bound == 1:
            continue
        if not space.relevant[s, d]:
            reuse *= bound
        elif space.rank[s, d] >= 0:
            slides *= bound
            extent = rank_extent(space, s, d, tile)
            # Of all bounds that the innermost loop may have, these two let least through (see halo_share).
            share = min(share, halo_share(space, s, d, bound, tile, extent), halo_share(space, s, d, 2, tile, extent))
    return float(share / reuse / min(slides, space.most_units[q + 1]))


@part
def tile_shares(space: Space, q: int, t: int, tile: Ints, shares: Floats) -> None:
    """:func:`least_share` of every data space at tile t around slot q."""
    for d in range(tile.shape[0]):
        tile[d] = space.divisor[d, space.digits[t, d]]
    for s in range(shares.shape[0]):
        shares[s] = least_share(space, q, s, tile)


@part
def pair_shares(space: Space, factors: Ints, tile: Ints, block: Block, shares: Floats, ideal: Floats) -> None:
    """What a slot's loops and all outside, with ``shares``, leave of the traffic open inside, in the best order."""
    for s in range(shares.shape[0]):
        share = 1.0 if block.moves[s] else shares[s]
        if block.moves[s] and space.halo[s]:
            for d in range(tile.shape[0]):
                if factors[d] > 1 and space.rank[s, d] >= 0:
                    share = min(share, halo_share(space, s, d, factors[d], tile, rank_extent(space, s, d, tile)))
        ideal[s] = share / block.reuse[s]


@part
def keep_floor(space: Space, prices: Prices, q: int, t: int, shares: Floats) -> float:
    """What the level of slot q costs at least by keeping tile t."""
    total = 0.0
    level = space.level[q]
    instances = space.most_units[q + 1] if prices.per_instance else 1.0
    for s in range(shares.shape[0]):
        if prices.keep[level, s]:
            moved = space.computes * space.words[s, t] / space.iterations[t] * shares[s]
            total += moved * (prices.fill_pj[level, s] + prices.parent_pj[level + 1, s]) / instances
            if s == space.output:
                first = prices.first_pj[level] * space.words[s, space.iterations.shape[0] - 1]
                total -= first * space.most_units[q + 1] / instances
    return total


@part
def floor_of(bound: Relaxation, q: int, lookahead_pj: float, shares: Floats, partial: Floats) -> float:
    """The objective of every mapping that continues a partial cost around slot q, at least."""
    space = bound.space
    energy = partial[C] - partial[E] * space.most_units[q + 1]
    for s in range(shares.shape[0]):
        at = HEAD + s * WIDTH
        shut = shares[s] if space.most_units[q + 1] > 1.0 else 1.0
        energy += (partial[at + A] + partial[at + OPEN]) * shares[s] + partial[at + SHUT] * shut
    instances = space.most_units[q + 1] if bound.prices.per_instance else 1.0
    cycles = space.computes / (partial[U] * space.most_units[q + 1])
    return measured(bound, lookahead_pj + energy / instances, max(cycles, bound.least_cycles))


@jit
def look_ahead(bound: Relaxation, q: int, begin: int, end: int) -> None:
    """Hands what the levels from slot q outwards cost at least from the tiles begin .. end to those inside of them.

    Fills ``bound.lookahead`` [Q, N]: least energy in pJ of the levels outside of slot q, if tile t stands around it;
    inf where no mapping has that tile there. Slots are done from the outermost inwards.
    """
    space, prices, ahead, work = bound.space, bound.prices, bound.lookahead, bound.work
    for t in range(begin, end):
        least_pj = ahead[q, t]
        if least_pj == np.inf:
            continue
        if not space.spatial[q]:
            if not fits_level(space, prices, space.level[q], t):
                ahead[q, t] = np.inf
                continue
            tile_shares(space, q, t, work.tile, work.shares)
            least_pj += keep_floor(space, prices, q, t, work.shares)
        inside = first_below(space, q, t, space.tiles, work.at) if q > 0 else -1
        while inside >= 0:
            ahead[q - 1, inside] = min(ahead[q - 1, inside], least_pj)
            inside = next_below(space, q, t, space.tiles, work.at, inside)
