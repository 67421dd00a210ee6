"""The walk over a nest with remainders, visit by visit (#remainders, #the-walk, #multicast, #link-transfers).

Without remainders consecutive visits differ in a few ways, which walk.py and links.py put into closed forms. With
them, tiles change their size as well, and Timeloop executes up to four iterations of a loop: 0, 1, the last but one,
the last. So the walk is carried out here as Timeloop does it, for all data spaces at once.
Anchors (#...) are those of docs/timeloop-model.md.
"""

from __future__ import annotations

from tqhw.engine.jit import part
from tqhw.engine.model import Ints
from tqhw.engine.nest import Nest
from tqhw.engine.plan import Plan, Records
from tqhw.engine.remainder_nest import Rests
from tqhw.engine.remainder_visits import Visits, visit_point, visit_tile
from tqhw.engine.table import add_groups, add_row
from tqhw.engine.unit import Unit, all_groups, group_sizes, measure, plain_groups

TILE, LOOP, UNIT, TEMPORAL = range(4)  # kinds of stations


@part
def list_stations(nest: Nest, visits: Visits) -> int:
    """Writes what the walk passes on its way inwards, and clears what it leaves behind; returns how many there are."""
    n_levels, n_spaces = visits.n_rows.shape
    n = 0
    for i in range(n_levels - 1, -1, -1):
        level = nest.levels[i]
        visits.is_set[i] = False
        for s in range(n_spaces):
            visits.has_move[i, s] = False
            visits.n_before[i, s] = 0
            visits.n_rows[i, s] = 0
            visits.link[i, s] = 0.0
        visits.stations[n].kind = TILE
        visits.stations[n].index = i
        n += 1
        has_unit = level.end_unit > level.first_unit
        innermost = level.first_loop + (1 if i == 0 and not has_unit and level.end_loop > level.first_loop else 0)
        for t in range(level.end_loop - 1, innermost - 1, -1):
            visits.stations[n].kind = LOOP
            visits.stations[n].index = t
            n += 1
        if has_unit or i > 0:
            visits.stations[n].kind = UNIT if has_unit else TEMPORAL
            visits.stations[n].index = i
            n += 1
    return n


@part
def list_phases(n: int, whole: bool, uneven: bool, phases: Records) -> int:
    """The iterations of a loop of bound n that are executed, how often, and how often their words count.

    ``whole``: iteration 1 stands for all further ones. Elsewhere the last one is executed too, and, where the loop
    itself is ``uneven``, the last but one. Where iteration 1 stands for others it counts for the last one as well.
    """
    first = 1 if whole or n < 2 else n - 1  # iterations from here on are executed one by one
    if not whole and uneven and n > 2:
        first = n - 2
    phases[0].iteration = 0
    phases[0].visits = 1
    phases[0].counted = 1
    if n == 1:
        return 1
    if whole:
        phases[1].iteration = 1
        phases[1].visits = n - 1
        phases[1].counted = n - 1
        return 2
    k = 1
    if first > 1:
        phases[1].iteration = 1
        phases[1].visits = first - 1
        phases[1].counted = first  # one of the iterations after it
        k = 2
    for iteration in range(first, n):
        phases[k].iteration = iteration
        phases[k].visits = 1
        phases[k].counted = 0 if first > 1 and iteration == first else 1
        k += 1
    return k


@part
def enter_loop(nest: Nest, rests: Rests, k: int, visits: Visits) -> None:
    """Lists the phases of a loop where it begins."""
    station = visits.stations[k]
    loop, rest = nest.temporal[station.index], rests.temporal[station.index]
    last = visits.waiting[loop.dimension] == 0
    n = rest if last else loop.bound
    station.phase = 0
    station.phases = list_phases(n, not (last and rests.uneven[station.index]), rest != loop.bound, visits.phases[k])


@part
def enter_phase(nest: Nest, rests: Rests, k: int, visits: Visits) -> None:
    """Goes to the iteration of the loop's phase."""
    station = visits.stations[k]
    loop, phase = nest.temporal[station.index], visits.phases[k, station.phase]
    visits.at[loop.dimension] += phase.iteration * loop.step
    if phase.iteration + 1 < rests.temporal[station.index]:
        visits.waiting[loop.dimension] += 1
    visits.epochs[k + 1] = visits.epochs[k] * phase.visits
    visits.weight[k + 1] = visits.epochs[k] * phase.counted


@part
def leave_phase(nest: Nest, rests: Rests, k: int, visits: Visits) -> None:
    """Undoes :func:`enter_phase`."""
    station = visits.stations[k]
    loop, phase = nest.temporal[station.index], visits.phases[k, station.phase]
    visits.at[loop.dimension] -= phase.iteration * loop.step
    if phase.iteration + 1 < rests.temporal[station.index]:
        visits.waiting[loop.dimension] -= 1


