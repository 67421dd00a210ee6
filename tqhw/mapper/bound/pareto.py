"""Inside out: for every tile, the best that the loops inside it can cost, as a small set of partial costs.

The set is a Pareto front: partial cost p replaces q where no context outside could make q the cheaper one
(:func:`dominates`). A front that grows too large is merged into fewer, better partial costs. So the least over a front
bounds the cost of every mapping from below.
"""

from __future__ import annotations

import numpy as np

from tqhw.engine.jit import jit, part
from tqhw.engine.model import Floats
from tqhw.mapper.bound.lookahead import floor_of, look_from, objective_from
from tqhw.mapper.bound.measure import ENERGY
from tqhw.mapper.bound.outlook import COPIES, LEAK, MOST, STRICT, Outlook, look_at_pair
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
    Y,
    copy_partial,
    fill_block,
    first_partial,
    has_links,
    keep_step,
    spatial_step,
    temporal_cost,
    temporal_step,
)
from tqhw.mapper.bound.places import common_step
from tqhw.mapper.bound.relaxation import Relaxation
from tqhw.mapper.bound.unit_orders import gain_in_orders, orders_count
from tqhw.mapper.space.arrays import HALO_RANKS
from tqhw.mapper.space.tiles import fits_somehow, list_filled, list_inside, split_tile


@part
def dominates(p: Floats, q: Floats, look: Outlook, alive: bool) -> bool:
    """No context outside makes q [J, V] cheaper than p; ``alive``: of those in which q has a floor below the limit."""
    dominated = True
    for j in range(p.shape[0]):
        dominated = dominated and dominates_in(p[j], q[j], look, alive)
    return dominated


@part
def dominates_in(p: Floats, q: Floats, look: Outlook, alive: bool) -> bool:
    """The same of one cost.

    What p saves in one respect pays for what it costs in another: every share that ``look`` does not know counts as all
    where p has more, and as the least where q has.
    """
    if look.terms[STRICT] > 0.0 and p[U] < q[U]:
        return False
    if has_links(p) and not (has_links(q) and reaches_as_far(p, q)):
        return False
    first = max(q[E] - p[E], (q[E] - p[E]) * look.terms[COPIES])
    fixed = p[C] - q[C] + first
    if p[U] < q[U]:
        fixed += look.terms[LEAK] * (1.0 / p[U] - 1.0 / q[U])
    for s in range(look.units.shape[0]):
        at = HEAD + s * WIDTH
        fixed += left_of(p[at + SHUT] - q[at + SHUT], look.units[s], look.terms[MOST])
        if (p[at + A] > 0.0 or p[at + OPEN] > 0.0) and (p[at + X] < q[at + X] or p[at + Y] < q[at + Y]):
            return False
    for k in range(look.alive.shape[0]):
        if look.ahead[0, k] == np.inf or (alive and not look.alive[k]):
            continue
        total = fixed
        for s in range(look.units.shape[0]):
            at = HEAD + s * WIDTH
            total += left_of(p[at + A] - q[at + A], look.fill[k, s], 1.0)
            total += left_of(p[at + OPEN] - q[at + OPEN], look.open[k, s], look.terms[MOST])
        if total > 0.0:
            return False
    return True


@part
def reaches_as_far(p: Floats, q: Floats) -> bool:
    """Whether all moves that links of q can serve may be served by those of p."""
    if p[ALONG] > q[ALONG]:
        return False
    for r in range(HALO_RANKS):
        if p[LINK + r] < q[LINK + r] or (q[LINK + r] > 0.0 and q[GRID + r] % p[GRID + r] != 0.0):
            return False
    return True


@part
def left_of(more: float, least: float, most: float) -> float:
    """The most that a difference of traffic can become, of which a share between ``least`` and ``most`` is left."""
    return more * most if more > 0.0 else more * least


