"""The elements of a fan-out, and which of them need the same words (#multicast).

The elements of a spatial unit need the same set of new words as element 0, translated by the projection of their
offset. Elements with equal sets form a group: one access serves all its m members (or, on the way up, their partial
sums are added). An offset is encoded as one number, a key.
Anchors (#...) are those of docs/timeloop-model.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import inline, part
from tqhw.engine.model import Ints
from tqhw.engine.nest import Nest
from tqhw.engine.plan import Plan


@bundle
class Unit(NamedTuple):
    """Work arrays for one spatial unit of at most E elements, and J temporal loops above it."""

    key: Ints  # [E] offset of every element, encoded as one number
    scratch: Ints  # [E]
    sizes: Ints  # [E] group sizes found last, ascending
    reach: Ints  # [K] largest offset along every rank
    radix: Ints  # [K]
    moves: Ints  # [J, K]


def make_unit(n_elements: int, n_loops: int, n_ranks: int) -> Unit:
    """Empty work arrays."""

    def ints(*shape: int) -> Ints:
        return np.zeros(shape, np.int64)

    return Unit(
        key=ints(n_elements),
        scratch=ints(n_elements),
        sizes=ints(n_elements),
        reach=ints(n_ranks),
        radix=ints(n_ranks),
        moves=ints(n_loops, n_ranks),
    )


@part
def sort(values: Ints, n: int) -> None:
    """Heap sort of ``values[:n]`` in place; numpy's sort allocates, which a kernel cannot."""
    for end in range(n // 2 - 1, -n, -1):
        if end < 0:  # the heap is built: move its top to the end of what is left
            last = n + end
            values[0], values[last] = values[last], values[0]
        root, size = max(end, 0), n + min(end, 0)
        while 2 * root + 1 < size:
            child = 2 * root + 1
            if child + 1 < size and values[child + 1] > values[child]:
                child += 1
            if values[root] >= values[child]:
                break
            values[root], values[child] = values[child], values[root]
            root = child


@part
def group_sizes(keys: Ints, n: int, sizes: Ints) -> int:
    """Sorts ``keys[:n]`` and writes how often each value occurs, ascending; returns the number of values."""
    if n == 0:
        return 0
    sort(keys, n)
    n_groups = 0
    run = 1
    for e in range(1, n):
        if keys[e] == keys[e - 1]:
            run += 1
        else:
            sizes[n_groups] = run
            n_groups += 1
            run = 1
    sizes[n_groups] = run
    n_groups += 1
    sort(sizes, n_groups)
    return n_groups


@part
def all_groups(unit: Unit, n: int) -> int:
    """Groups among all elements; their sizes stand in ``unit.sizes``."""
    for e in range(n):
        unit.scratch[e] = unit.key[e]
    return group_sizes(unit.scratch, n, unit.sizes)


@part
def measure(plan: Plan, s: int, nest: Nest, level: int, unit: Unit) -> None:
    """Writes how far the elements of the level's unit lie apart, and the radix of their keys."""
    first, end = nest.levels[level].first_unit, nest.levels[level].end_unit
    radix = 1
    for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
        reach = 0
        for i in range(first, end):
            loop = nest.spatial[i]
            reach += plan.coefficients[k, loop.dimension] * loop.step * (loop.bound - 1)
        unit.reach[k] = reach
        unit.radix[k] = radix
        radix *= 2 * reach + 1  # offsets plus a shift within the reach stay distinguishable


@part
def lay_out(plan: Plan, s: int, nest: Nest, level: int, unit: Unit) -> int:
    """Writes the key of every element of a measured unit (X-most loop fastest); returns their number."""
    first, end = nest.levels[level].first_unit, nest.levels[level].end_unit
    n = 1
    unit.key[0] = 0
    for i in range(first, end):
        loop = nest.spatial[i]
        step = 0
        for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
            step += plan.coefficients[k, loop.dimension] * loop.step * unit.radix[k]
        for e in range(n, n * loop.bound):
            unit.key[e] = unit.key[e - n] + step
        n *= loop.bound
    return n


@inline
def plain_groups(plan: Plan, s: int, nest: Nest, level: int) -> tuple[int, int]:
    """(m, groups) where no rank is driven by two loops of the unit; (0, 0) where one is."""
    first, end = nest.levels[level].first_unit, nest.levels[level].end_unit
    m = 1
    groups = 1
    for i in range(first, end):
        if plan.relevant[s, nest.spatial[i].dimension]:
            groups *= nest.spatial[i].bound
        else:
            m *= nest.spatial[i].bound
    if not plan.spaces[s].separable:
        for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
            drivers = 0
            for i in range(first, end):
                if plan.coefficients[k, nest.spatial[i].dimension] != 0:
                    drivers += 1
            if drivers > 1:
                return 0, 0
    return m, groups