@part
def lowest(pieces: Ints, n: int, first: int, end: int) -> int:
    """The box whose lowest corner comes first: disjoint boxes have different ones."""
    best = 0
    for p in range(1, n):
        for k in range(first, end):
            if pieces[p, k, 0] != pieces[best, k, 0]:
                if pieces[p, k, 0] < pieces[best, k, 0]:
                    best = p
                break
    return best


@part
def matches(plan: Plan, s: int, i: int, visits: Visits) -> bool:
    """Whether the new words have the form of those of the unit's visit before; writes the step between them."""
    first, end = plan.spaces[s].first_rank, plan.spaces[s].end_rank
    n = visits.n_pieces[s]
    if n == 0 or n != visits.n_before[i, s]:
        return False
    mine, theirs = visits.pieces[s], visits.before[i, s]
    a, b = lowest(mine, n, first, end), lowest(theirs, n, first, end)
    for k in range(first, end):
        visits.step[k] = mine[a, k, 0] - theirs[b, k, 0]
    for p in range(n):
        found = False
        for o in range(n):
            equal = True
            for k in range(first, end):
                step = visits.step[k]
                equal = equal and mine[p, k, 0] == theirs[o, k, 0] + step and mine[p, k, 1] == theirs[o, k, 1] + step
            found = found or equal
        if not found:
            return False
    return True


@part
def put_elements(plan: Plan, s: int, nest: Nest, i: int, bounds: Ints, unit: Unit, keys: Ints) -> int:
    """Writes the keys of the elements of a measured unit whose loops have these bounds; returns their number."""
    n = 1
    keys[0] = 0
    for u in range(nest.levels[i].first_unit, nest.levels[i].end_unit):
        loop = nest.spatial[u]
        step = 0
        for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
            step += plan.coefficients[k, loop.dimension] * loop.step * unit.radix[k]
        bound = bounds[loop.dimension]
        for e in range(n, n * bound):
            keys[e] = keys[e - n] + step
        n *= bound
    return n


@part
def unserved(unit: Unit, n: int, other: Ints, n_other: int, shift: int, columns: int) -> tuple[int, int]:
    """Groups among the ``n`` elements that no neighbour's set of the visit before serves; and the elements served."""
    left_over = 0
    for e in range(n):
        wanted = unit.key[e] + shift
        column = e % columns
        served = (
            (column > 0 and e - 1 < n_other and other[e - 1] == wanted)
            or (column < columns - 1 and e + 1 < n_other and other[e + 1] == wanted)
            or (e >= columns and e - columns < n_other and other[e - columns] == wanted)
            or (e + columns < n_other and other[e + columns] == wanted)
        )
        if not served:
            unit.scratch[left_over] = unit.key[e]
            left_over += 1
    return group_sizes(unit.scratch, left_over, unit.sizes), n - left_over


@part
def visit_unit(plan: Plan, i: int, nest: Nest, rests: Rests, epochs: float, unit: Unit, visits: Visits) -> int:
    """Counts what the elements of a unit need anew; returns how many elements there are."""
    level = nest.levels[i]
    n_elements = 1
    for u in range(level.first_unit, level.end_unit):
        d = nest.spatial[u].dimension
        rests.extent[d] = nest.spatial[u].bound if visits.waiting[d] > 0 else rests.spatial[u]
        n_elements *= rests.extent[d]
    for s in range(visits.n_pieces.shape[0]):
        if visits.n_pieces[s] > 0:
            deliver(plan, s, i, nest, rests.extent, n_elements, epochs, unit, visits)
        visits.n_before[i, s] = visits.n_pieces[s]
        for p in range(visits.n_pieces[s]):
            for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
                visits.before[i, s, p, k, 0] = visits.pieces[s, p, k, 0]
                visits.before[i, s, p, k, 1] = visits.pieces[s, p, k, 1]
    for u in range(level.first_unit, level.end_unit):
        d = nest.spatial[u].dimension
        visits.bounds[i, d] = rests.extent[d]
    return int(n_elements)


