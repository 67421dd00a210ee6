"""What a fan-out delivers: multicast, spatial reduction and neighbour links (reference sections 5.4, 5.5).

The elements of a spatial unit need the same set of new words as element 0, translated by the projection of their
offset. Elements with equal sets form a group: one access serves all its m members. An element whose set equals the
*previous* set of a mesh neighbour is served by a link instead, if that lowers the number of accesses.

Results are a table of rows (m, groups, accesses), in ascending order of (m, groups), as Timeloop keeps them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.jit import jit
from tqhw.engine.model import Floats, Ints, Model
from tqhw.engine.nest import Nest, box_words
from tqhw.engine.walk import NONE, OTHER, SAME, is_zero, moves_above, new_words, same_move

MAX_ROWS = 256  # distinct (m, groups) of one network; a mesh of n has at most sqrt(2 n) distinct m per visit


class Table(NamedTuple):
    """Rows (m, groups) -> accesses per level, one data space at a time."""

    multicast: Ints  # [L, MAX_ROWS]
    groups: Ints
    accesses: Floats
    rows: Ints  # [L]
    overflow: Ints  # [1] set where MAX_ROWS were too few


class Unit(NamedTuple):
    """Work arrays for one spatial unit; the mesh has at most E elements."""

    key: Ints  # [E] offset of every element, encoded as one number
    scratch: Ints  # [E]
    sizes: Ints  # [E] group sizes found last
    span: Ints  # [R] largest offset along every rank
    radix: Ints  # [R]
    moves: Ints  # [L*D, R]
    extents: Ints  # [R]
    weight: Floats  # [L*D + 1, 9] visits of a sub-walk by state at its entry
    ends: Ints  # [L*D, 3]


def make_table(n_levels: int) -> Table:
    shape = (n_levels, MAX_ROWS)
    return Table(
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
        np.zeros(shape),
        np.zeros(n_levels, np.int64),
        np.zeros(1, np.int64),
    )


def make_unit(n_elements: int, n_loops: int, n_ranks: int) -> Unit:
    def ints(*shape: int) -> Ints:
        return np.zeros(shape, np.int64)

    return Unit(
        ints(n_elements),
        ints(n_elements),
        ints(n_elements),
        ints(n_ranks),
        ints(n_ranks),
        ints(n_loops, n_ranks),
        ints(n_ranks),
        np.zeros((n_loops + 1, 9)),
        ints(n_loops + 1, 3),
    )


@jit
def add_row(table: Table, level: int, m: int, groups: int, accesses: float) -> None:
    """Adds accesses to the row (m, groups), keeping the rows in ascending order."""
    n = table.rows[level]
    at = 0
    while at < n and (
        table.multicast[level, at] < m or (table.multicast[level, at] == m and table.groups[level, at] < groups)
    ):
        at += 1
    if at < n and table.multicast[level, at] == m and table.groups[level, at] == groups:
        table.accesses[level, at] += accesses
        return
    if n == MAX_ROWS:
        table.overflow[0] = 1
        return
    for i in range(n, at, -1):
        table.multicast[level, i] = table.multicast[level, i - 1]
        table.groups[level, i] = table.groups[level, i - 1]
        table.accesses[level, i] = table.accesses[level, i - 1]
    table.multicast[level, at] = m
    table.groups[level, at] = groups
    table.accesses[level, at] = accesses
    table.rows[level] = n + 1


@jit
def add_groups(table: Table, level: int, sizes: Ints, n_groups: int, words: float) -> None:
    """Adds ``words`` accesses for every group; ``sizes`` (ascending) are the groups' numbers of members."""
    i = 0
    while i < n_groups:
        j = i
        while j < n_groups and sizes[j] == sizes[i]:
            j += 1
        add_row(table, level, sizes[i], j - i, (j - i) * words)
        i = j


@jit
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


@jit
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


@jit
def all_groups(unit: Unit, n: int) -> int:
    """Groups among all elements; their sizes stand in ``unit.sizes``."""
    for e in range(n):
        unit.scratch[e] = unit.key[e]
    return group_sizes(unit.scratch, n, unit.sizes)


