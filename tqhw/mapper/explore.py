"""Branch and bound from the outermost loops inwards; leaves are priced by the engine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine import Model
from tqhw.engine.jit import jit
from tqhw.engine.kernel import Counts, Work, evaluate_one
from tqhw.engine.model import Bools, Floats, Ints
from tqhw.mapper.bounds import (
    Outside,
    least,
    links_possible,
    look_outside,
    objective_of,
    tile_share,
)
from tqhw.mapper.fronts import (
    Fronts,
    Scratch,
    first_below,
    first_point,
    fits_level,
    fits_unit,
    links_to_macs,
    next_below,
    spatial_gains,
)
from tqhw.mapper.loops import Choices
from tqhw.mapper.tables import Costs, Space

EXHAUSTED, PAUSED, FULL_STACK = range(3)
SLACK = 1e-12  # two costs closer than this are the same: sums of floats in another order


class Stack(NamedTuple):
    """The path to the current node, and the open children of every node on it. Depth is the slot to decide next."""

    tile: Ints  # [Q + 1] tile outside of the slot
    settled: Floats  # [Q + 1] energy of what is decided
    first_visits: Floats  # [Q + 1] product of the reduction units outside
    used: Floats  # [Q + 1] instances outside
    leaking: Floats  # [Q + 1] pJ per cycle of the levels decided
    multicast: Floats  # [Q + 1, S]
    link: Floats  # [Q + 1, S]
    factors: Ints  # [Q, D] decided
    choice: Ints  # [Q] row of Choices
    begin: Ints  # [Q + 1] open children: next .. end
    next: Ints
    end: Ints
    bound: Floats  # [M] children
    child: Ints  # [M] tile
    option: Ints  # [M] row of Choices
    depth: Ints  # [1]
    evaluated: Ints  # [1]
    nodes: Ints  # [1]
    tightness: Floats  # [1] least ratio of a leaf's cost to its bound: below 1, the bound would be wrong


class Best(NamedTuple):
    """The best mapping so far, as the engine's arrays."""

    value: Floats  # [1]
    temporal: Ints  # [L, D]
    temporal_order: Ints
    spatial: Ints
    spatial_order: Ints
    split: Ints  # [L]
    keep: Bools  # [L, S]


class Leaf(NamedTuple):
    """Work arrays for pricing a mapping."""

    temporal: Ints
    temporal_order: Ints
    spatial: Ints
    spatial_order: Ints
    split: Ints
    work: Work
    counts: Counts


@jit
def collect_loops(space: Space, choices: Choices, stack: Stack, q: int, n: int, out: Outside) -> int:
    """Appends the temporal loops of slots q and outwards to the list; returns its length."""
    for slot in range(q, space.level.shape[0]):
        if space.spatial[slot]:
            continue
        row = stack.choice[slot]
        for i in range(space.bounds.shape[0]):
            d = choices.order[row, i]
            if d < 0:
                break
            out.dim[n] = d
            out.bound[n] = stack.factors[slot, d]
            out.step[n] = space.divisor[d, space.digits[stack.tile[slot], d]] // stack.factors[slot, d]
            n += 1
    return n


@jit
def arrive(space: Space, costs: Costs, choices: Choices, stack: Stack, q: int, out: Outside) -> int:
    """Makes the context of node q; a temporal slot's level gets its traffic. Returns the number of loops outside."""
    n_loops = collect_loops(space, choices, stack, q + 1, 0, out)
    look_outside(space, n_loops, out)
    if space.spatial[q]:
        return n_loops
    level = space.level[q]
    t = stack.tile[q]
    stack.leaking[q] += costs.leak_pj[level] * stack.used[q]
    for s in range(space.relevant.shape[0]):
        if costs.keep[level, s]:
            moved = space.computes * space.words[s, t] / space.iterations[t] * tile_share(space, s, t, out)
            stack.settled[q] += moved * (
                costs.fill_pj[level, s] / stack.link[q, s] + costs.parent_pj[level + 1, s] / stack.multicast[q, s]
            )
            stack.multicast[q, s] = 1.0
            if s == space.output:
                tensor = space.words[s, space.iterations.shape[0] - 1]
                stack.settled[q] -= costs.first_pj[level] * tensor * stack.first_visits[q]
        stack.link[q, s] = 1.0
    return n_loops


