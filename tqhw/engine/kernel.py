"""One mapping after the other: nest, validity, traffic, cycles (#cycles) and energy.

Anchors (#...) are those of docs/timeloop-model.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.flow import Flow, accesses, bypass, collapse, make_flow, partitions
from tqhw.engine.jit import inline, jit, part
from tqhw.engine.model import Bools, Floats, Ints, Model
from tqhw.engine.nest import FACTORS, OVERFLOW, VALID, Nest, build_nest, first_violation, make_nest
from tqhw.engine.plan import Plan, Records, make_plan, records
from tqhw.engine.table import MAX_ROWS
from tqhw.engine.walk import fetch


@bundle
class Counts(NamedTuple):
    """Statistics of a batch. N mappings (or 1 row that is reused, if only the totals are wanted)."""

    rule: Ints  # [N] VALID or the rule of nest.RULES that is broken
    level: Ints  # [N] at which level; -1: compute
    cycles: Ints  # [N]
    energy_pj: Floats  # [N]
    tile: Ints  # [N, L, S] words of one instance; 0 where bypassed
    partition: Ints  # [N, L, S]
    reads: Ints  # [N, L, S] words per used instance
    fills: Ints
    updates: Ints
    ds_energy_pj: Floats  # [N, L, S] all instances, without leakage
    leak_pj: Floats  # [N, L]
    slowdown: Floats  # [N, L]
    level_cycles: Ints  # [N, L]
    used: Ints  # [N, L] used instances
    compute_cycles: Ints  # [N] before throttling
    computes: Ints  # [N] operations; with remainders, those that Timeloop counts,
    units: Ints  # [N] on so many compute units on average (0: on all, as without remainders)
    whole_pj: Floats  # [N] with remainders: what all of the problem's work would cost, see remainders.py
    whole_cycles: Ints  # [N] and take


@bundle
class Work(NamedTuple):
    """A model as the kernels read it, and the work arrays of one thread, for one mapping at a time."""

    plan: Plan
    nest: Nest
    flow: Flow
    levels: Records  # [L] slowdown, cycles, leak_pj
    total: Records  # [1] what Counts has one number of per mapping


def make_counts(n: int, n_levels: int, n_spaces: int, detail: bool) -> Counts:
    """Empty results of N mappings; without ``detail`` the per-level arrays have one row, which stays empty."""
    rows = n if detail else 1

    def ints(*more: int) -> Ints:
        return np.zeros((rows, n_levels, *more), np.int64)

    return Counts(
        rule=np.zeros(n, np.int64),
        level=np.zeros(n, np.int64),
        cycles=np.zeros(n, np.int64),
        energy_pj=np.zeros(n),
        tile=ints(n_spaces),
        partition=ints(n_spaces),
        reads=ints(n_spaces),
        fills=ints(n_spaces),
        updates=ints(n_spaces),
        ds_energy_pj=np.zeros((rows, n_levels, n_spaces)),
        leak_pj=np.zeros((rows, n_levels)),
        slowdown=np.zeros((rows, n_levels)),
        level_cycles=ints(),
        used=ints(),
        compute_cycles=np.zeros(n, np.int64),
        computes=np.zeros(n, np.int64),
        units=np.zeros(n, np.int64),
        whole_pj=np.zeros(n),
        whole_cycles=np.zeros(n, np.int64),
    )


def make_work(model: Model) -> Work:
    """The model, packed, with work arrays for :func:`evaluate_batch` on one thread."""
    plan = make_plan(model)
    return Work(
        plan=plan,
        nest=make_nest(plan),
        flow=make_flow(plan),
        levels=records(len(plan.levels), slowdown=np.float64, cycles=np.int64, leak_pj=np.float64),
        total=records(1, rule=np.int64, level=np.int64, cycles=np.int64, compute_cycles=np.int64, energy_pj=np.float64),
    )


@inline
def slowed(limits: Records, need_read: float, need_write: float) -> float:
    """The speed, as a part of the whole, at which a level's bandwidths carry these words a cycle; 1 at most."""
    slowdown = 1.0
    if need_read > limits.read_bandwidth:
        slowdown = min(slowdown, limits.read_bandwidth / need_read)
    if need_write > limits.write_bandwidth:
        slowdown = min(slowdown, limits.write_bandwidth / need_write)
    if need_read + need_write > limits.shared_bandwidth:
        slowdown = min(slowdown, limits.shared_bandwidth / (need_write + need_read))
    return slowdown