@part
def insert(scratch: Floats, n: int, partial: Floats, look: Outlook) -> int:
    """Adds a partial cost to the first ``n`` rows unless one dominates it; returns how many rows there are then."""
    for i in range(n):
        if dominates(scratch[i], partial, look, True):
            if i > 0:  # the next partial costs are likely to be beaten by the same one
                for j in range(partial.shape[0]):
                    for v in range(partial.shape[1]):
                        scratch[i, j, v], scratch[i - 1, j, v] = scratch[i - 1, j, v], scratch[i, j, v]
            return n
    kept = 0
    for i in range(n):
        if not dominates(partial, scratch[i], look, False):
            if kept != i:
                copy_partials(scratch[i], scratch[kept])
            kept += 1
    n = kept
    if n < scratch.shape[0]:
        copy_partials(partial, scratch[n])
        return n + 1
    # Full: merge into the one of nearest settled cost, of the same units if there is one.
    near = -1
    for i in range(n):
        alike = uses_alike(scratch[i], partial)
        if near >= 0:
            taken = uses_alike(scratch[near], partial)
            if taken and not alike:
                continue
            closer = distance(scratch[i], partial) < distance(scratch[near], partial)
            if alike == taken and not closer:
                continue
        near = i
    for j in range(partial.shape[0]):
        merge(scratch[near, j], partial[j])
    return n


@part
def uses_alike(p: Floats, q: Floats) -> bool:
    """Whether what depends on units used is the same."""
    alike = True
    for j in range(p.shape[0]):
        alike = alike and p[j, E] == q[j, E] and p[j, U] == q[j, U]
    return alike


@part
def distance(p: Floats, q: Floats) -> float:
    """How far apart settled costs are."""
    total = 0.0
    for j in range(p.shape[0]):
        total += abs(p[j, C] - q[j, C])
    return total


@part
def merge(row: Floats, partial: Floats) -> None:
    """Takes the better of both in every respect."""
    row[C] = min(row[C], partial[C])
    row[E] = max(row[E], partial[E])
    row[U] = max(row[U], partial[U])
    linked = has_links(row) and has_links(partial)
    row[ALONG] = min(row[ALONG], partial[ALONG]) if linked else 0.0
    for r in range(HALO_RANKS):
        row[LINK + r] = max(row[LINK + r], partial[LINK + r]) if linked else 0.0
        row[GRID + r] = common_step(int(row[GRID + r]), int(partial[GRID + r])) if linked else 0.0
    for at in range(HEAD, partial.shape[0], WIDTH):
        for j in range(at, at + X):
            row[j] = min(row[j], partial[j])
        for j in range(at + X, at + WIDTH):
            row[j] = max(row[j], partial[j])


@part
def ceiling(partial: Floats) -> float:
    """What a partial cost costs at most, if nothing outside divides its open traffic; inf if that depends on links."""
    if has_links(partial):
        return np.inf
    total = float(partial[C])
    for at in range(HEAD, partial.shape[0], WIDTH):
        total += partial[at + A] + partial[at + OPEN] + partial[at + SHUT]
    return total


@part
def copy_partials(source: Floats, target: Floats) -> None:
    for j in range(source.shape[0]):
        copy_partial(source[j], target[j])


@part
def floor_around(
    bound: Relaxation, q: int, inner: int, any_loop: bool, partials: Floats, roof: float, limit: float
) -> float:
    """Puts slot q around ``partials`` [J, V], to work.partial; the floor, inf if that cannot be or costs ``roof``.

    The loops or units of work.factors around work.tile. ``inner``: the dimension innermost, where there is
    ``any_loop``; of units, 1 + the way that words move by links.
    """
    space, prices, work = bound.space, bound.prices, bound.work
    for j in range(partials.shape[0]):
        partial, out = partials[j], work.partial[j]
        if space.spatial[q]:
            way = inner - 1
            if not spatial_step(
                space, prices, q, work.factors, work.tile, work.above, work.most_gain, way, partial, out
            ):
                return np.inf
        else:
            first = inner if any_loop else -1
            total = temporal_cost(space, prices, q, first, work.factors, work.tile, work.block, partial)
            if total >= roof:
                return np.inf
            temporal_step(space, prices, q, total, work.block, partial, out)
    return floor_of(bound, q, limit, work.partial)