@jit
def push(stack: Stack, top: int, bound: float, child: int, option: int) -> int:
    stack.bound[top] = bound
    stack.child[top] = child
    stack.option[top] = option
    return top + 1


@jit
def before(stack: Stack, i: int, j: int) -> bool:
    """Children in the order of their bounds, then tiles, then options: the same on every machine."""
    if stack.bound[i] != stack.bound[j]:
        return bool(stack.bound[i] < stack.bound[j])
    if stack.child[i] != stack.child[j]:
        return bool(stack.child[i] > stack.child[j])
    return bool(stack.option[i] < stack.option[j])


@jit
def swap(stack: Stack, i: int, j: int) -> None:
    stack.bound[i], stack.bound[j] = stack.bound[j], stack.bound[i]
    stack.child[i], stack.child[j] = stack.child[j], stack.child[i]
    stack.option[i], stack.option[j] = stack.option[j], stack.option[i]


@jit
def sort_children(stack: Stack, begin: int, end: int) -> None:
    """Heap sort in place."""
    n = end - begin
    for root in range(n // 2 - 1, -1, -1):
        sift(stack, begin, root, n)
    for last in range(n - 1, 0, -1):
        swap(stack, begin, begin + last)
        sift(stack, begin, 0, last)


@jit
def sift(stack: Stack, begin: int, root: int, n: int) -> None:
    while True:
        child = 2 * root + 1
        if child >= n:
            return
        if child + 1 < n and before(stack, begin + child, begin + child + 1):
            child += 1
        if not before(stack, begin + root, begin + child):
            return
        swap(stack, begin + root, begin + child)
        root = child


@jit
def expand(
    space: Space,
    costs: Costs,
    choices: Choices,
    fronts: Fronts,
    objective: int,
    stack: Stack,
    q: int,
    limit: float,
    out: Outside,
    work: Scratch,
) -> int:
    """Lists the children of node q whose bound is below ``limit``; -1 if the stack has no room for them."""
    n_dims = space.bounds.shape[0]
    n_spaces = space.relevant.shape[0]
    t = stack.tile[q]
    top: int = stack.begin[q]
    n_outside = arrive(space, costs, choices, stack, q, out)
    for d in range(n_dims):
        work.above[d] = space.divisor[d, space.digits[t, d]]
    # Loops of this slot come first in the list: those outside move behind the widest block.
    for i in range(n_outside - 1, -1, -1):
        out.dim[n_dims + i] = out.dim[i]
        out.bound[n_dims + i] = out.bound[i]
        out.step[n_dims + i] = out.step[i]
    inside = first_below(space, q, t, work.at, work.tile, work.factors)
    while inside >= 0:
        if q == 0:
            rows = 1 if inside == 0 else 0
            first_row = 0
        else:
            rows = fronts.rows[q - 1, inside]
            first_row = fronts.start[q - 1, inside]
        if rows > 0:
            mask = 0
            for d in range(n_dims):
                if work.factors[d] > 1:
                    mask |= 1 << d
            n_options = choices.rows[q, mask]
            if top + n_options > stack.bound.shape[0]:
                return -1
            points = work.start if q == 0 else fronts.points
            used = stack.used[q]
            first_visits = stack.first_visits[q]
            linked = False
            for s in range(n_spaces):
                out.multicast[s] = stack.multicast[q, s]
                out.link[s] = stack.link[q, s]
            if space.spatial[q]:
                look_outside_behind(space, n_dims, n_outside, out)
                if q == 0:
                    first_point(space, costs, work.start[0])
                for s in range(n_spaces):
                    multicast, gain, reach = spatial_gains(space, costs, q, s, work.factors, work.tile, work.above)
                    if reach > 0.0 and links_possible(out, s, reach):
                        linked = True
                        multicast *= gain
                        out.link[s] *= gain
                    out.multicast[s] *= multicast
                    if q == 0 and space.level[q] == 0 and multicast > 1.0:
                        linked = True
                        links_to_macs(space, s, work.start[0])
                for d in range(n_dims):
                    used *= work.factors[d]
                    if not space.relevant[space.output, d]:
                        first_visits *= work.factors[d]
            for o in range(n_options):
                row = choices.start[q, mask] + o
                if space.spatial[q]:
                    if not fits_unit(space, choices, q, work.factors, row):
                        continue
                else:
                    n = 0
                    while n < n_dims and choices.order[row, n] >= 0:
                        n += 1
                    # The block ends where the loops outside begin.
                    for i in range(n):
                        d = choices.order[row, i]
                        out.dim[n_dims - n + i] = d
                        out.bound[n_dims - n + i] = work.factors[d]
                        out.step[n_dims - n + i] = work.tile[d]
                    look_outside_behind(space, n_dims - n, n_outside + n, out)
                value = least(
                    space,
                    costs,
                    objective,
                    points,
                    first_row,
                    rows,
                    costs.units_left[q],
                    stack.settled[q],
                    first_visits,
                    used,
                    stack.leaking[q],
                    out,
                )
                if value < limit:
                    top = push(stack, top, value, inside, row)
                if space.spatial[q] and not linked:
                    break  # orders and directions only matter for links
        inside = next_below(space, q, t, work.at, work.tile, work.factors)
    stack.next[q] = stack.begin[q]
    stack.end[q] = top
    sort_children(stack, stack.begin[q], top)
    return top


@jit
def look_outside_behind(space: Space, offset: int, n: int, out: Outside) -> None:
    """:func:`look_outside` on the part of the list that starts at ``offset``."""
    shifted = Outside(
        out.dim[offset:],
        out.bound[offset:],
        out.step[offset:],
        out.run,
        out.kind,
        out.rank,
        out.words,
        out.turns,
        out.multicast,
        out.link,
    )
    look_outside(space, n, shifted)


@jit
def descend_to(
    space: Space, costs: Costs, choices: Choices, stack: Stack, q: int, at: int, out: Outside, work: Scratch
) -> None:
    """Decides slot q as its child ``at`` says and makes the start of node q - 1."""
    n_dims = space.bounds.shape[0]
    t = stack.tile[q]
    inside = stack.child[at]
    stack.choice[q] = stack.option[at]
    used = stack.used[q]
    first_visits = stack.first_visits[q]
    for d in range(n_dims):
        work.above[d] = space.divisor[d, space.digits[t, d]]
        work.tile[d] = space.divisor[d, space.digits[inside, d]]
        work.factors[d] = work.above[d] // work.tile[d]
        stack.factors[q, d] = work.factors[d]
    n_loops = collect_loops(space, choices, stack, q if not space.spatial[q] else q + 1, 0, out)
    look_outside(space, n_loops, out)
    if q == 0:
        return
    for s in range(space.relevant.shape[0]):
        stack.multicast[q - 1, s] = stack.multicast[q, s]
        stack.link[q - 1, s] = stack.link[q, s]
        if space.spatial[q]:
            multicast, gain, reach = spatial_gains(space, costs, q, s, work.factors, work.tile, work.above)
            if reach > 0.0 and links_possible(out, s, reach):
                multicast *= gain
                stack.link[q - 1, s] *= gain
            stack.multicast[q - 1, s] *= multicast
    if space.spatial[q]:
        for d in range(n_dims):
            used *= work.factors[d]
            if not space.relevant[space.output, d]:
                first_visits *= work.factors[d]
    stack.tile[q - 1] = inside
    stack.settled[q - 1] = stack.settled[q]
    stack.leaking[q - 1] = stack.leaking[q]
    stack.used[q - 1] = used
    stack.first_visits[q - 1] = first_visits
    stack.begin[q - 1] = stack.end[q]


@jit
def price(
    space: Space, costs: Costs, choices: Choices, model: Model, objective: int, stack: Stack, leaf: Leaf
) -> float:
    """The engine's answer for the mapping that the stack has decided; inf if it does not fit."""
    n_dims = space.bounds.shape[0]
    used = 1.0
    leaf.temporal[:] = 1
    leaf.spatial[:] = 1
    for q in range(space.level.shape[0]):
        level = space.level[q]
        row = stack.choice[q]
        seen = 0
        n = 0
        for i in range(n_dims):
            d = choices.order[row, i]
            if d < 0:
                break
            seen |= 1 << d
            if space.spatial[q]:
                leaf.spatial_order[level, n] = d
            else:
                leaf.temporal_order[level, n] = d
            n += 1
        for d in range(n_dims):
            if not seen >> d & 1:
                if space.spatial[q]:
                    leaf.spatial_order[level, n] = d
                else:
                    leaf.temporal_order[level, n] = d
                n += 1
            if space.spatial[q]:
                leaf.spatial[level, d] = stack.factors[q, d]
                used *= stack.factors[q, d]
            else:
                leaf.temporal[level, d] = stack.factors[q, d]
        if space.spatial[q]:
            leaf.split[level] = choices.along_x[row]
    stack.evaluated[0] += 1
    if used < space.least_used:
        return np.inf
    evaluate_one(
        model,
        leaf.temporal,
        leaf.temporal_order,
        leaf.spatial,
        leaf.spatial_order,
        leaf.split,
        costs.keep,
        leaf.work,
        0,
        0,
        leaf.counts,
    )
    if leaf.counts.rule[0] != 0:
        return np.inf
    return objective_of(objective, leaf.counts.energy_pj[0], float(leaf.counts.cycles[0]))


@jit
def remember(leaf: Leaf, costs: Costs, best: Best) -> None:
    n_levels, n_dims = leaf.temporal.shape
    for i in range(n_levels):
        best.split[i] = leaf.split[i]
        for d in range(n_dims):
            best.temporal[i, d] = leaf.temporal[i, d]
            best.temporal_order[i, d] = leaf.temporal_order[i, d]
            best.spatial[i, d] = leaf.spatial[i, d]
            best.spatial_order[i, d] = leaf.spatial_order[i, d]
        for s in range(costs.keep.shape[1]):
            best.keep[i, s] = costs.keep[i, s]


@jit
def explore(
    space: Space,
    costs: Costs,
    choices: Choices,
    fronts: Fronts,
    model: Model,
    objective: int,
    stack: Stack,
    best: Best,
    out: Outside,
    work: Scratch,
    leaf: Leaf,
    steps: int,
) -> int:
    """Continues the search for at most ``steps`` nodes. Starts where the stack stands."""
    first_point(space, costs, work.start[0])
    top_slot = space.level.shape[0] - 1
    q = stack.depth[0]
    for _ in range(steps):
        while q <= top_slot and stack.next[q] >= stack.end[q]:
            q += 1
        if q > top_slot:
            stack.depth[0] = q
            return EXHAUSTED
        at = stack.next[q]
        limit = best.value[0] * (1.0 - SLACK)
        if stack.bound[at] >= limit:
            stack.next[q] = stack.end[q]
            continue
        stack.nodes[0] += 1
        descend_to(space, costs, choices, stack, q, at, out, work)
        if q == 0:
            stack.next[q] += 1
            value = price(space, costs, choices, model, objective, stack, leaf)
            stack.tightness[0] = min(stack.tightness[0], value / stack.bound[at])
            if value < limit:
                best.value[0] = value
                remember(leaf, costs, best)
            continue
        if expand(space, costs, choices, fronts, objective, stack, q - 1, limit, out, work) < 0:
            stack.depth[0] = q
            return FULL_STACK
        stack.next[q] += 1
        q -= 1
    stack.depth[0] = q
    return PAUSED


@jit
def start(
    space: Space,
    costs: Costs,
    choices: Choices,
    fronts: Fronts,
    objective: int,
    stack: Stack,
    limit: float,
    out: Outside,
    work: Scratch,
) -> int:
    """Opens the root; -1 if the stack has no room."""
    q = space.level.shape[0] - 1
    first_point(space, costs, work.start[0])
    stack.depth[0] = q
    stack.tile[q] = space.digits.shape[0] - 1
    stack.settled[q] = 0.0
    stack.first_visits[q] = 1.0
    stack.used[q] = 1.0
    stack.leaking[q] = 0.0
    stack.multicast[q] = 1.0
    stack.link[q] = 1.0
    stack.begin[q] = 0
    if not space.spatial[q] and not fits_level(space, costs, space.level[q], stack.tile[q]):
        stack.next[q] = 0
        stack.end[q] = 0
        return 0
    top: int = expand(space, costs, choices, fronts, objective, stack, q, limit, out, work)
    return top
