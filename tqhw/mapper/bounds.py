"""Outside in: what the loops outside a tile make of the points of its front."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.jit import part
from tqhw.engine.model import Floats, Ints
from tqhw.mapper.points import HEAD, LINK, OPEN, SHUT, WIDTH, A, C, E, U, X
from tqhw.mapper.tables import Costs, Space

# How a data space with a halo fares at its innermost relevant loop: full fetches; a step overlaps and every other
# visit is full; every visit may overlap; other visits may even be free. See "Sliding" in docs/mapper.md.
FULL, STEP_OVERLAPS, ALL_OVERLAP, MAY_BE_FREE = range(4)
ENERGY, EDP, LATENCY = range(3)


class Outside(NamedTuple):
    """The loops outside a tile, as the data spaces see them. Axis S."""

    dim: Ints  # [Q * D] temporal loops decided so far, innermost first
    bound: Ints
    step: Ints
    run: Floats  # [S] product of the loops before the first relevant one
    kind: Ints  # [S]
    rank: Ints  # [S] halo rank of the first relevant loop
    words: Floats  # [S] words that one step of it moves the tile
    turns: Floats  # [S] its bound
    multicast: Floats  # [S] between here and the level that serves the data space
    link: Floats  # [S] gain of possible links for the fills right below


@part
def look_outside(space: Space, n_loops: int, out: Outside) -> None:
    """Fills run, kind, rank, words and turns from the first ``n_loops`` loops."""
    for s in range(space.relevant.shape[0]):
        run = 1.0
        first = 0
        while first < n_loops and not space.relevant[s, out.dim[first]]:
            run *= out.bound[first]
            first += 1
        out.run[s] = run
        out.kind[s] = FULL
        out.rank[s] = -1
        if first == n_loops:
            continue
        y = out.dim[first]
        rank = space.rank[s, y]
        if rank < 0:
            continue
        out.rank[s] = rank
        out.words[s] = space.coefficient[s, y] * out.step[first]
        out.turns[s] = out.bound[first]
        kind = STEP_OVERLAPS
        for i in range(first + 1, n_loops):
            z = out.dim[i]
            if not space.relevant[s, z]:
                continue
            if space.rank[s, z] != rank:
                break
            if z != y:
                kind = MAY_BE_FREE
                break
            if out.step[i] == 2 * out.step[first]:
                kind = ALL_OVERLAP
        out.kind[s] = kind


@part
def share_of(kind: int, words: float, turns: float, extent: float) -> float:
    """Least share of the tile that a visit fetches on average."""
    if kind == FULL:
        return 1.0
    if extent == 0.0:
        return 0.0
    overlap = min(1.0, words / extent)
    if kind == MAY_BE_FREE:
        return (1.0 - 1.0 / turns) * overlap
    if kind == ALL_OVERLAP:
        return overlap
    return overlap + (1.0 - overlap) / turns


@part
def tile_share(space: Space, s: int, t: int, out: Outside) -> float:
    """What the loops outside leave of the traffic that tile t of data space s would have without reuse."""
    if out.rank[s] < 0:
        return float(1.0 / out.run[s])
    extent = space.extent[s, out.rank[s], t] if out.rank[s] < 2 else 0.0
    return float(share_of(out.kind[s], out.words[s], out.turns[s], extent) / out.run[s])


@part
def links_possible(out: Outside, s: int, reach: float) -> bool:
    """Whether a step of the loops outside can move data space s to a neighbour within ``reach`` words."""
    return bool(out.rank[s] >= 0 and (out.kind[s] == MAY_BE_FREE or out.words[s] <= reach))


@part
def objective_of(objective: int, energy_pj: float, cycles: float) -> float:
    if objective == ENERGY:
        return energy_pj
    if objective == EDP:
        return energy_pj * cycles
    return cycles


@part
def least(
    space: Space,
    costs: Costs,
    objective: int,
    points: Floats,
    begin: int,
    n: int,
    units_left: bool,
    settled: float,
    first_visits: float,
    used: float,
    leaking: float,
    out: Outside,
) -> float:
    """The least objective over the points begin .. begin + n of a tile in the context ``out``."""
    best = np.inf
    for k in range(begin, begin + n):
        energy = settled + points[k, C] - points[k, E] * first_visits
        cycles = space.computes / (used * points[k, U])
        if units_left:
            energy += leaking * cycles
        possible = True
        for s in range(space.relevant.shape[0]):
            at = HEAD + s * WIDTH
            share = 1.0 / out.run[s]
            if out.rank[s] >= 0:
                extent = points[k, at + X + out.rank[s]] if out.rank[s] < 2 else 0.0
                share *= share_of(out.kind[s], out.words[s], out.turns[s], extent)
            energy += (points[k, at + A] / out.link[s] + points[k, at + OPEN] / out.multicast[s]) * share
            energy += points[k, at + SHUT] / out.multicast[s]
            if space.halo[s] and points[k, LINK] > 0.0 and not links_possible(out, s, points[k, LINK]):
                possible = False
        if possible:
            best = min(best, objective_of(objective, energy, cycles))
    return best