@part
def sweep_tile(bound: Relaxation, q: int, t: int, n_filled: int, limit: float) -> int:
    """Collects the partial costs of tile t around slot q in work.rows; returns how many.

    ``n_filled``: of work.filled. What cannot stay below ``limit`` is left out.
    """
    space, prices, orders, objective = bound.space, bound.prices, bound.orders, bound.objective
    fronts, work = bound.fronts, bound.work
    n_dims = space.bounds.shape[0]
    temporal = not space.spatial[q]
    for d in range(n_dims):
        work.above[d] = space.divisor[d, space.digits[t, d]]
    n = 0
    # Once no unit is left outside, a settled energy above another partial cost's ceiling is beaten in every context.
    roof = np.inf
    comparable = temporal and not prices.units_left[q + 1] and objective == ENERGY and not prices.per_instance
    limited = temporal and not prices.units_left[q] and limit < np.inf
    last = work.look.ahead.shape[1] - 1
    ahead_pj = np.inf
    for k in range(last):
        ahead_pj = min(ahead_pj, work.look.ahead[0, k])
    n_inside = list_inside(space, q, t, fronts.rows[q], work.filled, n_filled, work.at, work.inside)
    for inside in work.inside[:n_inside]:
        least_pj = fronts.best[q, inside]
        beaten = least_pj >= roof or (comparable and least_pj + ahead_pj - prices.cut_pj[0] >= limit)
        if not beaten:
            mask = split_tile(space, t, inside, work.tile, work.factors)
            begin = fronts.start[q, inside]
            inner = 0  # dimensions that may stand innermost, as a bit mask; for units: without links, or of which way
            if temporal:
                inner = orders.inner[q, mask]
                fill_block(space, work.factors, work.block)
                if limited:
                    look_at_pair(space, work.factors, work.tile, work.block, work.look)
            elif fits_somehow(space, orders, q, work.factors, mask):
                inner = (1 << 1 + HALO_RANKS) - 1 if mask > 0 else 1
                work.most_gain[:] = np.inf
            counted = temporal or limit == np.inf or not orders_count(bound)
            for k in range(begin, begin + fronts.rows[q, inside]):
                partials = fronts.partials[k]
                if limited and objective_from(bound, q, last, partials) >= limit:
                    continue
                for i in range(n_dims):
                    if not inner >> i & 1:
                        continue
                    floor = floor_around(bound, q, i, mask > 0, partials, roof, limit)
                    if comparable and floor < np.inf:
                        roof = min(roof, ceiling(work.partial[0]))
                    if floor < limit and i > 0 and not counted:
                        gain_in_orders(bound, q, mask)  # takes longer than all that most units need
                        counted = True
                        floor = floor_around(bound, q, i, mask > 0, partials, roof, limit)
                    if floor < limit:
                        fronts.floor[q] = min(fronts.floor[q], floor)
                        n = insert(work.rows, n, work.partial, work.look)
    return n


@jit
def sweep(bound: Relaxation, q: int, begin: int, end: int, used: int, limit: float) -> tuple[int, int]:
    """Partial costs around slot q for tiles from ``begin`` to ``end``.

    Returns (next tile, rows used); the tile is less than ``end`` if rows ran out. Only mappings below ``limit`` count.
    """
    space, prices, fronts, work = bound.space, bound.prices, bound.fronts, bound.work
    n_costs = work.partial.shape[0]
    if begin == 0:
        fronts.floor[q] = np.inf
        if q == 0:
            for j in range(n_costs):
                first_partial(space, prices, j, fronts.partials[0, j])
            fronts.best[0, 0] = fronts.partials[0, 0, C]
    n_filled = list_filled(fronts.rows[q], work.filled)
    for t in range(begin, end):
        fronts.start[q + 1, t] = used
        fronts.rows[q + 1, t] = 0
        fronts.best[q + 1, t] = np.inf
        if used + work.rows.shape[0] > fronts.partials.shape[0]:
            return t, used
        least = look_from(bound, q, t)
        if least == np.inf or (bound.objective == ENERGY and least >= limit):
            continue
        n = sweep_tile(bound, q, t, n_filled, limit)
        for k in range(n):
            for j in range(n_costs):
                if not space.spatial[q]:
                    keep_step(space, prices, j, q, t, work.rows[k, j])
            copy_partials(work.rows[k], fronts.partials[used + k])
            fronts.best[q + 1, t] = min(fronts.best[q + 1, t], work.rows[k, 0, C])
        fronts.rows[q + 1, t] = n
        used += n
    return end, used
