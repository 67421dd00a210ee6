"""Inside out: for every tile, the best that the loops inside it can cost, as a small set of cost points.

A point sums up one way to map the inside of a tile. What it still owes depends on the loops outside:

====  =======================================================================================================
C     settled energy, pJ
E     energy that first visits of outputs save, to be multiplied by reduction units further out
U     compute units used
LINK  above 0: the point counts on neighbour links; they need a loop outside whose step is at most this
A     per data space: fill energy that loops outside divide while they are irrelevant (its *run* is open)
OPEN  per data space: parent energy with an open run, to be divided by multicast units as well
SHUT  per data space: parent energy, run closed, to be divided by multicast units
X, Y  per data space: words along the halo ranks of the tile that moves
====  =======================================================================================================

Point p replaces q where no context outside could make q the cheaper one (:func:`dominates`). docs/mapper.md proves
that no mapping costs less than the best point says.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.jit import jit
from tqhw.engine.model import Floats, Ints
from tqhw.mapper.loops import Choices
from tqhw.mapper.tables import Costs, Space

C, E, U, LINK, HEAD = 0, 1, 2, 3, 4
A, OPEN, SHUT, X, Y, WIDTH = 0, 1, 2, 3, 4, 5


class Fronts(NamedTuple):
    """Points of every tile after every slot; those of tile t after slot q are start[q, t] .. + rows[q, t]."""

    start: Ints  # [Q, N]
    rows: Ints  # [Q, N]
    best: Floats  # [Q, N] the least settled energy, less what first visits may save at most
    points: Floats  # [M, HEAD + S * WIDTH]


@jit
def copy_point(source: Floats, target: Floats) -> None:
    for i in range(source.shape[0]):
        target[i] = source[i]


@jit
def halo_share(space: Space, s: int, y: int, bound: int, tile: Ints, extent: float) -> float:
    """Least share of a tile that the visits of loop y fetch on average: y moves it by less than its extent.

    ``tile``: iterations per dimension inside the loop. See "Sliding" in docs/mapper.md for the three cases.
    """
    share = min(1.0, space.coefficient[s, y] * tile[y] / extent)
    for z in range(tile.shape[0]):
        # With a loop of the rank's other dimension outside, moves may cancel: a return can be free.
        if z != y and space.rank[s, z] == space.rank[s, y] and space.bounds[z] > tile[z]:
            return float((1.0 - 1.0 / bound) * share)
    if bound == 2 and space.bounds[y] > tile[y] * bound:
        return float(share)
    return float(share + (1.0 - share) / bound)


@jit
def link_step(space: Space, s: int, y: int, tile: Ints) -> float:
    """Words that one step of a loop over y, outside of ``tile``, moves data space s along its halo rank."""
    return float(space.coefficient[s, y] * tile[y])


@jit
def close_run(costs: Costs, s: int, settle: bool, factor: float, point: Floats) -> None:
    """A relevant loop ends the run of data space s; ``factor`` is what the loops up to here leave of its traffic."""
    at = HEAD + s * WIDTH
    point[C] += point[at + A] * factor
    if settle:
        point[C] += point[at + OPEN] * factor
    else:
        point[at + SHUT] += point[at + OPEN] * factor
    point[at + A] = 0.0
    point[at + OPEN] = 0.0
    point[at + X] = 0.0
    point[at + Y] = 0.0


@jit
def temporal_step(
    space: Space, costs: Costs, q: int, inner: int, factors: Ints, tile: Ints, point: Floats, out: Floats
) -> bool:
    """Puts temporal loops with ``inner`` innermost around a point; False if its links cannot happen then."""
    n_spaces, n_dims = space.relevant.shape
    copy_point(point, out)
    level = space.level[q]
    for s in range(n_spaces):
        at = HEAD + s * WIDTH
        is_open = point[at + A] > 0.0 or point[at + OPEN] > 0.0
        if not is_open and (point[LINK] == 0.0 or not space.halo[s]):
            continue
        run = 1.0
        moves = False
        for d in range(n_dims):
            if factors[d] > 1:
                if space.relevant[s, d]:
                    moves = True
                else:
                    run *= factors[d]
        if not moves:
            out[at + A] = point[at + A] / run
            out[at + OPEN] = point[at + OPEN] / run
            continue
        share = 1.0
        linked = False
        first = space.relevant[s, inner]
        for y in range(n_dims):
            if factors[y] > 1 and space.rank[s, y] >= 0 and (y == inner or not first):
                extent = 0.0
                if space.rank[s, y] < 2:
                    extent = point[at + X + space.rank[s, y]]
                # The extent of a third halo rank is not kept: its overlap may be anything.
                least = halo_share(space, s, y, factors[y], tile, extent) if extent > 0.0 else 0.0
                share = min(share, least)
                linked = linked or link_step(space, s, y, tile) <= point[LINK]
        if space.halo[s] and point[LINK] > 0.0:
            if not linked:
                return False
            out[LINK] = 0.0
        if not is_open:
            continue
        if first:
            run = 1.0
        settle = costs.keep[level, s] or not costs.more_units[q + 1, s]
        close_run(costs, s, settle, share / run, out)
    return True


@jit
def spatial_gains(
    space: Space, costs: Costs, q: int, s: int, factors: Ints, tile: Ints, above: Ints
) -> tuple[float, float, float]:
    """(multicast, further gain if links happen, words the links reach) of a unit for data space s.

    ``tile``/``above``: iterations per dimension inside and with the unit. The reach is 0 where no link can happen.
    """
    n_dims = tile.shape[0]
    multicast = 1.0
    sliding = 1.0
    for d in range(n_dims):
        if factors[d] > 1:
            if not space.relevant[s, d]:
                multicast *= factors[d]
            elif space.rank[s, d] >= 0:
                sliding *= factors[d]
    if sliding == 1.0:
        return multicast, 1.0, 0.0
    level = space.level[q]
    # Elements whose offsets along a rank agree share their words; links save words only right above a keeping level.
    below_keeps = level == 0 or costs.keep[level - 1, s]
    shared = 1.0
    reach = 0.0
    for r in range(n_dims):
        product = 1.0
        widest = 1.0
        span = 0.0
        for d in range(n_dims):
            if space.rank[s, d] == r and factors[d] > 1:
                product *= factors[d]
                widest = max(widest, float(factors[d]))
                span += (factors[d] - 1) * space.coefficient[s, d] * tile[d]
        if product > 1.0:
            shared *= product / widest
            outside = 0
            least = 0.0
            for d in range(n_dims):
                if space.rank[s, d] == r and space.bounds[d] > above[d]:
                    outside += 1
                    least = link_step(space, s, d, above)
            if outside > 1:
                reach = max(reach, np.inf)
            elif outside == 1 and least <= span:
                reach = max(reach, span)
    if not below_keeps or reach == 0.0:
        return multicast * shared, 1.0, 0.0
    return multicast * shared, sliding / shared, reach


@jit
def links_to_macs(space: Space, s: int, point: Floats) -> None:
    """Right above the compute units a neighbour may still hold the word of an operation that does not move it.

    The units hand it on over links, so that visits without a move cost their parent nothing: a run like that of a
    tile of one word.
    """
    at = HEAD + s * WIDTH
    point[at + OPEN] += point[at + SHUT]
    point[at + SHUT] = 0.0
    for r in range(at + X, at + WIDTH):
        point[r] = 1.0 if space.halo[s] else 0.0


@jit
def spatial_step(
    space: Space,
    costs: Costs,
    q: int,
    factors: Ints,
    tile: Ints,
    above: Ints,
    linked: bool,
    point: Floats,
    out: Floats,
) -> bool:
    """Puts a unit around a point, counting on links or not; False if that cannot be."""
    n_spaces, n_dims = space.relevant.shape
    copy_point(point, out)
    used = 1.0
    for d in range(n_dims):
        used *= factors[d]
    out[U] = point[U] * used
    any_link = False
    for s in range(n_spaces):
        at = HEAD + s * WIDTH
        multicast, gain, reach = spatial_gains(space, costs, q, s, factors, tile, above)
        if s == space.output:
            for d in range(n_dims):
                if not space.relevant[s, d]:
                    out[E] *= factors[d]
        if linked and reach > 0.0:
            any_link = True
            out[LINK] = max(out[LINK], reach)
            multicast *= gain
            out[at + A] /= gain
        if space.level[q] == 0 and multicast > 1.0:
            links_to_macs(space, s, out)
        out[at + OPEN] /= multicast
        out[at + SHUT] /= multicast
        if space.halo[s] and point[LINK] > 0.0:
            possible = False
            for y in range(n_dims):
                if space.rank[s, y] >= 0 and space.bounds[y] > above[y]:
                    possible = possible or link_step(space, s, y, above) <= point[LINK]
            if not possible:
                return False
    if linked and not any_link:
        return False
    if not costs.units_left[q + 1]:
        # No unit changes these any more.
        out[C] -= out[E]
        out[E] = 0.0
        for i in range(space.level[q], costs.leak_pj.shape[0]):
            out[C] += costs.leak_pj[i] * space.computes / out[U]
    return True


@jit
def keep_step(space: Space, costs: Costs, q: int, t: int, point: Floats) -> None:
    """Level ``level[q]`` with tile t: traffic from below arrives, its own begins."""
    level = space.level[q]
    units = costs.units_left[q + 1]
    if units:
        point[C] += costs.leak_pj[level] * space.computes / point[U]
    for s in range(space.relevant.shape[0]):
        if not costs.keep[level, s]:
            continue
        at = HEAD + s * WIDTH
        point[C] += point[at + SHUT]
        point[at + SHUT] = 0.0
        was_open = point[at + A] + point[at + OPEN]
        moved = space.computes * space.words[s, t] / space.iterations[t]
        point[at + A] = was_open + moved * costs.fill_pj[level, s]
        point[at + OPEN] = moved * costs.parent_pj[level + 1, s]
        for r in range(2):
            inside = point[at + X + r] if was_open > 0.0 else 0.0
            point[at + X + r] = max(inside, space.extent[s, r, t]) if space.halo[s] else 0.0
        if s == space.output:
            first = costs.first_pj[level] * space.words[s, space.iterations.shape[0] - 1]
            if units:
                point[E] += first
            else:
                point[C] -= first


@jit
def first_point(space: Space, costs: Costs, point: Floats) -> None:
    """The inside of a compute unit: one iteration, one word of every data space per operation."""
    point[:] = 0.0
    point[C] = costs.constant_pj
    point[U] = 1.0
    if not costs.units_left[0]:
        for i in range(costs.leak_pj.shape[0]):
            point[C] += costs.leak_pj[i] * space.computes
    for s in range(space.relevant.shape[0]):
        at = HEAD + s * WIDTH
        # No word stays in a compute unit: every operation asks for its words anew.
        point[at + SHUT] = space.computes * costs.parent_pj[0, s]


@jit
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


@jit
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
    # Full: merge into the point of nearest settled energy, taking the better of both in every respect.
    near = 0
    for i in range(n):
        if abs(scratch[i, C] - point[C]) < abs(scratch[near, C] - point[C]):
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


@jit
def fits_unit(space: Space, choices: Choices, q: int, factors: Ints, variant: int) -> bool:
    """Whether a spatial order and split stay inside the fan-out's own columns and rows."""
    x = 1
    y = 1
    for i in range(choices.order.shape[1]):
        d = choices.order[variant, i]
        if d >= 0:
            if i < choices.along_x[variant]:
                x *= factors[d]
            else:
                y *= factors[d]
    return bool(x <= space.fanout[q, 0] and y <= space.fanout[q, 1])


