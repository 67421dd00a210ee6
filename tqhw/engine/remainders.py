"""Mappings with remainders, one after the other: kernel.py, by the walk of remainder_walk.py (#remainders).

A kernel of its own, so that what nearly all mappings take stays as short as it is.

Timeloop cuts the instances in use to a whole number, spreads fills over instances that idle in the last pass, and
counts the operations of an average unit: a mapping may seem cheap because work is left out. So beside Timeloop's
figures stand those of the *whole* work: the problem's own operations, the mean of the instances, fills of those that
there are. That is what mappings with remainders are compared by.
Anchors (#...) are those of docs/timeloop-model.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.flow import Flow, accesses, bypass, partitions
from tqhw.engine.jit import jit, part
from tqhw.engine.kernel import Counts, Work, copy_details, copy_totals, slowed
from tqhw.engine.model import Bools, Floats, Ints
from tqhw.engine.nest import OVERFLOW, VALID, Nest, build_nest, first_violation
from tqhw.engine.plan import Plan, Records
from tqhw.engine.remainder_nest import Rests, build_rests, make_rests, measure_tiles
from tqhw.engine.remainder_visits import Visits, make_visits
from tqhw.engine.remainder_walk import walk
from tqhw.engine.table import MAX_ROWS


@bundle
class RemainderWork(NamedTuple):
    """The work arrays of kernel.py, and those of the walk."""

    work: Work
    rests: Rests
    visits: Visits
    spread: Floats  # [L] used instances, each pass as wide as the widest, by those that are counted
    whole: Floats  # [L, S, 2] words out and in of all instances, of the whole work


def make_remainder_work(work: Work) -> RemainderWork:
    """Work arrays for :func:`evaluate_remainders` on one thread."""
    n_levels, n_spaces = len(work.plan.levels), len(work.plan.spaces)
    rests = make_rests(n_levels, len(work.plan.bounds))
    return RemainderWork(work, rests, make_visits(work.plan), np.ones(n_levels), np.zeros((n_levels, n_spaces, 2)))


@part
def collect(s: int, n: int, nest: Nest, visits: Visits, flow: Flow) -> None:
    """Contents, links, shares of levels 0 .. n - 1 (#collapse-per-level), out of the tables of a walk."""
    share = 0.0
    for i in range(n - 1, -1, -1):
        at, level = flow.levels[i], nest.levels[i]
        fan = level.fan_x * level.fan_y if level.end_unit > level.first_unit else 1
        at.link = visits.link[i, s]
        at.n_rows = visits.n_rows[i, s]
        at.share = share
        at.peer = 0.0
        content = 0.0
        share = 0.0
        for row in range(min(at.n_rows, MAX_ROWS)):
            source, target = visits.rows[s, i, row], flow.rows[i, row]
            target.multicast = source.multicast
            target.groups = source.groups
            target.accesses = source.accesses
            content += source.accesses
            share += source.accesses * source.multicast / fan
        at.content = content


@part
def spread_energy(s: int, keep: Bools, n: int, plan: Plan, spread: Floats, nest: Nest, flow: Flow) -> None:
    """Corrects energies where instances share their clusters: these are those of the widest pass."""
    for i in range(n):
        used, clusters = float(nest.levels[i].used), plan.levels[i].clusters
        widest = used * spread[i]
        if keep[i, s] and widest > clusters:
            flow.counts[i, s].energy_pj *= clusters / widest / (min(used, clusters) / used)


@part
def throttle_uneven(plan: Plan, keep: Bools, compute_cycles: int, spread: Floats, flow: Flow, levels: Records) -> int:
    """:func:`tqhw.engine.kernel.throttle` where a level's instances are busy in some passes only."""
    n_levels, n_spaces = keep.shape
    most = compute_cycles
    for i in range(n_levels):
        need_read = 0.0
        need_write = 0.0
        for s in range(n_spaces):
            if keep[i, s]:
                count, share = flow.counts[i, s], plan.rows[i, s].share
                need_read += np.ceil(count.reads / spread[i]) / compute_cycles * share
                need_write += np.ceil((count.fills + count.updates) / spread[i]) / compute_cycles * share
        limits = plan.levels[i]
        slowdown = slowed(limits, need_read, need_write)
        levels[i].slowdown = slowdown
        levels[i].cycles = int(np.ceil(compute_cycles / slowdown))
        most = max(most, levels[i].cycles)
    return int(most)


@part
def whole_energy(
    plan: Plan, s: int, i: int, outermost: bool, nest: Nest, mean: Floats, flow: Flow, whole: Floats
) -> float:
    """Energy in pJ of the whole work on data space s at level i, which keeps it; writes its words into ``whole``."""
    at, level, rows = flow.levels[i], plan.levels[i], plan.rows[i, s]
    widest = nest.levels[i].used_x * nest.levels[i].used_y
    receivers = 0.0  # instances among which the share was divided
    if not outermost:
        receivers = mean[i + 1]
        if nest.levels[i + 1].end_unit > nest.levels[i + 1].first_unit:
            receivers *= nest.levels[i + 1].fan_x * nest.levels[i + 1].fan_y
    first = float(flow.counts[i, s].partition) if plan.spaces[s].read_write else 0.0
    sent = (at.content + at.peer - first) * mean[i]
    received = (at.share + at.peer - first) * receivers
    updated = at.content * mean[i] if plan.spaces[s].read_write else 0.0
    whole[i, s, 0] = sent
    whole[i, s, 1] = received + updated
    energy = sent * level.read_pj + received * level.fill_pj + updated * level.update_pj
    return float(energy * rows.count / rows.words * min(float(widest), level.clusters) / widest)


@part
def whole_figures(
    plan: Plan, keep: Bools, nest: Nest, mean: Floats, compute_cycles: int, energy: float, whole: Floats
) -> tuple[float, int]:
    """Energy in pJ and cycles of the whole work; ``energy``: what its words cost."""
    n_levels, n_spaces = keep.shape
    energy += plan.machine[0].compute_pj
    most = float(compute_cycles)
    for i in range(n_levels):
        need_read = 0.0
        need_write = 0.0
        for s in range(n_spaces):
            if keep[i, s]:
                share = plan.rows[i, s].share / (nest.levels[i].used_x * nest.levels[i].used_y)
                need_read += whole[i, s, 0] * share
                need_write += whole[i, s, 1] * share
        limits = plan.levels[i]
        most = max(most, need_read / limits.read_bandwidth, need_write / limits.write_bandwidth)
        most = max(most, (need_read + need_write) / limits.shared_bandwidth)
    cycles = int(np.ceil(most))
    for i in range(n_levels):
        energy += plan.levels[i].leak_pj * cycles * max(1.0, mean[i])
    return energy, cycles


@part
def count_computes(computes: float, elements: int, nest: Nest, rests: Rests) -> tuple[int, int]:
    """The operations that Timeloop counts, those of an average unit times the units in use; and these (#remainders)."""
    level = nest.levels[0]
    fan = level.fan_x * level.fan_y if level.end_unit > level.first_unit else 1
    units = int(np.floor(rests.mean[0] * fan))
    return int(np.floor(computes / elements * units)), units


@part
def evaluate_uneven(keep: Bools, remainder_work: RemainderWork, row: int, out: Counts) -> None:
    """Evaluates one mapping, whose nest and tiles are built and fit; row ``row`` gets what only remainders change."""
    work, rests, visits, spread = (
        remainder_work.work,
        remainder_work.rests,
        remainder_work.visits,
        remainder_work.spread,
    )
    plan, nest, flow, total = work.plan, work.nest, work.flow, work.total[0]
    n_levels, n_spaces = keep.shape
    compute_cycles = 1
    for t in range(nest.levels[n_levels - 1].end_loop):
        compute_cycles *= nest.temporal[t].bound
    total.compute_cycles = compute_cycles
    for i in range(n_levels):
        widest = nest.levels[i].used
        nest.levels[i].used = int(np.floor(rests.mean[i]))
        spread[i] = widest / nest.levels[i].used
    walked, elements = walk(plan, nest, rests, flow.unit, visits)
    computes, units = count_computes(walked, elements, nest, rests)
    whole_pj = 0.0
    for s in range(n_spaces):
        n = nest.outermost[s] + 1
        for i in range(n):
            if visits.n_rows[i, s] > MAX_ROWS:
                total.rule = OVERFLOW
                return
        collect(s, n, nest, visits, flow)
        bypass(s, nest, keep, n, flow)
        partitions(s, nest, flow)
        accesses(plan, s, nest, keep, n, flow)
        spread_energy(s, keep, n, plan, spread, nest, flow)
        for i in range(n):
            if keep[i, s]:
                whole_pj += whole_energy(plan, s, i, i == n - 1, nest, rests.mean, flow, remainder_work.whole)
    cycles = throttle_uneven(plan, keep, compute_cycles, spread, flow, work.levels)
    total.cycles = cycles
    energy = plan.machine[0].compute_pj / plan.machine[0].computes * computes
    for i in range(n_levels):
        for s in range(n_spaces):
            if keep[i, s]:
                energy += flow.counts[i, s].energy_pj
        leak = plan.levels[i].leak_pj * cycles * max(1, nest.levels[i].used)
        work.levels[i].leak_pj = leak
        energy += leak
    total.energy_pj = energy
    whole_pj, whole_cycles = whole_figures(plan, keep, nest, rests.mean, compute_cycles, whole_pj, remainder_work.whole)
    out.computes[row] = computes
    out.units[row] = units
    out.whole_pj[row] = whole_pj
    out.whole_cycles[row] = whole_cycles


@jit
def evaluate_remainders(
    temporal: Ints,
    temporal_order: Ints,
    spatial: Ints,
    spatial_order: Ints,
    split: Ints,
    keep: Bools,
    temporal_rest: Ints,
    spatial_rest: Ints,
    work: RemainderWork,
    detail: bool,
    out: Counts,
) -> None:
    """Evaluates N mappings, and writes the operations that Timeloop counts of each."""
    nest, total = work.work.nest, work.work.total[0]
    for n in range(temporal.shape[0]):
        kept = keep[min(n, keep.shape[0] - 1)]
        times, spaces = temporal_order[min(n, len(temporal_order) - 1)], spatial_order[min(n, len(spatial_order) - 1)]
        row = min(n, spatial.shape[0] - 1)
        build_nest(work.work.plan, temporal[n], times, spatial[row], spaces, split[min(n, len(split) - 1)], nest)
        build_rests(temporal_rest[n], temporal[n], times, spatial_rest[row], spatial[row], spaces, nest, work.rests)
        measure_tiles(work.work.plan, nest, work.rests)
        total.rule, total.level = first_violation(work.work.plan, kept, nest)
        if total.rule == VALID:
            evaluate_uneven(kept, work, n, out)
        copy_totals(work.work, n, out)
        if detail:
            copy_details(work.work, kept, n, out)
