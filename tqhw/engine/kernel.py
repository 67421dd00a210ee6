"""From loop nests to counts, cycles and energy, for a batch of mappings (reference sections 5.6 to 5.12).

Timeloop: ``src/loop-analysis/tiling.cpp`` (collapse, bypassing, peers), ``src/model/buffer.cpp`` (energy, bandwidth).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.jit import jit
from tqhw.engine.model import Bools, Floats, Ints, Model
from tqhw.engine.nest import FACTORS, OVERFLOW, VALID, Nest, box_words, build_nest, first_violation, make_nest
from tqhw.engine.unit import Table, Unit, deliver, deliver_to_macs, make_table, make_unit
from tqhw.engine.walk import fetched_words


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


class Work(NamedTuple):
    """Work arrays of one thread, for one mapping at a time."""

    nest: Nest
    unit: Unit
    table: Table
    content: Floats  # [L] words that a level sends inwards (its accesses)
    link: Floats  # [L] words over the links of the level's unit
    share: Floats  # [L] words that one instance receives from the next outer level
    peer: Floats  # [L]
    fan: Ints  # [L]
    size: Ints  # [L, S] tile, before bypassing


def make_counts(n: int, n_levels: int, n_spaces: int, detail: bool) -> Counts:
    """Empty results of N mappings; without ``detail`` the per-level arrays have one row, reused for every mapping."""
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
    )


def make_work(model: Model) -> Work:
    """Work arrays for :func:`evaluate_batch` on one thread."""
    n_levels, n_dims = len(model.mesh_x), len(model.bounds)
    n_ranks = model.coefficients.shape[1]
    return Work(
        nest=make_nest(n_levels, n_dims),
        unit=make_unit(model.compute_instances, n_levels * n_dims, n_ranks),
        table=make_table(n_levels),
        content=np.zeros(n_levels),
        link=np.zeros(n_levels),
        share=np.zeros(n_levels),
        peer=np.zeros(n_levels),
        fan=np.zeros(n_levels, np.int64),
        size=np.zeros((n_levels, len(model.ranks)), np.int64),
    )


@jit
def round_half_away(x: float) -> int:
    """C's round()."""
    below = np.floor(x)
    if x >= 0:
        return int(below) + (1 if x - below >= 0.5 else 0)
    return int(below) + (1 if x - below > 0.5 else 0)


