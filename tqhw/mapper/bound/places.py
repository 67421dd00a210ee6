"""Where the elements of a unit lie along a halo, and from how many places a move leads to another one.

docs/mapper.md, "Places". Tiles are in iterations, steps and moves in words of the data space.
"""

from __future__ import annotations

from tqhw.engine.jit import part
from tqhw.engine.model import Ints
from tqhw.mapper.space.arrays import HALO_RANKS, Space


@part
def common_step(x: int, y: int) -> int:
    """The greatest common divisor of two steps."""
    while y > 0:
        x, y = y, x % y
    return x


@part
def steps_along(space: Space, s: int, r: int, factors: Ints, tile: Ints) -> tuple[int, int, int, int, int]:
    """(n, step, m, step, how many) of a unit's dimensions along halo rank r: elements, n not above m, and words.

    A dimension that is not there has one element. Of more than two, two are told.
    """
    n, m, x, y, dims = 1, 1, 1, 1, 0
    for d in range(factors.shape[0]):
        if space.rank[s, d] == r and factors[d] > 1:
            n, x = m, y
            m, y = factors[d], space.coefficient[s, d] * tile[d]
            dims += 1
    if n > m:
        return m, y, n, x, dims
    return n, x, m, y, dims


@part
def distinct_offsets(space: Space, s: int, r: int, factors: Ints, tile: Ints, widest: float) -> float:
    """In how many places along halo rank r the elements of a unit lie; for more than two dimensions there, at least.

    Of i * x + j * y, i < n and j < m, those agree whose (i, j) lie (y/g, -x/g) apart, where g divides both steps: they
    are chains, and places are elements less the links of the chains. ``widest``: the most elements of a dimension.
    """
    n, x, m, y, dims = steps_along(space, s, r, factors, tile)
    if dims > 2:
        return widest
    g = common_step(x, y)
    return float(n * m - max(0, n - y // g) * max(0, m - x // g))


@part
def overlap_share(space: Space, s: int, r: int, move: float, factors: Ints, tile: Ints) -> float:
    """The share of the places along halo rank r where a unit's elements lie that are ``move`` words before another one.

    For more than two dimensions there, at most.
    """
    n, x, m, y, dims = steps_along(space, s, r, factors, tile)
    if move == 0.0 or dims > 2:
        return 1.0
    if move > (n - 1) * x + (m - 1) * y:
        return 0.0
    g = common_step(x, y)
    places = 0
    met = 0
    for i in range(n):
        for j in range(m):
            if i >= y // g and j + x // g < m:
                continue  # the same place as one before
            places += 1
            if leads_to_place(i * x + j * y + int(move), n, x, m, y):
                met += 1
    return met / places


@part
def chain_length(i: int, j: int, n: int, m: int, down: int, up: int) -> int:
    """Elements in the place of (i, j), the first of its chain: those ``down`` rows on and ``up`` columns back."""
    length = 1
    while i + down < n and j - up >= 0:
        i += down
        j -= up
        length += 1
    return length


@part
def richest_mean(
    space: Space, s: int, r: int, move: float, factors: Ints, tile: Ints, others: float, most_others: float
) -> float:
    """The most elements per place that can be left, in the mean, where links serve elements after a ``move`` along r.

    Places that the move leads nowhere from keep all their elements. Of the others those stay that raise the mean.
    ``others``: elements per place along the other ranks, in the mean and at most. Up to two dimensions along r.
    """
    n, x, m, y, _dims = steps_along(space, s, r, factors, tile)
    g = common_step(x, y)
    mean = 0.0
    while True:
        elements = 0.0
        places = 0
        for i in range(n):
            for j in range(m):
                if i >= y // g and j + x // g < m:
                    continue  # the same place as one before
                here = chain_length(i, j, n, m, y // g, x // g)
                if not leads_to_place(i * x + j * y + int(move), n, x, m, y):
                    elements += here * others
                elif here * most_others > mean:
                    elements += here * most_others
                else:
                    continue
                places += 1
        if places == 0 or elements / places <= mean:
            return mean
        mean = elements / places


@part
def leads_to_place(offset: int, n: int, x: int, m: int, y: int) -> bool:
    """Whether an element of a unit lies at an offset along a rank, see :func:`steps_along`."""
    for i in range(n):
        rest = offset - i * x
        if rest >= 0 and rest % y == 0 and rest // y < m:
            return True
    return False


@part
def lies_further(space: Space, s: int, factors: Ints) -> bool:
    """Whether elements of a unit lie along a halo rank beyond those along which moves are kept."""
    further = False
    for d in range(factors.shape[0]):
        further = further or (factors[d] > 1 and space.rank[s, d] >= HALO_RANKS)
    return further
