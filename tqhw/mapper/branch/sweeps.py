"""Sweeps from the inside outwards, and the look ahead from the outside inwards, with a clock that is looked at."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from tqhw.engine.model import Floats
from tqhw.mapper.bound.lookahead import offer, take_kind, take_pairs
from tqhw.mapper.bound.pareto import sweep
from tqhw.mapper.bound.relaxation import ParetoFronts, Relaxation
from tqhw.mapper.branch.incumbent import Clock
from tqhw.mapper.space.arrays import Space

TILES = 128  # of a sweep, between two looks at the clock
OFFERS = 10_000  # tiles whose offers take well below a second
PAIRS = 50_000  # tiles inside tiles that take well below a second
MANY_PAIRS = 5_000_000  # the same where there is no clock: all tiles of a small space at once


def look_ahead(bound: Relaxation, clock: Clock) -> Floats:
    """The table [J, Q, N, K] of what stands outside of every tile at least, see bound/lookahead.py.

    Raises OutOfTimeError, as all of this module.
    """
    space, n_costs = bound.space, len(bound.prices.cut_pj)
    n_slots, n_tiles = len(space.level), len(space.digits)
    table = np.full((n_costs, n_slots, n_tiles, space.n_kinds), np.inf)
    table[:, -1, -1, 0] = 0.0
    bound = bound._replace(lookahead=table)
    offered, work = np.empty((n_costs, n_tiles, space.n_kinds + 1)), np.empty((2, 3, n_tiles))
    for q in range(n_slots - 1, -1, -1):
        for begin in range(0, n_tiles, OFFERS):
            clock.check()
            offer(bound, q, begin, min(begin + OFFERS, n_tiles), offered)
        if q > 0 and bound.orders.free[q]:
            for j, k in product(range(n_costs), range(space.n_kinds)):
                clock.check()
                take_kind(space, q, k, offered[j], table[j, q - 1], work)
        elif q > 0:
            begin = 0
            while begin < n_tiles:
                clock.check()
                end = min(begin + tiles_at_once(space, q, begin, clock), n_tiles)
                take_pairs(bound, q, begin, end, offered)
                begin = end
    return table


def sweep_slots(bound: Relaxation, end: int, limit: float, clock: Clock) -> ParetoFronts:
    """The fronts around slots 0 .. ``end`` of what stays below ``limit``, with no more room than they take."""
    fronts, used = bound.fronts, 1
    for q in range(end):
        fronts, used = sweep_slot(bound._replace(fronts=fronts), q, used, limit, clock)
    return fronts._replace(partials=fronts.partials[:used])


def sweep_slot(bound: Relaxation, q: int, used: int, limit: float, clock: Clock) -> tuple[ParetoFronts, int]:
    """Sweeps one slot of the fronts, which are replaced where they grow; returns how many rows are ``used`` then."""
    n_tiles = len(bound.space.digits)
    begin = 0
    while begin < n_tiles:
        clock.check()
        end = min(begin + tiles_at_once(bound.space, q, begin, clock), n_tiles)
        begin, used = sweep(bound, q, begin, end, used, limit)
        if begin < end:
            partials = bound.fronts.partials
            grown = bound.fronts._replace(partials=np.concatenate([partials, np.zeros_like(partials)]))
            bound = bound._replace(fronts=grown)
    return bound.fronts, used


def tiles_at_once(space: Space, q: int, begin: int, clock: Clock) -> int:
    """How many tiles to sweep between two looks at the clock: large ones have many tiles inside."""
    if math.isinf(clock.end):
        return max(TILES, MANY_PAIRS // len(space.digits))
    digits = space.digits[begin : begin + TILES]
    inside = space.n_below[q, np.arange(digits.shape[1]), digits].prod(axis=1).cumsum()
    return max(1, int(np.searchsorted(inside, PAIRS)))
