"""What the loops and units outside of a tile can leave of its traffic at least, by the kind of the innermost loop.

A data space that the innermost loop is relevant to is not reused over any loop further out, so that not all data
spaces can be reused at once. Loops that are relevant to the same data spaces, and slide along a halo of the same, are
of one kind (``Space.kind``); kind 0 is no loop at all. docs/mapper.md, "The limit".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import part
from tqhw.engine.model import Bools, Floats, Ints
from tqhw.mapper.bound.partial_cost import Block, halo_share, rank_extent
from tqhw.mapper.space.arrays import HALO_RANKS, Space

# Terms: reduction units outside at most; what levels outside leak, pJ times units used; what a word that a level sends
# inwards counts for at most, beside one that it fills; above 0: units used are compared strictly.
COPIES, LEAK, MOST, STRICT = range(4)


@bundle
class Outlook(NamedTuple):
    """Of one tile. Rows K: one per kind, and one more for the pair at work (:func:`look_at_pair`)."""

    ahead: Floats  # [J, K + 1] what the levels outside cost at least; inf where no innermost loop is of the kind
    fill: Floats  # [K + 1, S] share of the traffic without reuse that is left of fills,
    open: Floats  # [K + 1, S] and of what the level further out sends and gets, which multicast divides too
    units: Floats  # [S] what multicast alone can leave
    alive: Bools  # [K] whether the partial cost at work can stay below the limit with such a loop
    terms: Floats  # [4] see COPIES and those after it


def make_outlook(n_kinds: int, n_spaces: int, n_costs: int = 1) -> Outlook:
    """Work arrays."""
    table = np.ones((n_kinds + 1, n_spaces))
    alive, terms = np.ones(n_kinds, np.bool_), np.ones(4)
    return Outlook(np.zeros((n_costs, n_kinds + 1)), table, table.copy(), np.ones(n_spaces), alive, terms)


@part
def slide_share(space: Space, s: int, d: int, tile: Ints) -> float:
    """The least share that a loop over d, innermost outside of ``tile``, lets through while it slides.

    The least over all bounds that it may have (halo_share), and all units over d that may stand between.
    """
    if space.rank[s, d] >= HALO_RANKS:
        return 0.0  # extents of further ranks are not kept: what overlaps is not known
    extent = rank_extent(space, s, d, tile)
    most = space.bounds[d] // tile[d]
    least = 1.0
    for units in range(1, most + 1):
        for bound in range(2, most // units + 1):
            if most % (units * bound) == 0:
                least = min(least, halo_share(space, s, d, tile[d] * units, bound, tile, extent))
    return float(least)


@part
def kind_share(space: Space, s: int, k: int, tile: Ints, reuse: float, least: float) -> float:
    """The share that temporal loops outside leave, the innermost of kind k; ``reuse``: over all irrelevant loops.

    ``least``: of all loops that slide.
    """
    share = 1.0
    for d in range(tile.shape[0]):
        if space.kind[d] == k and space.bounds[d] > tile[d]:
            if not space.relevant[s, d]:
                return least / reuse
            if space.rank[s, d] >= 0:
                share = min(share, slide_share(space, s, d, tile))
    return share


@part
def look_out(space: Space, q: int, t: int, tile: Ints, look: Outlook) -> None:
    """Fills ``tile`` and all of ``look`` but what lies ahead, for tile t around slot q.

    Units over irrelevant dimensions divide traffic as loops do. Those along a halo may hand words on.
    """
    n_kinds = look.ahead.shape[1] - 1
    units = space.most_units[q + 1]
    copies = 1.0
    for d in range(tile.shape[0]):
        tile[d] = space.divisor[d, space.digits[t, d]]
        if space.copies[d]:
            copies *= space.bounds[d] // tile[d]
    look.terms[COPIES] = min(copies, units)
    for s in range(look.units.shape[0]):
        reuse = 1.0
        slides = 1.0
        least = 1.0
        for d in range(tile.shape[0]):
            bound = space.bounds[d] // tile[d]
            if bound == 1:
                continue
            if not space.relevant[s, d]:
                reuse *= bound
            elif space.rank[s, d] >= 0:
                slides *= bound
                least = min(least, slide_share(space, s, d, tile))
        handed = min(slides, units)
        look.units[s] = 1.0 / min(reuse * slides, units)
        look.fill[0, s] = 1.0 / handed
        look.open[0, s] = look.units[s]
        for k in range(1, n_kinds):
            share = kind_share(space, s, k, tile, reuse, least)
            look.fill[k, s] = share / handed
            # Loops and units share the irrelevant bounds between them.
            look.open[k, s] = max(share * look.units[s], least / (reuse * handed))


@part
def look_at_pair(space: Space, factors: Ints, tile: Ints, block: Block, look: Outlook) -> None:
    """Fills the last row: what a slot's loops around ``tile`` and all outside leave, in the best order, without units.

    ``look``: of the tile with the loops. What is possible is so for all costs.
    """
    last = look.ahead.shape[1] - 1
    for j in range(look.ahead.shape[0]):
        look.ahead[j, last] = np.inf
        for k in range(last):
            look.ahead[j, last] = min(look.ahead[j, last], look.ahead[j, k])
    for s in range(look.units.shape[0]):
        share = 1.0
        if not block.moves[s]:
            for k in range(last):
                if look.ahead[0, k] < np.inf:
                    share = min(share, look.fill[k, s])
        elif space.halo[s]:
            for d in range(tile.shape[0]):
                if factors[d] > 1 and space.rank[s, d] >= 0:
                    share = min(
                        share, halo_share(space, s, d, tile[d], factors[d], tile, rank_extent(space, s, d, tile))
                    )
        look.fill[last, s] = share / block.reuse[s]
        look.open[last, s] = share / block.reuse[s]
