"""Outside in: what the loops outside a tile make of the partial costs of its front."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import part
from tqhw.engine.model import Bools, Floats, Ints
from tqhw.mapper.bound.partial_cost import HEAD, LINK, OPEN, SHUT, WIDTH, A, C, E, U, X, halo_share, rank_extent
from tqhw.mapper.bound.relaxation import Relaxation
from tqhw.mapper.space.arrays import Space

ENERGY = 1  # the code of the objective that is energy alone
# Totals: energy in pJ; the product of the reduction units; instances; what the levels decided leak, pJ per cycle.
SETTLED, FIRST, USED, LEAKING = range(4)


@bundle
class Outside(NamedTuple):
    """The loops outside a tile, as the data spaces see them. Axis S."""

    dim: Ints  # [Q * D] temporal loops decided so far, innermost first
    bound: Ints
    step: Ints
    reuse: Floats  # [S] product of the loops before the first relevant one
    full: Floats  # [S] share of the visits that fetch the whole tile,
    slide: Floats  # [S] and of those that fetch what a step of the first relevant loop brings in
    rank: Ints  # [S] halo rank of that loop; -1: every visit fetches the whole tile
    words: Floats  # [S] words that one step of it moves the tile
    mixed: Bools  # [S] loops over the rank's other dimensions stand outside: a move may be smaller than a step
    again: Floats  # [S] share of the visits by loops further out that move the tile by just that step
    visits: Floats  # [S] bound of the first relevant loop
    multicast: Floats  # [S] between here and the level that serves the data space
    link: Floats  # [S] gain of possible links for the fills right below
    totals: Floats  # [4] of all that is decided, see SETTLED and those after it


def make_outside(n_slots: int, n_dims: int, n_spaces: int) -> Outside:
    """A context without loops."""

    def loops() -> np.ndarray:
        return np.zeros((n_slots + 1) * n_dims, np.int64)

    def spaces() -> np.ndarray:
        return np.ones(n_spaces)

    return Outside(
        dim=loops(),
        bound=loops(),
        step=loops(),
        reuse=spaces(),
        full=spaces(),
        slide=spaces(),
        rank=np.zeros(n_spaces, np.int64),
        words=spaces(),
        mixed=np.zeros(n_spaces, np.bool_),
        again=spaces(),
        visits=spaces(),
        multicast=spaces(),
        link=spaces(),
        totals=np.zeros(4),
    )


@part
def look_outside(space: Space, begin: int, end: int, out: Outside) -> None:
    """Fills run, full, slide, rank, words and mixed from the loops ``begin`` .. ``end`` of the list.

    The engine's walk (tqhw/engine/walk.py) over the loops that can make a tile overlap, as shares of all visits.
    """
    for s in range(space.relevant.shape[0]):
        reuse = 1.0
        first = begin
        while first < end and not space.relevant[s, out.dim[first]]:
            reuse *= out.bound[first]
            first += 1
        out.reuse[s] = reuse
        out.full[s] = 1.0
        out.slide[s] = 0.0
        out.rank[s] = -1
        if first == end:
            continue
        y = out.dim[first]
        rank = space.rank[s, y]
        if rank < 0:
            continue
        step = space.coefficient[s, y] * out.step[first]
        visits = float(out.bound[first])
        full = 1.0 / visits
        slide = 1.0 - full
        inside = step
        out.rank[s] = rank
        out.words[s] = step
        out.mixed[s] = False
        out.again[s] = 0.0
        out.visits[s] = visits
        for i in range(first + 1, end):
            z = out.dim[i]
            if space.relevant[s, z]:
                if space.rank[s, z] != rank:
                    # Returns along another halo rank may cancel this one: a link is possible still.
                    out.mixed[s] = out.mixed[s] or space.rank[s, z] >= 0
                    break  # from here on every move leaves the old tile
                out.mixed[s] = out.mixed[s] or z != y
                move = space.coefficient[s, z] * out.step[i] - inside
                inside += space.coefficient[s, z] * out.step[i]
                if move in (0, step):
                    part = (1.0 - 1.0 / out.bound[i]) / visits
                    full -= part
                    if move == step:
                        slide += part
                        out.again[s] += part
            visits *= out.bound[i]
        # Where a dimension stands in two ranks, the walk along one rank tells nothing: 0 is below whatever moves.
        out.full[s] = 0.0 if space.tangled[s] else full
        out.slide[s] = 0.0 if space.tangled[s] else slide


@part
def share_of(out: Outside, s: int, extent: float) -> float:
    """Share of a tile that a visit fetches on average; ``extent``: its words along the rank that moves, 0: any."""
    if out.rank[s] < 0:
        return float(1.0 / out.reuse[s])
    part = min(1.0, out.words[s] / extent) if extent > 0.0 else 0.0
    return float((out.full[s] + out.slide[s] * part) / out.reuse[s])


@part
def tile_share(space: Space, s: int, t: int, out: Outside) -> float:
    """What the loops outside leave of the traffic that tile t of data space s would have without reuse."""
    extent = space.extent[s, out.rank[s], t] if 0 <= out.rank[s] < 2 else 0.0
    return share_of(out, s, extent)


@part
def links_possible(space: Space, out: Outside, s: int, reach: float) -> bool:
    """Whether the loops outside can move data space s to a neighbour within ``reach`` words, right after a move.

    A visit that does not move the tile leaves nothing that a neighbour could pass on; only a compute unit asks again.
    """
    moves = out.reuse[s] == 1.0 or space.linked_macs
    return bool(moves and out.rank[s] >= 0 and (out.mixed[s] or out.words[s] <= reach))


@part
def linked_share(space: Space, out: Outside, s: int, reach: float, tile: Ints) -> float:
    """The share of the words of ``tile``, inside of a unit, that its links can serve at most.

    The tile slides where a step is shorter than it. Timeloop's walk stands at the first or second step of every loop:
    the set before a first step is the whole tile, which equals none that a step brings in (tqhw/engine/links.py).
    """
    if not links_possible(space, out, s, reach):
        return 0.0
    first = 0
    while space.rank[s, first] != out.rank[s]:
        first += 1
    extent = rank_extent(space, s, first, tile)
    if space.linked_macs or out.words[s] >= extent:
        return 1.0
    if out.words[s] > reach:
        return 0.0
    new = out.words[s] / extent
    return float(min(1.0, new * out.again[s] * out.visits[s] / (out.full[s] + out.slide[s] * new)))


@part
def put_best_order(space: Space, factors: Ints, tile: Ints, out: Outside) -> None:
    """Puts a slot's loops around ``tile`` into a context, for every data space in the order that is best for it."""
    for s in range(space.relevant.shape[0]):
        reuse = 1.0
        share = 1.0
        moves = False
        for d in range(tile.shape[0]):
            if factors[d] == 1:
                continue
            if not space.relevant[s, d]:
                reuse *= factors[d]
                continue
            moves = True
            if space.rank[s, d] >= 0:
                share = min(share, halo_share(space, s, d, factors[d], tile, rank_extent(space, s, d, tile)))
        if moves:
            out.reuse[s] = reuse
            out.rank[s] = 0
            out.full[s] = share
            out.slide[s] = 0.0
            out.words[s] = 0.0
        else:
            out.reuse[s] *= reuse


