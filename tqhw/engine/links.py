"""Neighbour links: which visits of a fan-out need fewer accesses because elements pass words on (#link-transfers).

An element whose set of new words equals the *previous* set of a mesh neighbour is served by a link instead of an
access of the level above, if that lowers the number of accesses of the visit. Where links are forbidden to a data
space (``no_link_transfer``), every visit of that data space is plain multicast.
Anchors (#...) are those of docs/timeloop-model.md.
"""

from __future__ import annotations

from tqhw.engine.jit import part
from tqhw.engine.model import Ints
from tqhw.engine.nest import Nest
from tqhw.engine.plan import Plan, Records
from tqhw.engine.table import add_groups, add_row
from tqhw.engine.unit import Unit, all_groups, group_sizes, lay_out, measure, plain_groups


@part
def shift_key(plan: Plan, s: int, j: int, unit: Unit) -> tuple[bool, int]:
    """(whether any two elements can lie ``unit.moves[j]`` apart, that move as a key)."""
    key = 0
    for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
        if abs(unit.moves[j, k]) > unit.reach[k]:
            return False, 0
        key += unit.moves[j, k] * unit.radix[k]
    return True, key


@part
def holds(keys: Ints, n: int, e: int, wanted: int, columns: int) -> bool:
    """Whether a mesh neighbour of element e of n has a certain key, where elements fill the mesh row by row."""
    column = e % columns
    return bool(
        (column > 0 and keys[e - 1] == wanted)
        or (column < columns - 1 and e + 1 < n and keys[e + 1] == wanted)
        or (e >= columns and keys[e - columns] == wanted)
        or (e + columns < n and keys[e + columns] == wanted)
    )


@part
def unserved_groups(unit: Unit, n: int, shift: int, columns: int) -> tuple[int, int]:
    """Groups among the elements that no mesh neighbour can serve; returns (number of groups, elements served).

    The neighbour's previous set equals this element's set if the neighbour lies ``shift`` further. Elements fill
    the mesh row by row in *mapped* order, ``columns`` a row, whatever their true position (Timeloop's way).
    """
    left_over = 0
    for e in range(n):
        if not holds(unit.key, n, e, unit.key[e] + shift, columns):
            unit.scratch[left_over] = unit.key[e]
            left_over += 1
    return group_sizes(unit.scratch, left_over, unit.sizes), n - left_over


@part
def deliver_linked(
    plan: Plan,
    s: int,
    unit: Unit,
    rows: Records,
    n_rows: int,
    n: int,
    columns: int,
    j: int,
    n_groups: int,
    words: float,
) -> tuple[int, float, float]:
    """Accounts for visits that shift every set by ``unit.moves[j]``.

    ``words`` = size of the new set times the number of visits. Returns (number of rows, words so delivered, words over
    links); no words where links do not help.
    """
    possible, shift = shift_key(plan, s, j, unit)
    if not possible or words == 0:
        return n_rows, 0.0, 0.0
    left, served = unserved_groups(unit, n, shift, columns)
    if left >= n_groups:
        return n_rows, 0.0, 0.0
    return add_groups(rows, n_rows, unit.sizes, left, words), words, served * words


@part
def reaches_neighbour(plan: Plan, s: int, n_loops: int, unit: Unit) -> bool:
    """Whether some move stays within the unit: elsewhere no link can happen, and elements need not be laid out."""
    for j in range(n_loops):  # noqa: SIM110 - no generator in a kernel
        if shift_key(plan, s, j, unit)[0]:
            return True
    return False


@part
def find_moves(plan: Plan, s: int, nest: Nest, level: int, unit: Unit) -> int:
    """Writes the moves of data space s for every temporal loop from the level's own outwards; returns their number."""
    start = nest.levels[level].first_loop
    n_loops = nest.levels[nest.levels.shape[0] - 1].end_loop - start
    for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
        fallen = 0
        for j in range(n_loops):
            loop = nest.temporal[start + j]
            step = plan.coefficients[k, loop.dimension] * loop.step
            unit.moves[j, k] = step - fallen
            fallen += step
    return int(n_loops)


@part
def compare_moves(plan: Plan, s: int, unit: Unit, j: int) -> tuple[bool, bool]:
    """Whether move j is zero, and whether it equals the first move."""
    zero = True
    repeats = True
    for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
        zero = zero and unit.moves[j, k] == 0
        repeats = repeats and unit.moves[j, k] == unit.moves[0, k]
    return zero, repeats