@jit
def access_energy(words: int, block_size: int, energy_pj: float) -> float:
    return ((words + block_size - 1) // block_size) * energy_pj


@jit
def collapse(model: Model, s: int, work: Work, n: int, partition: Ints) -> None:
    """Contents, links, shares and partitions of data space s for all levels (5.6), before bypassing."""
    nest, table = work.nest, work.table
    n_levels = nest.fan_x.shape[0]
    computes = 1.0
    for t in range(nest.t_end[n_levels]):
        computes *= nest.t_bound[t]
    fetched = computes
    for i in range(n_levels):
        table.rows[i] = 0
        work.fan[i] = nest.fan_x[i] * nest.fan_y[i]
        work.link[i] = 0.0
        has_unit = nest.s_end[i + 1] > nest.s_end[i]
        if has_unit and i == 0:
            work.link[0] = deliver_to_macs(model, s, nest, 0, work.unit, table)
        elif has_unit:
            work.link[i] = deliver(model, s, nest, i, fetched, work.unit, table)
        else:
            table.multicast[i, 0] = 1
            table.groups[i, 0] = 1
            table.accesses[i, 0] = fetched
            table.rows[i] = 1
        content = 0.0
        for row in range(table.rows[i]):
            content += table.accesses[i, row]
        work.content[i] = content
        # A level without loops holds the tile of the level below for as long, so it fetches as much.
        if i == 0 or has_unit or nest.t_end[i + 1] > nest.t_end[i]:
            fetched = fetched_words(model, s, nest, i, work.unit.moves, work.unit.extents)
    share = 0.0
    for i in range(n_levels - 1, -1, -1):
        work.share[i] = share
        share = 0.0
        for row in range(table.rows[i]):
            share += table.accesses[i, row] * table.multicast[i, row] / work.fan[i]
    partition[n, n_levels - 1, s] = work.size[n_levels - 1, s]
    for i in range(n_levels - 2, -1, -1):
        parent = work.size[i, s]
        if nest.s_end[i + 2] > nest.s_end[i + 1]:
            parent = box_words(model, s, nest.extent_unit, i + 1)
        partition[n, i, s] = partition[n, i + 1, s] * work.size[i, s] // parent


@jit
def bypass(s: int, keep: Bools, work: Work, n: int, partition: Ints) -> None:
    """Moves the traffic of bypassed levels outwards (5.7), and hands link words to the level below (5.8)."""
    nest, table = work.nest, work.table
    n_levels = keep.shape[0]
    for i in range(n_levels):
        if keep[i, s]:
            continue
        if i < n_levels - 1:
            weighted = 0.0
            for row in range(table.rows[i + 1]):
                weighted += table.accesses[i + 1, row] * table.multicast[i + 1, row]
            factor = work.content[i] * work.fan[i + 1] / weighted
            work.link[i + 1] = 0.0
            content = 0.0
            for row in range(table.rows[i + 1]):
                table.accesses[i + 1, row] *= factor
                content += table.accesses[i + 1, row]
            work.content[i + 1] = content
        partition[n, i, s] = 0
        work.content[i] = 0.0
        work.share[i] = 0.0
    for i in range(n_levels - 1, -1, -1):
        if keep[i, s]:
            work.share[i] = 0.0
            break
        work.content[i] = 0.0
        work.link[i] = 0.0
    for i in range(n_levels):
        work.peer[i] = 0.0
    for i in range(n_levels - 1, 0, -1):
        if work.link[i] != 0.0:
            work.peer[i - 1] += work.link[i] / (nest.used_x[i - 1] * nest.used_y[i - 1])


@jit
def accesses(model: Model, s: int, keep: Bools, work: Work, n: int, out: Counts) -> None:
    """Reads, fills, updates (5.9) and dynamic energy (5.10) of data space s."""
    nest = work.nest
    n_levels = keep.shape[0]
    outermost = n_levels - 1
    while not keep[outermost, s]:
        outermost -= 1
    for i in range(n_levels):
        if not keep[i, s]:
            out.reads[n, i, s] = 0
            out.fills[n, i, s] = 0
            out.updates[n, i, s] = 0
            out.ds_energy_pj[n, i, s] = 0.0
            continue
        content, share, peer = work.content[i], work.share[i], work.peer[i]
        if model.read_write[s]:
            # The first visit of a tile neither reads old partial sums here nor loads them from the parent.
            first = out.partition[n, i, s]
            updates = round_half_away(content)
            reads = round_half_away(content + peer - first)
            fills = round_half_away(share + peer - (0 if i == outermost else first))
        else:
            updates = 0
            reads = round_half_away(content + peer)
            fills = int(share + peer)
        out.reads[n, i, s] = reads
        out.fills[n, i, s] = fills
        out.updates[n, i, s] = updates
        block = model.block_size[i]
        energy = (
            access_energy(reads, block, model.read_pj[i])
            + access_energy(fills, block, model.fill_pj[i])
            + access_energy(updates, block, model.update_pj[i])
        )
        used = nest.used_x[i] * nest.used_y[i]
        clusters = min(float(used), model.instances[i] / model.cluster_size[i])
        out.ds_energy_pj[n, i, s] = energy * clusters / used * used


@jit
def throttle(model: Model, keep: Bools, compute_cycles: float, n: int, out: Counts) -> None:
    """Cycles of every level under its bandwidths, and of the whole mapping (5.12)."""
    n_levels, n_spaces = keep.shape
    for i in range(n_levels):
        need_read = 0.0
        need_write = 0.0
        for s in range(n_spaces):
            need_read += out.reads[n, i, s] / compute_cycles
            need_write += (out.fills[n, i, s] + out.updates[n, i, s]) / compute_cycles
        slowdown = 1.0
        if model.read_bandwidth[i] < need_read:
            slowdown = min(slowdown, model.read_bandwidth[i] / need_read)
        if model.write_bandwidth[i] < need_write:
            slowdown = min(slowdown, model.write_bandwidth[i] / need_write)
        if model.shared_bandwidth[i] < need_write + need_read:
            slowdown = min(slowdown, model.shared_bandwidth[i] / (need_write + need_read))
        out.slowdown[n, i] = slowdown
        out.level_cycles[n, i] = int(np.ceil(compute_cycles / slowdown))


@jit
def evaluate_one(
    model: Model,
    temporal: Ints,
    temporal_order: Ints,
    spatial: Ints,
    spatial_order: Ints,
    split: Ints,
    keep: Bools,
    work: Work,
    n: int,
    row: int,
    out: Counts,
) -> None:
    """Evaluates one mapping into row ``n`` of the totals and row ``row`` of the details."""
    nest = work.nest
    n_levels, n_spaces = keep.shape
    out.level[n] = -1
    if not build_nest(model, temporal, temporal_order, spatial, spatial_order, split, nest):
        out.rule[n] = FACTORS
        return
    for i in range(n_levels):
        for s in range(n_spaces):
            work.size[i, s] = box_words(model, s, nest.extent, i)
            out.tile[row, i, s] = work.size[i, s] if keep[i, s] else 0
    out.rule[n], out.level[n] = first_violation(model, keep, nest, work.size)
    if out.rule[n] != VALID:
        return
    compute_cycles = 1
    for t in range(nest.t_end[n_levels]):
        compute_cycles *= nest.t_bound[t]
    out.compute_cycles[n] = compute_cycles
    for s in range(n_spaces):
        collapse(model, s, work, row, out.partition)
        bypass(s, keep, work, row, out.partition)
        accesses(model, s, keep, work, row, out)
    if work.table.overflow[0]:
        work.table.overflow[0] = 0
        out.rule[n] = OVERFLOW
        return
    throttle(model, keep, float(compute_cycles), row, out)
    cycles = compute_cycles
    for i in range(n_levels):
        cycles = max(cycles, out.level_cycles[row, i])
    out.cycles[n] = cycles
    computes = 1
    for d in range(model.bounds.shape[0]):
        computes *= model.bounds[d]
    total = computes * model.compute_pj
    for i in range(n_levels):
        level_pj = 0.0
        for s in range(n_spaces):
            level_pj += out.ds_energy_pj[row, i, s]
        used = nest.used_x[i] * nest.used_y[i]
        out.used[row, i] = used
        # Only used instances leak, even where every data space bypasses them.
        out.leak_pj[row, i] = model.leak_pj[i] * cycles * max(1, used)
        total += level_pj + out.leak_pj[row, i]
    out.energy_pj[n] = total


@jit
def evaluate_batch(
    model: Model,
    temporal: Ints,
    temporal_order: Ints,
    spatial: Ints,
    spatial_order: Ints,
    split: Ints,
    keep: Bools,
    work: Work,
    out: Counts,
) -> None:
    """Evaluates N mappings. Arrays [N or 1, L, D]; an axis of length 1 is shared by all mappings."""
    detail = out.tile.shape[0] > 1
    for n in range(temporal.shape[0]):
        evaluate_one(
            model,
            temporal[n],
            temporal_order[min(n, temporal_order.shape[0] - 1)],
            spatial[min(n, spatial.shape[0] - 1)],
            spatial_order[min(n, spatial_order.shape[0] - 1)],
            split[min(n, split.shape[0] - 1)],
            keep[min(n, keep.shape[0] - 1)],
            work,
            n,
            n if detail else 0,
            out,
        )
