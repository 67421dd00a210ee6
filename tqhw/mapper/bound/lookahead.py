"""What stands outside must cost at least something: with a limit on the whole, most partial costs inside are out of it.

All traffic that is open at a tile is paid at least as often as the tile's words change, and every level that is still
to come moves the words of one of the tiles around. docs/mapper.md, "The limit", has the argument.
"""

from __future__ import annotations

import numpy as np

from tqhw.engine.jit import jit, part
from tqhw.engine.model import Floats
from tqhw.mapper.bound.measure import ENERGY, measured
from tqhw.mapper.bound.outlook import LEAK, MOST, STRICT, look_out
from tqhw.mapper.bound.partial_cost import HEAD, OPEN, SHUT, WIDTH, A, C, E, U
from tqhw.mapper.bound.prices import fits_level
from tqhw.mapper.bound.relaxation import Relaxation
from tqhw.mapper.space.arrays import Space
from tqhw.mapper.space.tiles import first_below, next_below, split_tile


@part
def look_from(bound: Relaxation, q: int, t: int) -> float:
    """Fills work.look for tile t around slot q, whose level keeps it; what lies ahead at least of some cost."""
    space, prices, look = bound.space, bound.prices, bound.work.look
    look_out(space, q, t, bound.work.tile, look)
    instances = space.most_units[q + 1] if prices.per_instance else 1.0
    level = space.level[q]
    most = -np.inf
    for j in range(look.ahead.shape[0]):
        most = max(most, look_ahead(bound, j, q, t, instances))
    look.terms[MOST] = instances
    look.terms[LEAK] = 0.0
    if prices.units_left[q + 1]:
        for i in range(level, prices.leak_pj.shape[0]):
            look.terms[LEAK] += prices.leak_pj[i] * space.computes
    strict = bound.objective != ENERGY or prices.per_instance or (prices.units_left[q + 1] and space.least_used > 1)
    look.terms[STRICT] = 1.0 if strict else 0.0
    return most


@part
def look_ahead(bound: Relaxation, j: int, q: int, t: int, instances: float) -> float:
    """Fills what lies ahead of cost j in work.look, which is filled otherwise; the least of all kinds, less the cut."""
    space, prices, look = bound.space, bound.prices, bound.work.look
    level = space.level[q]
    tensor = space.words[space.output, space.iterations.shape[0] - 1]
    least = np.inf
    for k in range(bound.lookahead.shape[3]):
        total = bound.lookahead[j, q, t, k]
        if not space.spatial[q]:
            for s in range(look.units.shape[0]):
                if prices.keep[level, s]:
                    moved = space.computes * space.words[s, t] / space.iterations[t] * space.run[s, t] / instances
                    total += moved * prices.fill_pj[j, level, s] * look.fill[k, s]
                    total += moved * prices.parent_pj[j, level + 1, s] * look.open[k, s]
                    if s == space.output:
                        total -= prices.first_pj[j, level] * tensor * space.most_units[q + 1] / instances
        look.ahead[j, k] = total
        least = min(least, total)
    return float(least - prices.cut_pj[j])


@part
def cost_of(bound: Relaxation, j: int, q: int, k: int, partial: Floats) -> float:
    """What a mapping costs at least, of cost j, that continues a partial cost around slot q; by row k of work.look."""
    look, units = bound.work.look, bound.space.most_units[q + 1]
    energy = partial[C] - partial[E] * units
    for s in range(look.units.shape[0]):
        at = HEAD + s * WIDTH
        energy += partial[at + A] * look.fill[k, s] + partial[at + OPEN] * look.open[k, s]
        energy += partial[at + SHUT] * look.units[s]
    return float(look.ahead[j, k] + energy / (units if bound.prices.per_instance else 1.0))


@part
def objective_from(bound: Relaxation, q: int, k: int, partials: Floats) -> float:
    """The objective of every mapping that continues ``partials`` [J, V] around slot q, at least, by row k of work.look.

    Units outside of the slot count as used. Of ports, the slowest one's cycles.
    """
    cycles = bound.space.computes / (partials[0, U] * bound.space.most_units[q + 1])
    if not bound.prices.per_instance:
        return measured(bound, cost_of(bound, 0, q, k, partials[0]), max(cycles, bound.least_cycles))
    for j in range(partials.shape[0]):
        cycles = max(cycles, cost_of(bound, j, q, k, partials[j]) - bound.prices.cut_pj[j])
    return float(cycles)


