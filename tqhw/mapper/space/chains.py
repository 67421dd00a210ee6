"""How far loops over one dimension can move a tile, in steps of the tile: whatever the loops, they divide each other.

When a loop advances, the loops inside of it fall back by one step each (tqhw/engine/walk.py). The steps of a
dimension's loops, from the inside out, are a chain of divisors: each divides the next, and the last the bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tqhw.engine.model import Bools, Ints

MOST = 4096  # of a bound; of larger ones nothing is listed


class Steps(NamedTuple):
    """What loops outside of a tile can do; along dimension d, outside of its divisor b: at[d, b] .. at[d, b + 1]."""

    falls: Ints  # [n] steps that loops fall back together; 0 where there are none
    falls_at: Ints  # [D, K + 1]
    leads: Ints  # [n] steps of a loop that advances, less those of the loops inside of it
    leads_at: Ints  # [D, K + 1]


@lru_cache(maxsize=4096)
def falls_of(bound: int) -> Ints:
    """Sums of the steps of all chains of proper divisors, ascending, with the empty one."""
    return _ascending({0}.union(*_sums_by_last(bound).values()))


@lru_cache(maxsize=4096)
def leads_of(bound: int) -> Ints:
    """What a loop moves a tile whose step is the last of a chain, less the others; ascending."""
    return _ascending({2 * last - total for last, sums in _sums_by_last(bound).items() for total in sums})


def _sums_by_last(bound: int) -> dict[int, set[int]]:
    """Sums of chains of proper divisors by their last one."""
    sums: dict[int, set[int]] = {}
    for last in range(1, bound):
        if bound % last == 0:
            before = [sums[one] for one in sums if last % one == 0]
            sums[last] = {last + total for total in {0}.union(*before)}
    return sums


def _ascending(values: set[int]) -> Ints:
    return np.array(sorted(values), np.int64)


def steps_of(bounds: Ints, lists: Sequence[Sequence[int]], slides: Bools) -> Steps:
    """Of the dimensions that slide in some data space; ``lists``: the divisors that tiles are made of."""
    widest = max(map(len, lists))
    tables = []
    for listed in (falls_of, leads_of):
        at = np.zeros((len(lists), widest + 1), np.int64)
        found: list[Ints] = []
        n = 0
        for d, tiles in enumerate(lists):
            at[d, :] = n
            for b, tile in enumerate(tiles):
                if slides[d] and bounds[d] <= MOST:
                    found.append(listed(int(bounds[d]) // tile))
                    n += len(found[-1])
                at[d, b + 1 :] = n
        tables += [np.concatenate([np.zeros(0, np.int64), *found]), at]
    return Steps(*tables)
