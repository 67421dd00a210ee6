"""The loops outside of a tile: how often its words come again, and by how much every one of them moves it.

The engine's walk (tqhw/engine/walk.py) as shares of all visits. docs/mapper.md, "Sliding".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import part
from tqhw.engine.model import Floats, Ints
from tqhw.mapper.bound.partial_cost import halo_share, rank_extent
from tqhw.mapper.space.arrays import HALO_RANKS, Space

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
