"""Padded sizes: bounds a little above those of a problem, whose factors fill an array better.

A mapping with remainders is one of factors whose products are at least the bounds. Every choice of these products, a
*size* per dimension, has a space of perfect factorizations, which the search knows how to search (branch/uneven.py).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from tqhw.mapper.space.factors import divisors
from tqhw.spec import Hardware, Level, Problem

MOST_SIZES = 64  # choices of sizes that a search looks at; those that waste least
_STIFF = 4  # a dimension with so few divisors has hardly a tile to choose


def least_passes(size: int, widths: Sequence[Sequence[int]]) -> int:
    """Passes that ``size`` takes with one factor of every list of ``widths`` side by side."""
    if not widths:
        return size
    found = [least_passes(size // f, widths[1:]) for f in widths[0] if size % f == 0]
    return min(found, default=size)


def widest(level: Level, problem: Problem, name: str) -> tuple[int, ...]:
    """The factors of a dimension that a fan-out has columns or rows for, and no constraint excludes."""
    loops, bound = level.constraints.spatial, problem.bounds[name]
    spaces = {space.name: space.dimensions for space in problem.shape.data_spaces}
    barred = [s for s in (spaces if "*" in loops.not_over else loops.not_over) if name in spaces.get(s, ())]
    listed = name in {**loops.factors, **loops.at_most, **loops.at_least}
    if barred or (loops.others_one and not listed):
        return (1,)
    if name in loops.factors:
        return (loops.factors[name] or bound,)
    most = min(max(level.fanoutX, level.fanoutY), loops.at_most.get(name, bound))
    return tuple(range(max(1, loops.at_least.get(name, 1)), most + 1)) or (1,)


def sizes_of(bound: int, widths: Sequence[Sequence[int]]) -> list[int]:
    """Sizes of a dimension, ascending from its bound: each larger one needs fewer passes on the arrays.

    A dimension that no array takes, and that has hardly a divisor, gets sizes of more divisors instead. No size is as
    large as twice the bound.
    """
    if bound == 1:
        return [1]
    widths = [[f for f in factors if f <= bound] for factors in widths if max(factors) > 1]
    if not widths:
        if len(divisors(bound)) > _STIFF:
            return [bound]
        found, most = [bound], len(divisors(bound))
        for size in range(bound + 1, bound + math.isqrt(bound) + 1):
            if len(divisors(size)) > most:
                found, most = [*found, size], len(divisors(size))
        return found
    found, fewest = [bound], least_passes(bound, widths)
    ideal = math.ceil(bound / math.prod(max(factors, default=1) for factors in widths))
    size = bound + 1
    while fewest > ideal and size < 2 * bound:
        if (passes := least_passes(size, widths)) < fewest:
            found, fewest = [*found, size], passes
        size += 1
    return found


def padded_sizes(problem: Problem, hardware: Hardware) -> list[tuple[int, ...]]:
    """Choices of a size for every dimension; the problem's own bounds first, then those that waste least."""
    fans = [level for level in hardware.levels if level.fanout > 1]
    lists = [
        sizes_of(problem.bounds[name], [widest(level, problem, name) for level in fans])
        for name in problem.shape.dimensions
    ]
    chosen = sorted(itertools.product(*lists), key=math.prod)
    return chosen[:MOST_SIZES]