@part
def deliver_to_macs(plan: Plan, s: int, nest: Nest, unit: Unit, rows: Records) -> tuple[int, float]:
    """A unit directly above the MACs: every visit needs its points anew, moved or not.

    Returns (number of rows, words over links).
    """
    measure(plan, s, nest, 0, unit)
    n = lay_out(plan, s, nest, 0, unit)
    n_groups = all_groups(unit, n)
    columns = max(plan.levels[0].fanout_x, nest.levels[0].fan_x)
    n_loops = find_moves(plan, s, nest, 0, unit)
    n_rows = 0
    words = 0.0
    linked = 0.0
    link = 0.0
    outside = 1.0  # visits by loop j happen (bound - 1) times per iteration of the loops outside it
    plain = 1.0
    for j in range(n_loops - 1, -1, -1):
        visits = (nest.temporal[j].bound - 1) * outside
        outside *= nest.temporal[j].bound
        if plan.rows[0, s].links:
            n_rows, words, linked = deliver_linked(plan, s, unit, rows, n_rows, n, columns, j, n_groups, visits)
            link += linked
        plain += visits - words
    n_groups = all_groups(unit, n)
    return add_groups(rows, n_rows, unit.sizes, n_groups, plain), link


@part
def deliver_sliding(
    plan: Plan, s: int, nest: Nest, level: int, words: float, unit: Unit, rows: Records
) -> tuple[int, float]:
    """A unit above level - 1, which fetches ``words`` in all, of a data space with a sliding window.

    Returns (number of rows, words over links).
    """
    m, groups = plain_groups(plan, s, nest, level)
    n_rows = 0
    delivered = 0.0
    link = 0.0
    n_loops = find_moves(plan, s, nest, level, unit)
    # Links need two successive non-empty visits with equal sets: where loops inside the first moving one exist, every
    # moving visit follows an empty one.
    linkable = plan.rows[level, s].links and n_loops > 0 and not compare_moves(plan, s, unit, 0)[0]
    n = 1
    if linkable or m == 0:
        measure(plan, s, nest, level, unit)
    linkable = linkable and reaches_neighbour(plan, s, n_loops, unit)
    if linkable or m == 0:
        n = lay_out(plan, s, nest, level, unit)
    if m == 0:
        groups = all_groups(unit, n)
    if linkable:
        n_rows, delivered, link = deliver_links(plan, s, nest, level, unit, rows, n, n_loops, groups)
    if m == 0:
        groups = all_groups(unit, n)
        return add_groups(rows, n_rows, unit.sizes, groups, words - delivered), link
    return add_row(rows, n_rows, m, groups, groups * (words - delivered)), link


@part
def deliver_links(
    plan: Plan,
    s: int,
    nest: Nest,
    level: int,
    unit: Unit,
    rows: Records,
    n: int,
    n_loops: int,
    n_groups: int,
) -> tuple[int, float, float]:
    """The visits of a unit that links can serve; returns (number of rows, words so delivered, words over links).

    Loop 0 moves the tile, and every other visit leaves the part of the tile that is new after its move (``walk.py``).
    So a visit by the same move finds such a part; one that needs the whole tile finds a set of equal form only if
    that part is the whole tile; one of loop 0 finds what the visit before it needed.
    """
    start = nest.levels[level].first_loop
    columns = max(plan.levels[level].fanout_x, nest.levels[level].fan_x)
    overlap = 1
    for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
        overlap *= max(0, nest.span[level - 1, k] - unit.moves[0, k])
    part = float(nest.words[level - 1, s] - overlap)
    disjoint = overlap == 0
    n_rows = 0
    delivered = 0.0
    link = 0.0
    repeated = 0.0  # visits by the move of loop 0 that find its set
    finding = 1.0 if disjoint else 0.0  # visits that need the same set as the visit of loop 0 after them
    outside = 1.0
    for j in range(n_loops - 1, 0, -1):
        visits = (nest.temporal[start + j].bound - 1) * outside
        outside *= nest.temporal[start + j].bound
        zero, repeats = compare_moves(plan, s, unit, j)
        if repeats:
            repeated += visits
            finding += visits
        elif disjoint and not zero:
            finding += visits
            n_rows, more, over = deliver_linked(plan, s, unit, rows, n_rows, n, columns, j, n_groups, part * visits)
            delivered += more
            link += over
    repeated += (nest.temporal[start].bound - 1) * finding
    n_rows, more, over = deliver_linked(plan, s, unit, rows, n_rows, n, columns, 0, n_groups, part * repeated)
    return n_rows, delivered + more, link + over