@inline
def throttle(plan: Plan, nest: Nest, keep: Bools, compute_cycles: int, flow: Flow, levels: Records) -> int:
    """Writes slowdown and cycles of every level under its bandwidths; cycles of the whole mapping (#cycles)."""
    n_levels, n_spaces = keep.shape
    most = compute_cycles
    for i in range(n_levels):
        levels[i].slowdown = 1.0
        levels[i].cycles = compute_cycles
        limits = plan.levels[i]
        if not limits.limited:
            continue
        need_read = 0.0
        need_write = 0.0
        for s in range(n_spaces):
            if keep[i, s]:
                count = flow.counts[i, s]
                share = plan.rows[i, s].share
                need_read += count.reads / compute_cycles * share
                need_write += (count.fills + count.updates) / compute_cycles * share
        slowdown = slowed(limits, need_read, need_write)
        levels[i].slowdown = slowdown
        levels[i].cycles = int(np.ceil(compute_cycles / slowdown))
        most = max(most, levels[i].cycles)
    return most


@part
def evaluate_nest(
    temporal: Ints,
    temporal_order: Ints,
    spatial: Ints,
    spatial_order: Ints,
    split: Ints,
    keep: Bools,
    work: Work,
    detail: bool,
) -> None:
    """Evaluates one mapping into the work arrays; ``detail``: also the partitions that no count depends on."""
    plan, nest, flow, total = work.plan, work.nest, work.flow, work.total[0]
    n_levels, n_spaces = keep.shape
    total.level = -1
    if not build_nest(plan, temporal, temporal_order, spatial, spatial_order, split, nest):
        total.rule = FACTORS
        return
    total.rule, total.level = first_violation(plan, keep, nest)
    if total.rule != VALID:
        return
    innermost = nest.levels[0]
    compute_cycles = plan.machine[0].computes // (innermost.used * innermost.fan_x * innermost.fan_y)
    total.compute_cycles = compute_cycles
    for s in range(n_spaces):
        n = nest.outermost[s] + 1  # levels further out lose all statistics
        fetch(plan, s, nest, n, flow.walk)
        collapse(plan, s, nest, n, float(compute_cycles), flow)
        bypass(s, nest, keep, n, flow)
        if detail or plan.spaces[s].read_write:
            partitions(s, nest, flow)
        accesses(plan, s, nest, keep, n, flow)
        for i in range(n):
            if flow.levels[i].n_rows > MAX_ROWS:
                total.rule = OVERFLOW
    cycles = throttle(plan, nest, keep, compute_cycles, flow, work.levels)
    total.cycles = cycles
    energy = plan.machine[0].compute_pj
    for i in range(n_levels):
        level_pj = 0.0
        for s in range(n_spaces):
            if keep[i, s]:
                level_pj += flow.counts[i, s].energy_pj
        # Only used instances leak, even where every data space bypasses them.
        leak = plan.levels[i].leak_pj * cycles * max(1, nest.levels[i].used)
        work.levels[i].leak_pj = leak
        energy += level_pj + leak
    total.energy_pj = energy


@inline
def copy_details(work: Work, keep: Bools, row: int, out: Counts) -> None:
    """Copies what was counted per level and data space; of an invalid mapping, the tiles."""
    n_levels, n_spaces = keep.shape
    valid = work.total[0].rule == VALID
    for i in range(n_levels):
        level = work.levels[i]
        out.leak_pj[row, i] = level.leak_pj if valid else 0.0
        out.slowdown[row, i] = level.slowdown if valid else 0.0
        out.level_cycles[row, i] = level.cycles if valid else 0
        out.used[row, i] = work.nest.levels[i].used
        for s in range(n_spaces):
            kept = keep[i, s]
            counted = kept and valid
            count = work.flow.counts[i, s]
            out.tile[row, i, s] = work.nest.words[i, s] if kept else 0
            out.partition[row, i, s] = count.partition if counted else 0
            out.reads[row, i, s] = count.reads if counted else 0
            out.fills[row, i, s] = count.fills if counted else 0
            out.updates[row, i, s] = count.updates if counted else 0
            out.ds_energy_pj[row, i, s] = count.energy_pj if counted else 0.0


@inline
def copy_totals(work: Work, n: int, out: Counts) -> None:
    """Copies what there is one number of per mapping."""
    total = work.total[0]
    out.rule[n] = total.rule
    out.level[n] = total.level
    if total.rule == VALID:
        out.cycles[n] = total.cycles
        out.compute_cycles[n] = total.compute_cycles
        out.energy_pj[n] = total.energy_pj


@jit
def evaluate_batch(
    temporal: Ints,
    temporal_order: Ints,
    spatial: Ints,
    spatial_order: Ints,
    split: Ints,
    keep: Bools,
    work: Work,
    detail: bool,
    out: Counts,
) -> None:
    """Evaluates N mappings. Arrays [N or 1, L, D]; an axis of length 1 is shared by all mappings."""
    for n in range(temporal.shape[0]):
        kept = keep[min(n, keep.shape[0] - 1)]
        evaluate_nest(
            temporal[n],
            temporal_order[min(n, temporal_order.shape[0] - 1)],
            spatial[min(n, spatial.shape[0] - 1)],
            spatial_order[min(n, spatial_order.shape[0] - 1)],
            split[min(n, split.shape[0] - 1)],
            kept,
            work,
            detail,
        )
        copy_totals(work, n, out)
        if detail:
            copy_details(work, kept, n, out)
