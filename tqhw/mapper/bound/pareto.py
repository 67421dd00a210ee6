"""Inside out: for every tile, the best that the loops inside it can cost, as a small set of cost points.

Point p replaces q where no context outside could make q the cheaper one (:func:`dominates`); a set that grows too
large is merged into fewer, better points. So the least over a set bounds the cost of every mapping from below.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import jit, part
from tqhw.engine.model import Floats, Ints
from tqhw.mapper.bound.lookahead import floor_of, keep_floor, pair_shares, tile_shares
from tqhw.mapper.bound.lower_bound import ENERGY
from tqhw.mapper.bound.partial_cost import (
    HEAD,
    LINK,
    OPEN,
    SHUT,
    WIDTH,
    A,
    C,
    E,
    Plan,
    U,
    X,
    Y,
    copy_point,
    first_point,
    keep_step,
    plan_block,
    spatial_step,
    temporal_cost,
    temporal_step,
)
from tqhw.mapper.space.arrays import Costs, Space
from tqhw.mapper.space.orders import Choices
from tqhw.mapper.space.tiles import first_below, fits_unit, next_below, split_tile


@bundle
class Fronts(NamedTuple):
    """Points of every tile inside of every slot; those of tile t inside of slot q are start[q, t] .. + rows[q, t].

    Inside of slot 0 there is one point of one tile, the compute unit.
    """

    start: Ints  # [Q + 1, N]
    rows: Ints  # [Q + 1, N]
    best: Floats  # [Q + 1, N] the least settled energy
    floor: Floats  # [Q] what every mapping costs at least that goes through a point around the slot
    points: Floats  # [M, HEAD + S * WIDTH]


@bundle
class Scratch(NamedTuple):
    """Work arrays of one sweep or search."""

    rows: Floats  # [cap, V]
    point: Floats  # [V]
    start: Floats  # [1, V] the first point
    plan: Plan
    shares: Floats  # [S] least shares of the traffic that is open at a tile,
    ideal: Floats  # [S] and at the tile inside of it
    at: Ints  # [D]
    tile: Ints
    above: Ints
    factors: Ints


@part
def dominates(p: Floats, q: Floats, spread: bool) -> bool:
    """No context outside makes q cheaper than p. ``spread``: the compute units used still matter."""
    if p[C] > q[C] or p[E] < q[E] or (spread and p[U] < q[U]):
        return False
    if p[LINK] > 0.0 and (q[LINK] == 0.0 or p[LINK] < q[LINK]):
        return False
    for at in range(HEAD, p.shape[0], WIDTH):
        if p[at + A] > q[at + A] or p[at + OPEN] > q[at + OPEN] or p[at + SHUT] > q[at + SHUT]:
            return False
        if (p[at + A] > 0.0 or p[at + OPEN] > 0.0) and (p[at + X] < q[at + X] or p[at + Y] < q[at + Y]):
            return False
    return True


@part
def insert(scratch: Floats, n: int, point: Floats, spread: bool) -> int:
    """Adds a point to the first ``n`` rows unless one dominates it; returns how many rows there are then."""
    for i in range(n):
        if dominates(scratch[i], point, spread):
            if i > 0:  # the next points are likely to be beaten by the same one
                for j in range(point.shape[0]):
                    scratch[i, j], scratch[i - 1, j] = scratch[i - 1, j], scratch[i, j]
            return n
    kept = 0
    for i in range(n):
        if not dominates(point, scratch[i], spread):
            if kept != i:
                copy_point(scratch[i], scratch[kept])
            kept += 1
    n = kept
    if n < scratch.shape[0]:
        copy_point(point, scratch[n])
        return n + 1
    # Full: merge into the point of nearest settled energy, of the same units if there is one, taking the better of
    # both in every respect.
    near = -1
    for i in range(n):
        alike = scratch[i, E] == point[E] and scratch[i, U] == point[U]
        if near >= 0:
            taken = scratch[near, E] == point[E] and scratch[near, U] == point[U]
            if taken and not alike:
                continue
            closer = abs(scratch[i, C] - point[C]) < abs(scratch[near, C] - point[C])
            if alike == taken and not closer:
                continue
        near = i
    row = scratch[near]
    row[C] = min(row[C], point[C])
    row[E] = max(row[E], point[E])
    row[U] = max(row[U], point[U])
    row[LINK] = 0.0 if row[LINK] == 0.0 or point[LINK] == 0.0 else max(row[LINK], point[LINK])
    for at in range(HEAD, point.shape[0], WIDTH):
        for j in range(at, at + X):
            row[j] = min(row[j], point[j])
        for j in range(at + X, at + WIDTH):
            row[j] = max(row[j], point[j])
    return n


@part
def ceiling(point: Floats) -> float:
    """What a point costs at most, if nothing outside divides its open traffic; inf if that depends on links."""
    if point[LINK] > 0.0:
        return np.inf
    total = float(point[C])
    for at in range(HEAD, point.shape[0], WIDTH):
        total += point[at + A] + point[at + OPEN] + point[at + SHUT]
    return total


@part
def sweep_tile(
    space: Space,
    costs: Costs,
    choices: Choices,
    fronts: Fronts,
    objective: int,
    q: int,
    t: int,
    ahead_pj: float,
    limit: float,
    spread: bool,
    work: Scratch,
) -> int:
    """Collects the points of tile t around slot q in work.rows; returns how many.

    ``ahead_pj``: what tile and slots outside cost at least; points that cannot stay below ``limit`` are left out.
    """
    n_dims = space.bounds.shape[0]
    temporal = not space.spatial[q]
    for d in range(n_dims):
        work.above[d] = space.divisor[d, space.digits[t, d]]
    n = 0
    # Once no unit is left outside, a settled energy above another point's ceiling is beaten in every context.
    roof = np.inf
    comparable = temporal and not spread
    limited = temporal and not costs.units_left[q] and limit < np.inf
    inside = first_below(space, q, t, fronts.rows[q], work.at)
    while inside >= 0:
        least_pj = fronts.best[q, inside]
        beaten = least_pj >= roof or (comparable and objective == ENERGY and least_pj + ahead_pj >= limit)
        if not beaten:
            mask = split_tile(space, t, inside, work.tile, work.factors)
            begin = fronts.start[q, inside]
            inner = 0  # dimensions that may stand innermost, as a bit mask; for units: with links or without
            if temporal:
                inner = choices.inner[q, mask]
                plan_block(space, work.factors, work.plan)
                if limited:
                    pair_shares(space, work.factors, work.tile, work.plan, work.shares, work.ideal)
            else:
                for o in range(choices.rows[q, mask]):
                    if fits_unit(space, choices, q, work.factors, choices.start[q, mask] + o):
                        inner = 3 if mask > 0 else 1
                        break
            for k in range(begin, begin + fronts.rows[q, inside]):
                point = fronts.points[k]
                if limited and floor_of(space, objective, q - 1, ahead_pj, work.ideal, point) >= limit:
                    continue
                for i in range(n_dims):
                    if not inner >> i & 1:
                        continue
                    if temporal:
                        first = i if mask > 0 else -1
                        total = temporal_cost(space, costs, q, first, work.factors, work.tile, work.plan, point)
                        if total >= roof:
                            continue
                        temporal_step(space, costs, q, total, work.plan, point, work.point)
                        if comparable:
                            roof = min(roof, ceiling(work.point))
                    elif not spatial_step(
                        space, costs, q, work.factors, work.tile, work.above, i == 1, point, work.point
                    ):
                        continue
                    floor = floor_of(space, objective, q, ahead_pj, work.shares, work.point)
                    if floor < limit:
                        fronts.floor[q] = min(fronts.floor[q], floor)
                        n = insert(work.rows, n, work.point, spread)
        inside = next_below(space, q, t, fronts.rows[q], work.at, inside)
    return n


@jit
def sweep(
    space: Space,
    costs: Costs,
    choices: Choices,
    fronts: Fronts,
    objective: int,
    q: int,
    begin: int,
    end: int,
    used: int,
    ahead: Floats,
    limit: float,
    spread: bool,
    work: Scratch,
) -> tuple[int, int]:
    """Points around slot q for tiles from ``begin`` to ``end``.

    Returns (next tile, rows used); the tile is less than ``end`` if rows ran out. ``ahead`` [Q, N]: see
    :func:`look_ahead`. Only mappings below ``limit`` count.
    """
    if begin == 0:
        fronts.floor[q] = np.inf
        if q == 0:
            first_point(space, costs, fronts.points[0])
            fronts.best[0, 0] = fronts.points[0, C]
    for t in range(begin, end):
        fronts.start[q + 1, t] = used
        fronts.rows[q + 1, t] = 0
        fronts.best[q + 1, t] = np.inf
        if used + work.rows.shape[0] > fronts.points.shape[0]:
            return t, used
        least_pj = ahead[q, t]
        if least_pj == np.inf or (objective == ENERGY and least_pj >= limit):
            continue
        tile_shares(space, q, t, work.tile, work.shares)
        if not space.spatial[q]:
            least_pj += keep_floor(space, costs, q, t, work.shares)
        n = sweep_tile(space, costs, choices, fronts, objective, q, t, least_pj, limit, spread, work)
        for k in range(n):
            if not space.spatial[q]:
                keep_step(space, costs, q, t, work.rows[k])
            copy_point(work.rows[k], fronts.points[used + k])
            fronts.best[q + 1, t] = min(fronts.best[q + 1, t], work.rows[k, C])
        fronts.rows[q + 1, t] = n
        used += n
    return end, used