@part
def objective_of(objective: int, energy_pj: float, cycles: float) -> float:
    """The objective of a code: the power of energy, and that of cycles times 8."""
    if objective == ENERGY:
        return energy_pj
    value = 1.0
    for _ in range(objective & 7):
        value *= energy_pj
    for _ in range(objective >> 3):
        value *= cycles
    return value


@part
def least(bound: Relaxation, q: int, t: int, out: Outside, strict: bool) -> float:
    """The least objective over the partial costs of tile ``t`` inside of slot q, in the context ``out``.

    ``strict``: without the partial costs whose links cannot happen there.
    """
    space, units_left = bound.space, bound.prices.units_left[q]
    partials = bound.work.start if q == 0 else bound.fronts.partials
    begin = 0 if q == 0 else bound.fronts.start[q, t]
    used = out.totals[USED]
    best = np.inf
    for k in range(begin, begin + bound.fronts.rows[q, t]):
        if used * partials[k, U] < space.least_used:
            continue
        energy = out.totals[SETTLED] + partials[k, C] - partials[k, E] * out.totals[FIRST]
        cycles = space.computes / (used * partials[k, U])
        if units_left:
            energy += out.totals[LEAKING] * cycles
        possible = True
        for s in range(space.relevant.shape[0]):
            at = HEAD + s * WIDTH
            extent = partials[k, at + X + out.rank[s]] if 0 <= out.rank[s] < 2 else 0.0
            share = share_of(out, s, extent)
            energy += (partials[k, at + A] / out.link[s] + partials[k, at + OPEN] / out.multicast[s]) * share
            energy += partials[k, at + SHUT] / out.multicast[s]
            if (
                strict
                and space.halo[s]
                and partials[k, LINK] > 0.0
                and not links_possible(space, out, s, partials[k, LINK])
            ):
                possible = False
        if possible:
            best = min(best, objective_of(bound.objective, energy, cycles))
    return best
