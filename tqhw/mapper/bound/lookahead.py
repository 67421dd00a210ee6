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
    """Fills work.look for tile t around slot q, whose level keeps it; the least that lies ahead of all kinds, in pJ."""
    space, prices, look = bound.space, bound.prices, bound.work.look
    look_out(space, q, t, bound.work.tile, look)
    least = np.inf
    level = space.level[q]
    instances = space.most_units[q + 1] if prices.per_instance else 1.0
    tensor = space.words[space.output, space.iterations.shape[0] - 1]
    for k in range(bound.lookahead.shape[2]):
        total = bound.lookahead[q, t, k]
        if not space.spatial[q]:
            for s in range(look.units.shape[0]):
                if prices.keep[level, s]:
                    moved = space.computes * space.words[s, t] / space.iterations[t] * space.run[s, t] / instances
                    total += moved * prices.fill_pj[level, s] * look.fill[k, s]
                    total += moved * prices.parent_pj[level + 1, s] * look.open[k, s]
                    if s == space.output:
                        total -= prices.first_pj[level] * tensor * space.most_units[q + 1] / instances
        look.ahead[k] = total
        least = min(least, total)
    look.terms[MOST] = instances
    look.terms[LEAK] = 0.0
    if prices.units_left[q + 1]:
        for i in range(level, prices.leak_pj.shape[0]):
            look.terms[LEAK] += prices.leak_pj[i] * space.computes
    strict = bound.objective != ENERGY or prices.per_instance or (prices.units_left[q + 1] and space.least_used > 1)
    look.terms[STRICT] = 1.0 if strict else 0.0
    return least


@part
def energy_of(bound: Relaxation, q: int, k: int, partial: Floats) -> float:
    """What every mapping costs at least that continues a partial cost around slot q, by row k of work.look; pJ."""
    look, units = bound.work.look, bound.space.most_units[q + 1]
    energy = partial[C] - partial[E] * units
    for s in range(look.units.shape[0]):
        at = HEAD + s * WIDTH
        energy += partial[at + A] * look.fill[k, s] + partial[at + OPEN] * look.open[k, s]
        energy += partial[at + SHUT] * look.units[s]
    return float(look.ahead[k] + energy / (units if bound.prices.per_instance else 1.0))


@part
def objective_from(bound: Relaxation, q: int, energy_pj: float, partial: Floats) -> float:
    """The objective at such an energy; units outside of slot q count as used."""
    cycles = bound.space.computes / (partial[U] * bound.space.most_units[q + 1])
    if bound.prices.per_instance:
        return max(energy_pj - bound.prices.cut_pj, float(cycles))
    return measured(bound, energy_pj, max(cycles, bound.least_cycles))


@part
def floor_of(bound: Relaxation, q: int, limit: float, partial: Floats) -> float:
    """The objective of every mapping that continues a partial cost around slot q, at least, by work.look.

    Marks in it the kinds that leave some of them below ``limit``.
    """
    look = bound.work.look
    least = np.inf
    for k in range(look.alive.shape[0]):
        look.alive[k] = False
        if look.ahead[k] < np.inf:
            energy = energy_of(bound, q, k, partial)
            look.alive[k] = objective_from(bound, q, energy, partial) < limit
            least = min(least, energy)
    return objective_from(bound, q, least, partial)


@jit
def offer(bound: Relaxation, q: int, begin: int, end: int, offered: Floats) -> None:
    """Fills ``offered`` [N, K + 1]: what slot q and all outside cost at least with tile t, by kind; then of all kinds.

    From ``bound.lookahead`` [Q, N, K], the least energy in pJ of the levels outside of slot q, if tile t stands around
    it and the innermost loop outside is of kind k; inf where no mapping has that, or the level does not hold the tile.
    """
    space = bound.space
    for t in range(begin, end):
        reached = look_from(bound, q, t) < np.inf
        if reached and not space.spatial[q] and not fits_level(space, bound.prices, space.level[q], t):
            bound.lookahead[q, t, :] = np.inf
            bound.work.look.ahead[:] = np.inf
        n_kinds = bound.lookahead.shape[2]
        offered[t, n_kinds] = np.inf
        for k in range(n_kinds):
            offered[t, k] = bound.work.look.ahead[k]
            offered[t, n_kinds] = min(offered[t, n_kinds], offered[t, k])


@jit
def take_pairs(bound: Relaxation, q: int, begin: int, end: int, offered: Floats) -> None:
    """Hands what tiles begin .. end around slot q are ``offered`` to all tiles inside, where orders are constrained."""
    space, work, ahead = bound.space, bound.work, bound.lookahead[q - 1]
    for t in range(begin, end):
        least = offered[t, ahead.shape[1]]
        inside = first_below(space, q, t, space.tiles, work.at) if least < np.inf else -1
        while inside >= 0:
            mask = split_tile(space, t, inside, work.tile, work.factors)
            inner = bound.orders.inner[q, mask]
            for k in range(ahead.shape[1]):
                if mask == 0:
                    ahead[inside, k] = min(ahead[inside, k], offered[t, k])
            for d in range(work.factors.shape[0]):
                if mask > 0 and inner >> d & 1:
                    ahead[inside, space.kind[d]] = min(ahead[inside, space.kind[d]], least)
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