@jit
def next_below(space: Space, q: int, t: int, at: Ints, tile: Ints, factors: Ints) -> int:
    """Steps the odometer ``at`` to the next tile that slot q allows inside tile t; its number, or -1 at the end."""
    n_dims = at.shape[0]
    d = 0
    while d < n_dims:
        at[d] += 1
        if at[d] < space.n_below[q, d, space.digits[t, d]]:
            break
        at[d] = 0
        d += 1
    if d == n_dims:
        return -1
    return current_below(space, q, t, at, tile, factors)


@jit
def current_below(space: Space, q: int, t: int, at: Ints, tile: Ints, factors: Ints) -> int:
    """The tile that the odometer shows; fills its iterations and the slot's factors."""
    number = 0
    for d in range(at.shape[0]):
        b = space.digits[t, d]
        a = space.below[q, d, b, at[d]]
        number += a * space.radix[d]
        tile[d] = space.divisor[d, a]
        factors[d] = space.divisor[d, b] // tile[d]
    return number


@jit
def first_below(space: Space, q: int, t: int, at: Ints, tile: Ints, factors: Ints) -> int:
    """Sets the odometer to the first tile inside t; -1 if there is none."""
    for d in range(at.shape[0]):
        at[d] = 0
        if space.n_below[q, d, space.digits[t, d]] == 0:
            return -1
    return current_below(space, q, t, at, tile, factors)


