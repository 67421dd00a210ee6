"""From what the levels fetch to reads, fills and updates of one data space (#collapse-per-level and on).

Timeloop: ``src/loop-analysis/tiling.cpp`` (collapse, bypassing, peers), ``src/model/buffer.cpp`` (energy).
Anchors (#...) are those of docs/timeloop-model.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import inline
from tqhw.engine.links import deliver_sliding, deliver_to_macs
from tqhw.engine.model import Bools
from tqhw.engine.nest import Nest
from tqhw.engine.plan import Plan, Records, records
from tqhw.engine.table import make_table
from tqhw.engine.unit import Unit, make_unit, plain_groups
from tqhw.engine.walk import Walk, make_walk


@bundle
class Flow(NamedTuple):
    """Work arrays for the traffic of one data space, and the counts of all."""

    walk: Walk
    unit: Unit
    rows: Records  # [L, MAX_ROWS] multicast table of the level
    levels: Records  # [L] see make_flow
    counts: Records  # [L, S] partition, reads, fills, updates, energy_pj


def make_flow(plan: Plan) -> Flow:
    """Empty work arrays."""
    n_levels, n_spaces = len(plan.levels), len(plan.spaces)
    levels = records(
        n_levels,
        n_rows=np.int64,  # of the multicast table
        content=np.float64,  # words that the level sends inwards (its accesses)
        link=np.float64,  # words over the links of the level's unit
        share=np.float64,  # words that one instance receives from the next outer level
        peer=np.float64,  # words that one instance sends to its neighbours, and receives from them
    )
    whole = dict.fromkeys(("partition", "reads", "fills", "updates"), np.int64)
    return Flow(
        walk=make_walk(n_levels, n_levels * len(plan.bounds), len(plan.ranks)),
        unit=make_unit(int(plan.machine[0].instances), n_levels * len(plan.bounds), len(plan.ranks)),
        rows=make_table(n_levels),
        levels=levels,
        counts=records((n_levels, n_spaces), **whole, energy_pj=np.float64),
    )


@inline
def round_half_away(x: float) -> int:
    """C's round()."""
    below = np.floor(x)
    if x >= 0:
        return int(below) + (1 if x - below >= 0.5 else 0)
    return int(below) + (1 if x - below > 0.5 else 0)


@inline
def access_energy(words: int, rows: Records, energy_pj: float) -> float:
    """Energy of whole rows; a quotient of numbers below 2^53 cannot round across a whole number."""
    return float(np.ceil(words * rows.count / rows.words) * energy_pj)


@inline
def collapse(plan: Plan, s: int, nest: Nest, n: int, cycles: float, flow: Flow) -> None:
    """Contents, links, shares of levels 0 .. n - 1, before bypassing (#collapse-per-level); n - 1 receives nothing."""
    fetched = cycles
    for i in range(n):
        at = flow.levels[i]
        level = nest.levels[i]
        at.peer = 0.0
        at.share = 0.0
        if level.end_unit == level.first_unit:  # one child, which receives all: the table would have one row
            at.n_rows = 1
            at.link = 0.0
            at.content = fetched
            share = fetched
        else:
            at.n_rows, at.link = deliver(plan, s, nest, i, fetched, flow)
            content = 0.0
            share = 0.0
            for row in range(at.n_rows):
                content += flow.rows[i, row].accesses
                share += flow.rows[i, row].accesses * flow.rows[i, row].multicast / (level.fan_x * level.fan_y)
            at.content = content
        if i > 0:
            flow.levels[i - 1].share = share
        fetched = flow.walk.fetched[i]


@inline
def deliver(plan: Plan, s: int, nest: Nest, level: int, words: float, flow: Flow) -> tuple[int, float]:
    """Writes the table of a level with several children, each of which fetches ``words``; (rows, words over links)."""
    rows = flow.rows[level]
    if level == 0:
        return deliver_to_macs(plan, s, nest, flow.unit, rows)
    if not plan.spaces[s].separable:
        return deliver_sliding(plan, s, nest, level, words, flow.unit, rows)
    # Of a separable data space, tiles of different elements coincide or are disjoint, and steps in time exceed the
    # unit: links never match.
    m, groups = plain_groups(plan, s, nest, level)
    rows[0].multicast = m
    rows[0].groups = groups
    rows[0].accesses = groups * words
    return 1, 0.0


@inline
def bypass(s: int, nest: Nest, keep: Bools, n: int, flow: Flow) -> None:
    """Moves the traffic of bypassed levels outwards (#bypassing), and link words to the level below (#peers)."""
    for i in range(n - 1):
        at = flow.levels[i]
        outer = flow.levels[i + 1]
        one_child = nest.levels[i + 1].end_unit == nest.levels[i + 1].first_unit
        if not keep[i, s]:
            if one_child:
                outer.content = at.content
            else:
                pass_on(at.content, nest.levels[i + 1], flow.rows[i + 1], outer)
        if not one_child and outer.link != 0.0:
            at.peer += outer.link / nest.levels[i].used


@inline
def pass_on(content: float, level: Records, rows: Records, outer: Records) -> None:
    """Bypassing below a level of several children: its table, to serve ``content`` of each; no link helps it."""
    weighted = 0.0
    for row in range(outer.n_rows):
        weighted += rows[row].accesses * rows[row].multicast
    factor = content * (level.fan_x * level.fan_y) / weighted
    outer.content = 0.0
    for row in range(outer.n_rows):
        rows[row].accesses *= factor
        outer.content += rows[row].accesses
    outer.link = 0.0


@inline
def partitions(s: int, nest: Nest, flow: Flow) -> None:
    """The part of the tensor that one instance ever works on, as a fraction of its parent's (#collapse-per-level)."""
    n_levels = nest.levels.shape[0]
    partition = nest.words[n_levels - 1, s]
    flow.counts[n_levels - 1, s].partition = partition
    for i in range(n_levels - 2, -1, -1):
        words = nest.words[i, s]
        outer = nest.levels[i + 1]
        if outer.end_unit > outer.first_unit and nest.unit_words[i + 1, s] != words:
            partition = partition * words // nest.unit_words[i + 1, s]
        flow.counts[i, s].partition = partition


@inline
def accesses(plan: Plan, s: int, nest: Nest, keep: Bools, n: int, flow: Flow) -> None:
    """Reads, fills, updates (#reads-fills-updates) and energy (#dynamic-energy) of data space s where it is kept."""
    for i in range(n):
        if not keep[i, s]:
            continue
        at = flow.levels[i]
        count = flow.counts[i, s]
        updates = 0
        if plan.spaces[s].read_write:
            # The first visit of a tile neither reads old partial sums here nor loads them from the parent.
            updates = round_half_away(at.content)
            reads = round_half_away(at.content + at.peer - count.partition)
            fills = round_half_away(at.share + at.peer - (0 if i == n - 1 else count.partition))
        else:
            reads = round_half_away(at.content + at.peer)
            fills = int(at.share + at.peer)
        count.reads = reads
        count.fills = fills
        count.updates = updates
        level = plan.levels[i]
        rows = plan.rows[i, s]
        energy = access_energy(reads, rows, level.read_pj) + access_energy(fills, rows, level.fill_pj)
        if plan.spaces[s].read_write:
            energy += access_energy(updates, rows, level.update_pj)
        used = nest.levels[i].used
        count.energy_pj = energy * min(float(used), level.clusters) / used * used
