"""Branch and bound from the outermost loops inwards, in the order of the bounds."""

from __future__ import annotations

from tqhw.engine.jit import jit, part
from tqhw.mapper.bound.prices import Prices, fits_level
from tqhw.mapper.branch.expand import Tree, descend_to, expand, start_inside
from tqhw.mapper.branch.stack import Leaves, Stack
from tqhw.mapper.space.arrays import Space
from tqhw.mapper.space.orders import LoopOrders

EXHAUSTED, PAUSED, FULL_STACK = range(3)


@part
def write_leaf(space: Space, orders: LoopOrders, stack: Stack, bound: float, leaves: Leaves, at: int) -> None:
    """The mapping that the stack has decided, as row ``at`` of the engine's arrays; loops of bound 1 come last."""
    n_dims = space.bounds.shape[0]
    leaves.bound[at] = bound
    for level in range(leaves.split.shape[1]):
        for d in range(n_dims):
            leaves.temporal[at, level, d] = 1
            leaves.spatial[at, level, d] = 1
            leaves.temporal_order[at, level, d] = d
            leaves.spatial_order[at, level, d] = d
        leaves.split[at, level] = n_dims
    for q in range(space.level.shape[0]):
        level = space.level[q]
        row = stack.choice[q]
        written = 0
        n = 0
        order = leaves.spatial_order[at, level] if space.spatial[q] else leaves.temporal_order[at, level]
        factors = leaves.spatial[at, level] if space.spatial[q] else leaves.temporal[at, level]
        while n < n_dims and orders.order[row, n] >= 0:
            order[n] = orders.order[row, n]
            written |= 1 << orders.order[row, n]
            n += 1
        for d in range(n_dims):
            if not written >> d & 1:
                order[n] = d
                n += 1
            factors[d] = stack.factors[q, d]
        if space.spatial[q]:
            leaves.split[at, level] = orders.along_x[row]


@part
def path_bound(stack: Stack, n_slots: int) -> float:
    """The largest bound on the path to a complete mapping: it was worth exploring only below each of them."""
    most = 0.0
    for q in range(n_slots):
        most = max(most, stack.bound[stack.next[q] - 1])
    return float(most)


@part
def open_root(space: Space, prices: Prices, stack: Stack) -> bool:
    """Puts the whole problem at the outermost level; False if it does not fit there."""
    q = space.level.shape[0] - 1
    stack.tile[q] = space.digits.shape[0] - 1
    stack.settled[q] = 0.0
    stack.mark[q] = 0.0
    stack.plain[q] = True
    stack.first_visits[q] = 1.0
    stack.used[q] = 1.0
    stack.leaking[q] = 0.0
    stack.throttled[q, :] = 0.0
    for s in range(space.relevant.shape[0]):
        stack.served[q, s] = 1.0
        stack.multicast[q, s] = 1.0
        stack.link[q, s] = 1.0
    stack.begin[q] = 0
    return bool(space.spatial[q]) or fits_level(space, prices, space.level[q], stack.tile[q])


@jit
def explore(tree: Tree, limit: float, wanted: int, steps: int) -> tuple[int, int]:
    """Continues where the stack stands, until ``wanted`` mappings with a bound below ``limit`` are complete.

    Returns (EXHAUSTED, PAUSED after ``steps`` nodes or with all mappings, or FULL_STACK; number of mappings).
    """
    bound, stack, leaves = tree.bound, tree.stack, tree.leaves
    space, prices, orders = bound.space, bound.prices, bound.orders
    start_inside(bound)
    n_slots = space.level.shape[0]
    q: int = stack.depth[0]
    found = 0
    for step in range(steps + 1):
        if q == n_slots + 1:
            return EXHAUSTED, found
        while q < n_slots and stack.next[q] >= stack.end[q]:
            q += 1
            if q == n_slots:
                stack.depth[0] = n_slots + 1
                return EXHAUSTED, found
        if q == n_slots:
            if not open_root(space, prices, stack):
                stack.depth[0] = n_slots + 1
                return EXHAUSTED, found
        else:
            if found == wanted or step == steps:
                break
            at = stack.next[q]
            if stack.bound[at] >= limit:
                stack.next[q] = stack.end[q]
                continue
            stack.nodes[0] += 1
            descend_to(tree, q, at)
            stack.next[q] += 1
            if q == 0:
                write_leaf(space, orders, stack, path_bound(stack, n_slots), leaves, found)
                found += 1
                continue
        if expand(tree, q - 1, limit) < 0:
            if q < n_slots:
                stack.next[q] -= 1
            stack.depth[0] = q
            return FULL_STACK, found
        q -= 1
    stack.depth[0] = q
    return PAUSED, found