@part
def deliver(
    plan: Plan, s: int, i: int, nest: Nest, bounds: Ints, n: int, epochs: float, unit: Unit, visits: Visits
) -> None:
    """Adds the accesses and the link words of one visit of a unit for data space s (#multicast, #link-transfers)."""
    rows, words = visits.rows[s, i], visits.words[s] * epochs
    measure(plan, s, nest, i, unit)
    linkable = plan.rows[i, s].links and matches(plan, s, i, visits)
    shift = 0
    for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
        linkable = linkable and abs(visits.step[k]) <= unit.reach[k]
        shift += visits.step[k] * unit.radix[k]
    m, groups = plain_groups(plan, s, nest, i)
    alike = m > 0  # elements with equal words differ along irrelevant dimensions alone
    if alike:
        m = 1
        groups = 1
        for u in range(nest.levels[i].first_unit, nest.levels[i].end_unit):
            d = nest.spatial[u].dimension
            if plan.relevant[s, d]:
                groups *= bounds[d]
            else:
                m *= bounds[d]
    if linkable or not alike:
        put_elements(plan, s, nest, i, bounds, unit, unit.key)
    if not alike:
        groups = all_groups(unit, n)
    if linkable:
        n_other = put_elements(plan, s, nest, i, visits.bounds[i], unit, visits.other)
        columns = max(plan.levels[i].fanout_x, nest.levels[i].fan_x)
        left, served = unserved(unit, n, visits.other, n_other, shift, columns)
        if left < groups:
            visits.n_rows[i, s] = add_groups(rows, visits.n_rows[i, s], unit.sizes, left, words)
            visits.link[i, s] += served * words
            return
    if alike:
        visits.n_rows[i, s] = add_row(rows, visits.n_rows[i, s], m, groups, groups * words)
        return
    groups = all_groups(unit, n)
    visits.n_rows[i, s] = add_groups(rows, visits.n_rows[i, s], unit.sizes, groups, words)


@part
def pass_unit(nest: Nest, rests: Rests, i: int, way: int, visits: Visits) -> None:
    """Enters (1) or leaves (-1) element 0 of a unit: the loops inside are in its first iteration."""
    for u in range(nest.levels[i].first_unit, nest.levels[i].end_unit):
        if rests.spatial[u] > 1:
            visits.waiting[nest.spatial[u].dimension] += way


@part
def walk(plan: Plan, nest: Nest, rests: Rests, unit: Unit, visits: Visits) -> tuple[float, int]:
    """Fills the tables and the link words of all levels.

    Returns the operations of the units right above which no level stands, in all, and how many units these are.
    """
    n_levels, n_spaces = visits.n_rows.shape
    n = list_stations(nest, visits)
    over_macs = nest.levels[0].end_unit > nest.levels[0].first_unit
    for d in range(visits.at.shape[0]):
        visits.at[d] = 0
        visits.waiting[d] = 0
    visits.epochs[0] = 1.0
    visits.weight[0] = 1.0
    computes = 0.0
    most = 1
    k = 0
    while k >= 0:
        # Inwards, up to the compute units,
        while k < n:
            station = visits.stations[k]
            if station.kind == LOOP:
                enter_loop(nest, rests, k, visits)
                enter_phase(nest, rests, k, visits)
            else:
                visits.epochs[k + 1] = visits.epochs[k]
                visits.weight[k + 1] = visits.epochs[k]
                if station.kind == UNIT:
                    pass_unit(nest, rests, station.index, 1, visits)
            k += 1
        if over_macs:
            visit_point(plan, visits)
        else:
            iterations = 1
            if nest.levels[0].end_loop > 0:
                loop = nest.temporal[0]
                iterations = loop.bound if visits.waiting[loop.dimension] > 0 else rests.temporal[0]
            computes += iterations * visits.epochs[n]
            for s in range(n_spaces):
                visits.n_rows[0, s] = add_row(
                    visits.rows[s, 0], visits.n_rows[0, s], 1, 1, iterations * visits.epochs[n]
                )
        # and outwards, up to a loop that goes on.
        k -= 1
        while k >= 0:
            station = visits.stations[k]
            if station.kind == LOOP:
                leave_phase(nest, rests, k, visits)
                station.phase += 1
                if station.phase < station.phases:
                    enter_phase(nest, rests, k, visits)
                    k += 1
                    break
            elif station.kind == UNIT:
                pass_unit(nest, rests, station.index, -1, visits)
                elements = visit_unit(plan, station.index, nest, rests, visits.epochs[k], unit, visits)
                if station.index == 0:
                    computes += elements * visits.epochs[k]
                    most = max(most, elements)
            elif station.kind == TEMPORAL:
                i = station.index
                for s in range(n_spaces):
                    words = visits.words[s] * visits.weight[k]
                    visits.n_rows[i, s] = add_row(visits.rows[s, i], visits.n_rows[i, s], 1, 1, words)
            elif station.index < n_levels - 1:
                visit_tile(plan, station.index, rests, visits)
            k -= 1
    return computes, most