@jit
def layout(model: Model, s: int, nest: Nest, level: int, unit: Unit) -> int:
    """Writes the encoded offset of every element of the level's unit (X-most loop fastest); returns their number."""
    first = nest.s_end[level]
    last = nest.s_end[level + 1]
    n = 1
    for i in range(first, last):
        n *= nest.s_bound[i]
    n_ranks = model.ranks[s]
    radix = 1
    for r in range(n_ranks):
        span = 0
        for i in range(first, last):
            span += model.coefficients[s, r, nest.s_dim[i]] * nest.s_step[i] * (nest.s_bound[i] - 1)
        unit.span[r] = span
        unit.radix[r] = radix
        radix *= 2 * span + 1  # offsets plus a shift within the span stay distinguishable
    for e in range(n):
        rest = e
        key = 0
        for i in range(first, last):
            index = rest % nest.s_bound[i]
            rest //= nest.s_bound[i]
            for r in range(n_ranks):
                key += index * model.coefficients[s, r, nest.s_dim[i]] * nest.s_step[i] * unit.radix[r]
        unit.key[e] = key
    return n


@jit
def shift_key(model: Model, s: int, j: int, unit: Unit) -> tuple[bool, int]:
    """(whether any two elements can lie ``unit.moves[j]`` apart, that move encoded)."""
    key = 0
    for r in range(model.ranks[s]):
        if abs(unit.moves[j, r]) > unit.span[r]:
            return False, 0
        key += unit.moves[j, r] * unit.radix[r]
    return True, key


@jit
def unserved_groups(unit: Unit, n: int, shift: int, columns: int) -> tuple[int, int]:
    """Groups among the elements that no mesh neighbour can serve; returns (number of groups, elements served).

    The neighbour's previous set equals this element's set if the neighbour lies ``shift`` further. Elements fill
    the mesh row by row in *mapped* order, ``columns`` a row, whatever their true position (Timeloop's way).
    """
    left_over = 0
    for e in range(n):
        wanted = unit.key[e] + shift
        column = e % columns
        served = (
            (column > 0 and unit.key[e - 1] == wanted)
            or (column < columns - 1 and e + 1 < n and unit.key[e + 1] == wanted)
            or (e >= columns and unit.key[e - columns] == wanted)
            or (e + columns < n and unit.key[e + columns] == wanted)
        )
        if not served:
            unit.scratch[left_over] = unit.key[e]
            left_over += 1
    return group_sizes(unit.scratch, left_over, unit.sizes), n - left_over


@jit
def deliver_linked(
    model: Model,
    s: int,
    nest: Nest,
    level: int,
    unit: Unit,
    table: Table,
    n: int,
    j: int,
    n_groups: int,
    words: float,
) -> tuple[float, float]:
    """Accounts for visits that shift every set by ``unit.moves[j]``; returns (words so delivered, words over links).

    ``words`` = size of the new set times the number of visits. (0, 0) where links do not help.
    """
    possible, shift = shift_key(model, s, j, unit)
    if not possible or words == 0:
        return 0.0, 0.0
    columns = max(model.fanout_x[level], nest.fan_x[level])
    left, served = unserved_groups(unit, n, shift, columns)
    if left >= n_groups:
        return 0.0, 0.0
    add_groups(table, level, unit.sizes, left, words)
    return words, served * words


@jit
def simple_groups(model: Model, s: int, nest: Nest, level: int) -> tuple[int, int]:
    """(m, groups) where no rank is driven by two loops of the unit; (0, 0) where one is."""
    m = 1
    groups = 1
    first = nest.s_end[level]
    last = nest.s_end[level + 1]
    for i in range(first, last):
        if model.relevant[s, nest.s_dim[i]]:
            groups *= nest.s_bound[i]
        else:
            m *= nest.s_bound[i]
    if not model.separable[s]:
        for r in range(model.ranks[s]):
            drivers = 0
            for i in range(first, last):
                if model.coefficients[s, r, nest.s_dim[i]] != 0:
                    drivers += 1
            if drivers > 1:
                return 0, 0
    return m, groups


@jit
def deliver_to_macs(model: Model, s: int, nest: Nest, level: int, unit: Unit, table: Table) -> float:
    """A unit directly above the MACs: every visit needs its points anew, moved or not. Returns words over links."""
    n = layout(model, s, nest, level, unit)
    n_groups = all_groups(unit, n)
    n_loops = nest.t_end[nest.t_end.shape[0] - 1]
    link = 0.0
    outside = 1.0  # visits by loop j happen (bound - 1) times per iteration of the loops outside it
    plain = 1.0
    n_ranks = model.ranks[s]
    for r in range(n_ranks):
        fallen = 0
        for j in range(n_loops):
            step = model.coefficients[s, r, nest.t_dim[j]] * nest.t_step[j]
            unit.moves[j, r] = step - fallen
            fallen += step
    for j in range(n_loops - 1, -1, -1):
        visits = (nest.t_bound[j] - 1) * outside
        outside *= nest.t_bound[j]
        words, linked = deliver_linked(model, s, nest, level, unit, table, n, j, n_groups, visits)
        link += linked
        plain += visits - words
    n_groups = all_groups(unit, n)
    add_groups(table, level, unit.sizes, n_groups, plain)
    return link


