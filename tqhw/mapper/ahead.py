"""What stands outside must cost at least something: with a limit on the whole, most points inside are out of it.

All traffic that is open at a tile is paid at least as often as the tile's words change, and every level that is still
to come moves all words at least once. docs/mapper.md, "Limits", has the argument.
"""

from __future__ import annotations

import numpy as np

from tqhw.engine.jit import jit, part
from tqhw.engine.model import Floats, Ints
from tqhw.mapper.bounds import objective_of
from tqhw.mapper.points import HEAD, OPEN, SHUT, WIDTH, A, C, Plan, U, halo_share
from tqhw.mapper.tables import Costs, Space


@part
def rank_extent(space: Space, s: int, d: int, tile: Ints) -> float:
    """Words of a tile along the halo rank of dimension d."""
    extent = 1.0
    for e in range(tile.shape[0]):
        if space.rank[s, e] == space.rank[s, d]:
            extent += space.coefficient[s, e] * (tile[e] - 1)
    return extent


@part
def least_share(space: Space, s: int, tile: Ints) -> float:
    """The share of a tile's traffic without reuse that no loops outside of it can go below."""
    run = 1.0
    share = 1.0
    for d in range(tile.shape[0]):
        bound = space.bounds[d] // tile[d]
        if bound == 1:
            continue
        if not space.relevant[s, d]:
            run *= bound
        elif space.rank[s, d] >= 0:
            extent = rank_extent(space, s, d, tile)
            # Of all bounds that the innermost loop may have, these two let least through (see halo_share).
            share = min(share, halo_share(space, s, d, bound, tile, extent), halo_share(space, s, d, 2, tile, extent))
    return float(share / run)


@part
def tile_shares(space: Space, t: int, tile: Ints, shares: Floats) -> None:
    """:func:`least_share` of every data space at tile t."""
    for d in range(tile.shape[0]):
        tile[d] = space.divisor[d, space.digits[t, d]]
    for s in range(shares.shape[0]):
        shares[s] = least_share(space, s, tile)


@part
def pair_shares(space: Space, factors: Ints, tile: Ints, plan: Plan, shares: Floats, ideal: Floats) -> None:
    """What a slot's loops and all outside, with ``shares``, leave of the traffic open inside, in the best order."""
    for s in range(shares.shape[0]):
        share = 1.0 if plan.moves[s] else shares[s]
        if plan.moves[s] and space.halo[s]:
            for d in range(tile.shape[0]):
                if factors[d] > 1 and space.rank[s, d] >= 0:
                    share = min(share, halo_share(space, s, d, factors[d], tile, rank_extent(space, s, d, tile)))
        ideal[s] = share / plan.run[s]


@jit
def least_words(space: Space, tile: Ints, shares: Floats, words: Floats) -> None:
    """Words that any level moves at least, over all tiles it may have. Axis S."""
    words[:] = np.inf
    for t in range(space.digits.shape[0]):
        tile_shares(space, t, tile, shares)
        for s in range(words.shape[0]):
            words[s] = min(words[s], space.computes * space.words[s, t] / space.iterations[t] * shares[s])


@part
def keep_floor(space: Space, costs: Costs, level: int, t: int, shares: Floats) -> float:
    """What a level costs at least by keeping tile t."""
    total = 0.0
    for s in range(shares.shape[0]):
        if costs.keep[level, s]:
            moved = space.computes * space.words[s, t] / space.iterations[t] * shares[s]
            total += moved * (costs.fill_pj[level, s] + costs.parent_pj[level + 1, s])
            if s == space.output:
                total -= costs.first_pj[level] * space.words[s, space.iterations.shape[0] - 1]
    return total


@part
def floor_of(space: Space, objective: int, q: int, ahead_pj: float, shares: Floats, point: Floats) -> float:
    """The objective of every mapping that continues a point of slot q, at least.

    ``ahead_pj`` is -inf where units are left outside: nothing is known of the energy then, and all may be used.
    """
    energy = ahead_pj + point[C]
    for s in range(shares.shape[0]):
        at = HEAD + s * WIDTH
        energy += (point[at + A] + point[at + OPEN]) * shares[s] + point[at + SHUT]
    return objective_of(objective, energy, space.computes / (point[U] * space.most_units[q + 1]))


def energy_ahead(space: Space, costs: Costs, words: Floats) -> Floats:
    """Per slot, what the levels further out cost at least; -inf where units are still to come. ``words``: the least."""
    whole = float(space.words[space.output, -1])
    ahead = np.zeros(len(space.level))
    for q in range(len(ahead)):
        if costs.units_left[q + 1]:
            ahead[q] = -np.inf
            continue
        for level in space.level[q + 1 :][~space.spatial[q + 1 :]]:
            per_word = np.where(costs.keep[level], costs.fill_pj[level] + costs.parent_pj[level + 1], 0.0)
            first = costs.first_pj[level] * whole if costs.keep[level, space.output] else 0.0
            ahead[q] += float(per_word @ words) - first
    return ahead
