"""Where the elements of a unit lie along a halo, and from how many places a move leads to another one.

docs/mapper.md, "Places". Steps and tiles are in iterations, moves and extents in words of the data space.
"""

from __future__ import annotations

from tqhw.engine.jit import part
from tqhw.engine.model import Ints
from tqhw.mapper.space.arrays import Space


@part
def common_step(x: int, y: int) -> int:
    """The greatest common divisor of two steps."""
    while y > 0:
        x, y = y, x % y
    return x


@part
def distinct_offsets(space: Space, s: int, r: int, factors: Ints, tile: Ints, widest: float) -> float:
    """In how many places along halo rank r the elements of a unit lie; for more than two dimensions there, at least.

    Of i * x + j * y, i < n and j < m, those agree whose (i, j) lie (y/g, -x/g) apart, where g divides both steps: they
    are chains, and places are elements less the links of the chains.
    """
    n, m, x, y, dims = 1, 1, 1, 1, 0
    for d in range(factors.shape[0]):
        if space.rank[s, d] == r and factors[d] > 1:
            n, x = m, y
            m, y = factors[d], space.coefficient[s, d] * tile[d]
            dims += 1
    if dims > 2:
        return widest
    g = common_step(x, y)
    return float(n * m - max(0, n - y // g) * max(0, m - x // g))


@part
def overlap_share(space: Space, s: int, r: int, move: float, factors: Ints, tile: Ints) -> float:
    """The share of the places along halo rank r where a unit's elements lie that are ``move`` words before another one.

    For more than two dimensions there, at most.
    """
    n, m, x, y, dims = 1, 1, 1, 1, 0
    for d in range(factors.shape[0]):
        if space.rank[s, d] == r and factors[d] > 1:
            n, x = m, y
            m, y = factors[d], space.coefficient[s, d] * tile[d]
            dims += 1
    if move == 0.0 or dims > 2:
        return 1.0
    span = (n - 1) * x + (m - 1) * y
    if move > span:
        return 0.0
    g = common_step(x, y)
    places = 0
    met = 0
    for i in range(n):
        for j in range(m):
            if i >= y // g and j + x // g < m:
                continue  # the same place as one before
            places += 1
            there = i * x + j * y + int(move)
            for other in range(n):
                rest = there - other * x
                if rest >= 0 and rest % y == 0 and rest // y < m:
                    met += 1
                    break
    return met / places