@jit
def deliver(model: Model, s: int, nest: Nest, level: int, words: float, unit: Unit, table: Table) -> float:
    """A unit above level - 1, which fetches ``words`` in all. Returns words over links."""
    m, groups = simple_groups(model, s, nest, level)
    if model.separable[s]:
        # Tiles of different elements coincide or are disjoint, and steps in time exceed the unit: links never match.
        add_row(table, level, m, groups, groups * words)
        return 0.0
    n = layout(model, s, nest, level, unit)
    if m == 0:
        groups = all_groups(unit, n)
    linked_words, link = deliver_links(model, s, nest, level, unit, table, n, groups)
    if m == 0:
        groups = all_groups(unit, n)
        add_groups(table, level, unit.sizes, groups, words - linked_words)
    else:
        add_row(table, level, m, groups, groups * (words - linked_words))
    return link


@jit
def deliver_links(
    model: Model, s: int, nest: Nest, level: int, unit: Unit, table: Table, n: int, n_groups: int
) -> tuple[float, float]:
    """The visits of a unit that links can serve; returns (words so delivered, words over links).

    Links need two successive non-empty visits with equal sets. With the states of ``walk.py``: if loops inside the
    first moving one exist, every moving visit follows an empty one, and no link is ever used. Else the set of the
    previous visit is the whole tile (WHOLE), the overlap-free part for move a (PART), or of no use (NO_SET).
    """
    moves = unit.moves
    n_loops, first = moves_above(model, s, nest, level - 1, moves, unit.extents)
    if first != 0 or n_loops == 0:
        return 0.0, 0.0
    n_ranks = model.ranks[s]
    start = nest.t_end[level]
    whole = box_words(model, s, nest.extent, level - 1)
    part = new_words(n_ranks, unit.extents, moves, 0)
    PART, WHOLE, NO_SET = 0, 1, 2
    disjoint = part == whole
    same_set = WHOLE if disjoint else PART  # what a visit that remembers `a` leaves behind
    # ends[j, state]: remembered move after the sub-walk of loops 0..j.
    ends = unit.ends
    ends[0, NONE], ends[0, SAME], ends[0, OTHER] = SAME, SAME, NONE
    for j in range(1, n_loops):
        for state in range(3):
            before = ends[j - 1, state]
            if is_zero(n_ranks, moves, j):
                after = before
            elif before == NONE:
                after = SAME if same_move(n_ranks, moves, j, 0) else OTHER
            else:
                after = SAME if same_move(n_ranks, moves, j, 0) else NONE
            ends[j, state] = ends[j - 1, after]
    # weight[j, 3 * state + set]: how often the sub-walk of loops 0..j is entered so.
    weight = unit.weight
    for j in range(n_loops):
        for entry in range(9):
            weight[j, entry] = 0.0
    weight[n_loops - 1, 3 * NONE + WHOLE] = 1.0
    delivered = 0.0
    link = 0.0
    part_visits = 0.0
    for j in range(n_loops - 1, -1, -1):
        again = float(nest.t_bound[start + j] - 1)
        zero = is_zero(n_ranks, moves, j)
        repeats = same_move(n_ranks, moves, j, 0)
        fresh = new_words(n_ranks, unit.extents, moves, j)
        whole_visits = 0.0  # of this loop, a whole tile after a whole tile
        for entry in range(9):
            w = weight[j, entry]
            if w == 0.0:
                continue
            if j == 0:
                state, found = entry // 3, entry % 3
            else:
                state = ends[j - 1, entry // 3]
                found = same_set if state == SAME else WHOLE
                weight[j - 1, entry] += w
            if zero:
                after, left = state, NO_SET
            elif state == OTHER or (state == SAME and not repeats):
                after, left = NONE, WHOLE
                if found == WHOLE:
                    whole_visits += w * again
            else:
                after = SAME if repeats else OTHER
                left = WHOLE if fresh == whole else (PART if repeats else NO_SET)
                if left == WHOLE and found == WHOLE:
                    whole_visits += w * again
                elif left == PART and found == PART:
                    part_visits += w * again
            if j > 0:
                weight[j - 1, 3 * after + left] += w * again
        if whole_visits > 0.0:
            d, k = deliver_linked(model, s, nest, level, unit, table, n, j, n_groups, whole * whole_visits)
            delivered += d
            link += k
    d, k = deliver_linked(model, s, nest, level, unit, table, n, 0, n_groups, part * part_visits)
    return delivered + d, link + k
