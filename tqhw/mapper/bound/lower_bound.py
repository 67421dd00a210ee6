"""Outside in: what the loops outside a tile make of the partial costs of its front."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import part
from tqhw.engine.model import Floats, Ints
from tqhw.mapper.bound.measure import measured
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
    halo_share,
    has_links,
    rank_extent,
)
from tqhw.mapper.bound.places import lies_further, overlap_share
from tqhw.mapper.bound.relaxation import Relaxation
from tqhw.mapper.bound.unit_gains import keeps_below, richest_move, share_along_all, unit_hop
from tqhw.mapper.space.arrays import HALO_RANKS, Space

# Totals: energy in pJ; the product of the reduction units; instances; what the levels decided leak, pJ per cycle.
SETTLED, FIRST, USED, LEAKING = range(4)
NEVER = 1e300  # cycles where no inside is below the limit; finite, for a mapping that costs nothing


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
    moves: Floats  # [S, Q * D, R] words along the halo ranks, by which loops move it that may stay within a unit
    n_moves: Ints  # [S]
    again: Floats  # [S] share of the visits by loops further out that move the tile by just that step
    visits: Floats  # [S] bound of the first relevant loop
    multicast: Floats  # [S] between here and the level that serves the data space
    link: Floats  # [S] gain of possible links for the fills right below
    totals: Floats  # [4] of all that is decided, see SETTLED and those after it
    throttled: Floats  # [P] cycles that every port takes for what is decided
    served: Floats  # [S] instances of the level that serves the data space


def make_outside(n_slots: int, n_dims: int, n_spaces: int, n_ports: int) -> Outside:
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
        moves=np.zeros((n_spaces, (n_slots + 1) * n_dims, HALO_RANKS)),
        n_moves=np.zeros(n_spaces, np.int64),
        again=spaces(),
        visits=spaces(),
        multicast=spaces(),
        link=spaces(),
        totals=np.zeros(4),
        throttled=np.zeros(n_ports),
        served=spaces(),
    )


@part
def move_along(space: Space, s: int, rank: int, first: int, j: int, out: Outside) -> float:
    """Words along a halo rank by which loop j moves data space s: its step, less those of the loops inside of it.

    ``first``: the innermost loop. What is inside of an advancing loop falls back.
    """
    move = 0.0
    for i in range(first, j + 1):
        if space.rank[s, out.dim[i]] == rank:
            step = float(space.coefficient[s, out.dim[i]] * out.step[i])
            move += step if i == j else -step
    return abs(move)


@part
def list_moves(space: Space, s: int, first: int, end: int, out: Outside) -> None:
    """Lists how the loops ``first`` .. ``end`` move a tile of data space s.

    From the first loop over a plain rank on, no move is one that lies between two elements of a unit.
    """
    n = 0
    for j in range(first, end):
        if space.relevant[s, out.dim[j]] and space.rank[s, out.dim[j]] < 0:
            break
        for r in range(HALO_RANKS):
            out.moves[s, n, r] = move_along(space, s, r, first, j, out)
        n += 1
    out.n_moves[s] = n


@part
def look_outside(space: Space, begin: int, end: int, out: Outside) -> None:
    """Fills reuse, full, slide, rank, words and what follows them from the loops ``begin`` .. ``end`` of the list.

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
        more = False
        out.rank[s] = rank
        out.words[s] = step
        out.n_moves[s] = 1
        for r in range(HALO_RANKS):
            out.moves[s, 0, r] = step if r == rank else 0.0
        out.again[s] = 0.0
        out.visits[s] = visits
        for i in range(first + 1, end):
            z = out.dim[i]
            if space.relevant[s, z]:
                more = more or space.rank[s, z] >= 0
                if space.rank[s, z] != rank:
                    break  # from here on every move leaves the old tile
                move = space.coefficient[s, z] * out.step[i] - inside
                inside += space.coefficient[s, z] * out.step[i]
                if move in (0, step):
                    part = (1.0 - 1.0 / out.bound[i]) / visits
                    full -= part
                    if move == step:
                        slide += part
                        out.again[s] += part
            visits *= out.bound[i]
        if more:
            list_moves(space, s, first, end, out)
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
def is_missing(space: Space, i: int, out: Outside) -> bool:
    """Whether loop i of the list is not there in the last pass of the loops outside of it (space/passes.py)."""
    d, inside = out.dim[i], out.step[i]
    before = space.actual[d] - 1
    return bool(before >= inside * out.bound[i] and before // inside % out.bound[i] == 0)


@part
def run_left(space: Space, s: int, t: int, n_loops: int, out: Outside) -> float:
    """What last passes leave of the traffic of tile t at least, with the first ``n_loops`` loops outside; without
    remainders 1.

    Less than all where the innermost loop that moves the tile may be missing, and one that does not stands before the
    next. With a halo, what else can follow is not looked at.
    """
    if not space.uneven or space.halo[s]:
        return float(space.run[s, t])
    first = 0
    while first < n_loops and not space.relevant[s, out.dim[first]]:
        first += 1
    last = first
    while last < n_loops and space.relevant[s, out.dim[last]]:
        if not is_missing(space, last, out):
            return 1.0
        last += 1
    if last == n_loops:
        return 1.0
    d = out.dim[first]
    tile = space.divisor[d, space.digits[t, d]]
    short = (space.actual[d] - 1) % (out.step[first] * out.bound[first]) + 1
    return float(1.0 - np.ceil(short / tile) / np.ceil(space.actual[d] / tile))


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
                share = min(share, halo_share(space, s, d, tile[d], factors[d], tile, rank_extent(space, s, d, tile)))
        if moves:
            out.reuse[s] = reuse
            out.rank[s] = 0
            out.full[s] = share
            out.slide[s] = 0.0
            out.words[s] = 0.0
            out.n_moves[s] = 1
            for r in range(HALO_RANKS):
                out.moves[s, 0, r] = 0.0
        else:
            out.reuse[s] *= reuse


@part
def throttled_cycles(bound: Relaxation, q: int, t: int, out: Outside) -> float:
    """The cycles that the ports take at least with any inside of tile ``t``, inside of slot q, in the context ``out``.

    Every port by itself takes the inside that is best for it and the compute units.
    """
    ports, used = bound.ports, out.totals[USED]
    partials = bound.work.start if q == 0 else ports.partials
    most = bound.least_cycles
    for p in range(ports.first.shape[0]):
        begin = 1 + p if q == 0 else ports.start[p, q, t]
        best = NEVER
        for k in range(begin, begin + ports.rows[p, q, t]):
            cycles = out.throttled[p] + (partials[k, C] - partials[k, E] * out.totals[FIRST]) / used
            for s in range(bound.space.relevant.shape[0]):
                at = HEAD + s * WIDTH
                extent = partials[k, at + X + out.rank[s]] if 0 <= out.rank[s] < 2 else 0.0
                share = share_of(out, s, extent)
                passed = out.multicast[s] * out.served[s]
                cycles += (partials[k, at + A] / (out.link[s] * used) + partials[k, at + OPEN] / passed) * share
                cycles += partials[k, at + SHUT] / passed
            best = min(best, max(cycles, bound.space.computes / (used * partials[k, U])))
        most = max(most, best)
    return most


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
        if used * partials[k, U] < space.least_used:
            continue
        energy = out.totals[SETTLED] + partials[k, C] - partials[k, E] * out.totals[FIRST]
        busy = space.computes / (used * partials[k, U])
        cycles = max(busy, throttled)
        if units_left:
            # With remainders a throttled mapping has fewer instances in use, and for fewer cycles: that is less than
            # the share of its cost that bounds hold for.
            energy += out.totals[LEAKING] * (busy if space.uneven else cycles)
        possible = True
        for s in range(space.relevant.shape[0]):
            at = HEAD + s * WIDTH
            extent = partials[k, at + X + out.rank[s]] if 0 <= out.rank[s] < 2 else 0.0
            share = share_of(out, s, extent)
            energy += (partials[k, at + A] / out.link[s] + partials[k, at + OPEN] / out.multicast[s]) * share
            energy += partials[k, at + SHUT] / out.multicast[s]
            if strict and space.halo[s] and has_links(partials[k]) and not may_link(space, out, s, partials[k]):
                possible = False
        if possible:
            best = min(best, measured(bound, energy, cycles))
    return best