@jit
def fits_level(space: Space, costs: Costs, level: int, t: int) -> bool:
    """Whether the kept tiles of tile t fit a level."""
    words = 0.0
    for s in range(space.relevant.shape[0]):
        if costs.keep[level, s]:
            words += space.words[s, t]
    return bool(words <= costs.capacity[level])


class Scratch(NamedTuple):
    """Work arrays of the sweep."""

    rows: Floats  # [cap, V]
    point: Floats  # [V]
    at: Ints  # [D]
    tile: Ints
    above: Ints
    factors: Ints
    start: Floats  # [1, V] the first point


@jit
def sweep(
    space: Space,
    costs: Costs,
    choices: Choices,
    fronts: Fronts,
    q: int,
    begin: int,
    used: int,
    spread: bool,
    work: Scratch,
) -> tuple[int, int]:
    """Points of slot q from tile ``begin`` on; (next tile, rows used): less than all tiles if the rows ran out."""
    n_tiles, n_dims = space.digits.shape
    temporal = not space.spatial[q]
    first_point(space, costs, work.start[0])
    for t in range(begin, n_tiles):
        fronts.start[q, t] = used
        fronts.rows[q, t] = 0
        fronts.best[q, t] = np.inf
        if used + work.rows.shape[0] > fronts.points.shape[0]:
            return t, used
        if temporal and not fits_level(space, costs, space.level[q], t):
            continue
        for d in range(n_dims):
            work.above[d] = space.divisor[d, space.digits[t, d]]
        n = 0
        inside = first_below(space, q, t, work.at, work.tile, work.factors)
        while inside >= 0:
            if q == 0:
                rows = 1 if inside == 0 else 0
                first_row = 0
            else:
                rows = fronts.rows[q - 1, inside]
                first_row = fronts.start[q - 1, inside]
            if rows > 0:
                mask = 0
                for d in range(n_dims):
                    if work.factors[d] > 1:
                        mask |= 1 << d
                if mask == 0 or temporal:
                    for k in range(rows):
                        point = work.start[0] if q == 0 else fronts.points[first_row + k]
                        if mask == 0 and temporal:
                            n = insert(work.rows, n, point, spread)
                            continue
                        if mask == 0:
                            if spatial_step(
                                space, costs, q, work.factors, work.tile, work.above, False, point, work.point
                            ):
                                n = insert(work.rows, n, work.point, spread)
                            continue
                        seen = 0
                        for o in range(choices.rows[q, mask]):
                            inner = choices.order[choices.start[q, mask] + o, 0]
                            if seen >> inner & 1:
                                continue
                            seen |= 1 << inner
                            if temporal_step(space, costs, q, inner, work.factors, work.tile, point, work.point):
                                n = insert(work.rows, n, work.point, spread)
                else:
                    fits = False
                    for o in range(choices.rows[q, mask]):
                        if fits_unit(space, choices, q, work.factors, choices.start[q, mask] + o):
                            fits = True
                            break
                    if fits:
                        for k in range(rows):
                            point = work.start[0] if q == 0 else fronts.points[first_row + k]
                            for linked in range(2):
                                if spatial_step(
                                    space,
                                    costs,
                                    q,
                                    work.factors,
                                    work.tile,
                                    work.above,
                                    linked == 1,
                                    point,
                                    work.point,
                                ):
                                    n = insert(work.rows, n, work.point, spread)
            inside = next_below(space, q, t, work.at, work.tile, work.factors)
        for k in range(n):
            if temporal:
                keep_step(space, costs, q, t, work.rows[k])
            copy_point(work.rows[k], fronts.points[used + k])
            fronts.best[q, t] = min(fronts.best[q, t], work.rows[k, C] - work.rows[k, E])
        fronts.rows[q, t] = n
        used += n
    return n_tiles, used