@part
def floor_of(bound: Relaxation, q: int, limit: float, partials: Floats) -> float:
    """The objective of every mapping that continues ``partials`` [J, V] around slot q, at least, by work.look.

    Marks in it the kinds that leave some of them below ``limit``.
    """
    look = bound.work.look
    least = np.inf
    for k in range(look.alive.shape[0]):
        look.alive[k] = False
        if look.ahead[0, k] < np.inf:
            objective = objective_from(bound, q, k, partials)
            look.alive[k] = objective < limit
            least = min(least, objective)
    return float(least)


@jit
def offer(bound: Relaxation, q: int, begin: int, end: int, offered: Floats) -> None:
    """Fills ``offered`` [J, N, K + 1]: what slot q and all outside cost at least with tile t, by kind; then of all.

    From ``bound.lookahead`` [J, Q, N, K], what the levels outside of slot q cost at least, if tile t stands around it
    and the innermost loop outside is of kind k; inf where no mapping has that, or the level does not hold the tile.
    """
    space = bound.space
    n_kinds = bound.lookahead.shape[3]
    for t in range(begin, end):
        reached = look_from(bound, q, t) < np.inf
        if reached and not space.spatial[q] and not fits_level(space, bound.prices, space.level[q], t):
            bound.lookahead[:, q, t, :] = np.inf
            bound.work.look.ahead[:, :] = np.inf
        for j in range(offered.shape[0]):
            offered[j, t, n_kinds] = np.inf
            for k in range(n_kinds):
                offered[j, t, k] = bound.work.look.ahead[j, k]
                offered[j, t, n_kinds] = min(offered[j, t, n_kinds], offered[j, t, k])


@jit
def take_pairs(bound: Relaxation, q: int, begin: int, end: int, offered: Floats) -> None:
    """Hands what tiles begin .. end around slot q are ``offered`` to all tiles inside, where orders are constrained."""
    space, work = bound.space, bound.work
    n_kinds = bound.lookahead.shape[3]
    for t in range(begin, end):
        inside = first_below(space, q, t, space.tiles, work.at) if offered[0, t, n_kinds] < np.inf else -1
        while inside >= 0:
            mask = split_tile(space, t, inside, work.tile, work.factors)
            inner = bound.orders.inner[q, mask]
            for j in range(offered.shape[0]):
                ahead = bound.lookahead[j, q - 1, inside]
                for k in range(n_kinds):
                    if mask == 0:
                        ahead[k] = min(ahead[k], offered[j, t, k])
                for d in range(work.factors.shape[0]):
                    if mask > 0 and inner >> d & 1:
                        ahead[space.kind[d]] = min(ahead[space.kind[d]], offered[j, t, n_kinds])
            inside = next_below(space, q, t, space.tiles, work.at, inside)


# What has been handed on so far: without a loop of the kind, with one, without any loop.
WITHOUT, HAVING, SAME = range(3)


@jit
def take_kind(space: Space, q: int, k: int, offered: Floats, ahead: Floats, work: Floats) -> None:
    """The same for one kind where any loop may stand innermost, one dimension after the other.

    ``offered`` [N, K + 1] and ``ahead`` [N, K]: of slot q and of the next one inwards. ``work``: [2, 3, N]. Units leave
    the kind as it is.
    """
    spatial = space.spatial[q]
    now = 0
    for t in range(offered.shape[0]):
        work[0, WITHOUT, t] = offered[t, k if spatial else ahead.shape[1]]
        work[0, HAVING, t] = np.inf
        work[0, SAME, t] = offered[t, k]
    for d in range(space.bounds.shape[0]):
        then = 1 - now
        work[then, :, :] = np.inf
        for t in range(offered.shape[0]):
            b = space.digits[t, d]
            for i in range(space.n_below[q, d, b]):
                u = t + space.below[q, d, b, i] - b * space.radix[d]
                work[then, HAVING, u] = min(work[then, HAVING, u], work[now, HAVING, t])
                to = HAVING if u != t and space.kind[d] == k and not spatial else WITHOUT
                work[then, to, u] = min(work[then, to, u], work[now, WITHOUT, t])
                if u == t:
                    work[then, SAME, u] = work[now, SAME, t]
        now = then
    for t in range(offered.shape[0]):
        taken = work[now, WITHOUT, t] if spatial else min(work[now, SAME, t], work[now, HAVING, t])
        ahead[t, k] = min(ahead[t, k], taken)
