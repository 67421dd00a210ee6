"""Mappings with remainders, one after the other: kernel.py, by the walk of remainder_walk.py (#remainders).

A kernel of its own, so that what nearly all mappings take stays as short as it is.
Anchors (#...) are those of docs/timeloop-model.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.flow import Flow, accesses, bypass, partitions
from tqhw.engine.jit import jit, part
from tqhw.engine.kernel import Counts, Work, copy_details, copy_totals
from tqhw.engine.model import Bools, Floats, Ints
from tqhw.engine.nest import OVERFLOW, VALID, Nest, build_nest, first_violation
from tqhw.engine.plan import Plan, Records
from tqhw.engine.remainder_nest import Rests, build_rests, make_rests, measure_tiles
from tqhw.engine.remainder_walk import Visits, make_visits, walk
from tqhw.engine.table import MAX_ROWS


@bundle
class RemainderWork(NamedTuple):
    """The work arrays of kernel.py, and those of the walk."""

    work: Work
    rests: Rests
    visits: Visits
    spread: Floats  # [L] used instances, each pass as wide as the widest, by those that are counted


def make_remainder_work(work: Work) -> RemainderWork:
    """Work arrays for :func:`evaluate_remainders` on one thread."""
    n_levels = len(work.plan.levels)
    return RemainderWork(work, make_rests(n_levels, len(work.plan.bounds)), make_visits(work.plan), np.ones(n_levels))


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
        slowdown = 1.0
        if need_read > limits.read_bandwidth:
            slowdown = min(slowdown, limits.read_bandwidth / need_read)
        if need_write > limits.write_bandwidth:
            slowdown = min(slowdown, limits.write_bandwidth / need_write)
        if need_read + need_write > limits.shared_bandwidth:
            slowdown = min(slowdown, limits.shared_bandwidth / (need_write + need_read))
        levels[i].slowdown = slowdown
        levels[i].cycles = int(np.ceil(compute_cycles / slowdown))
        most = max(most, levels[i].cycles)
    return int(most)


@part
def count_computes(computes: float, elements: int, nest: Nest, rests: Rests) -> tuple[int, int]:
    """The operations that Timeloop counts, those of an average unit times the units in use; and these (#remainders)."""
    level = nest.levels[0]
    fan = level.fan_x * level.fan_y if level.end_unit > level.first_unit else 1
    units = int(np.floor(rests.mean[0] * fan))
    return int(np.floor(computes / elements * units)), units


@part
def evaluate_uneven(keep: Bools, remainder_work: RemainderWork) -> tuple[int, int]:
    """Evaluates one mapping, whose nest and tiles are built and fit; returns operations and compute units counted."""
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
    for s in range(n_spaces):
        n = nest.outermost[s] + 1
        for i in range(n):
            if visits.n_rows[i, s] > MAX_ROWS:
                total.rule = OVERFLOW
                return computes, units
        collect(s, n, nest, visits, flow)
        bypass(s, nest, keep, n, flow)
        partitions(s, nest, flow)
        accesses(plan, s, nest, keep, n, flow)
        spread_energy(s, keep, n, plan, spread, nest, flow)
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
    return computes, units


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
            out.computes[n], out.units[n] = evaluate_uneven(kept, work)
        copy_totals(work.work, n, out)
        if detail:
            copy_details(work.work, kept, n, out)
