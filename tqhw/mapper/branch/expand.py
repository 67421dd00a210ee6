"""One node of the search: the context of a tile, and the children that may still lead to something better."""

from __future__ import annotations

from typing import NamedTuple

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import part
from tqhw.mapper.bound.lower_bound import least, linked_share
from tqhw.mapper.bound.outside import (
    FIRST,
    LEAKING,
    SETTLED,
    USED,
    Outside,
    look_outside,
    put_best_order,
    run_left,
    tile_share,
)
from tqhw.mapper.bound.partial_cost import first_partial, links_to_macs
from tqhw.mapper.bound.places import lies_further
from tqhw.mapper.bound.relaxation import Relaxation
from tqhw.mapper.bound.unit_gains import irrelevant_units, keeps_below, slides_in_unit, spatial_gains
from tqhw.mapper.bound.unit_layout import (
    COUNTED,
    KEPT_ORDERS,
    UnitLayout,
    is_known,
    left_in_order,
    number_places,
    put_order,
)
from tqhw.mapper.branch.dominance import Contexts, forget_newest, is_dominated
from tqhw.mapper.branch.stack import Leaves, Stack, push, sort_children
from tqhw.mapper.space.arrays import Space
from tqhw.mapper.space.orders import LoopOrders
from tqhw.mapper.space.tiles import first_below, fits_fanout, fits_unit, next_below, same_order, split_tile


@bundle
class Tree(NamedTuple):
    """The search tree under one keep/bypass choice: the path to the current node, and what its bounds are made of."""

    bound: Relaxation
    stack: Stack
    contexts: Contexts
    out: Outside
    leaves: Leaves
    layout: UnitLayout


@part
def collect_loops(space: Space, orders: LoopOrders, stack: Stack, q: int, n: int, out: Outside) -> int:
    """Appends the temporal loops of slots q and outwards to the list; returns its length."""
    for slot in range(q, space.level.shape[0]):
        if space.spatial[slot]:
            continue
        row = stack.choice[slot]
        for i in range(space.bounds.shape[0]):
            d = orders.order[row, i]
            if d < 0:
                break
            out.dim[n] = d
            out.bound[n] = stack.factors[slot, d]
            out.step[n] = space.divisor[d, space.digits[stack.tile[slot], d]] // stack.factors[slot, d]
            n += 1
    return n


@part
def start_inside(bound: Relaxation) -> None:
    """Writes the first partial costs, of energy and of every port."""
    first_partial(bound.space, bound.prices, 0, bound.work.start[0, 0])
    for j in range(bound.ports.start.shape[1]):
        first_partial(bound.space, bound.ports.prices, j, bound.ports.start[0, j])


@part
def throttle(bound: Relaxation, stack: Stack, q: int, s: int, moved: float) -> None:
    """Adds the cycles that ports take for the ``moved`` words of a data space that the level of slot q keeps."""
    space, prices, level, used = bound.space, bound.ports.prices, bound.space.level[q], stack.used[q]
    for j in range(stack.throttled.shape[1]):
        stack.throttled[q, j] += moved * (
            prices.fill_pj[j, level, s] / (stack.link[q, s] * used)
            + prices.parent_pj[j, level + 1, s] / (stack.multicast[q, s] * stack.served[q, s])
        )
        if s == space.output:
            tensor = space.words[s, space.iterations.shape[0] - 1]
            stack.throttled[q, j] -= prices.first_pj[j, level] * tensor * stack.first_visits[q] / used
    stack.served[q, s] = used


@part
def arrive(bound: Relaxation, stack: Stack, q: int, out: Outside) -> int:
    """Makes the context of node q; a temporal slot's level gets its traffic. Returns the number of loops outside."""
    space, prices, orders = bound.space, bound.prices, bound.orders
    n_loops = collect_loops(space, orders, stack, q + 1, 0, out)
    look_outside(space, 0, n_loops, out)
    if space.spatial[q]:
        return n_loops
    level = space.level[q]
    t = stack.tile[q]
    stack.leaking[q] += prices.leak_pj[level] * stack.used[q]
    stack.mark[q] += prices.mark[level, 0, 3] * stack.used[q]
    for s in range(space.relevant.shape[0]):
        if prices.keep[level, s]:
            share = tile_share(space, s, t, out) * run_left(space, s, t, n_loops, out)
            moved = space.computes * space.words[s, t] / space.iterations[t] * share
            mark = prices.mark[level, s]
            stack.mark[q] += moved * (mark[0] / stack.link[q, s] + mark[1] / stack.multicast[q, s])
            stack.settled[q] += moved * (
                prices.fill_pj[0, level, s] / stack.link[q, s]
                + prices.parent_pj[0, level + 1, s] / stack.multicast[q, s]
            )
            throttle(bound, stack, q, s, moved)
            stack.multicast[q, s] = 1.0
            if s == space.output:
                tensor = space.words[s, space.iterations.shape[0] - 1]
                stack.settled[q] -= prices.first_pj[0, level] * tensor * stack.first_visits[q]
                stack.mark[q] += mark[2] * tensor * stack.first_visits[q]
        stack.link[q, s] = 1.0
    return n_loops


@part
def set_totals(stack: Stack, q: int, out: Outside) -> None:
    """What is decided outside of node q."""
    out.totals[SETTLED] = stack.settled[q]
    out.totals[FIRST] = stack.first_visits[q]
    out.totals[USED] = stack.used[q]
    out.totals[LEAKING] = stack.leaking[q]
    for p in range(out.throttled.shape[0]):
        out.throttled[p] = stack.throttled[q, p]
    for s in range(out.served.shape[0]):
        out.served[s] = stack.served[q, s]


@part
def gain_by_unit(tree: Tree, q: int) -> tuple[bool, bool]:
    """Fills tree.layout for the unit of slot q around work.tile, whatever its order.

    Returns (orders can differ, and :func:`gain_in_order` counts all that they can differ in). It does not where units
    change their elements, with remainders, nor where compute units ask again for what did not move.
    """
    bound, out, layout = tree.bound, tree.out, tree.layout
    space, work = bound.space, bound.work
    linked = False
    counted = not (space.linked_macs or space.uneven)
    for s in range(space.relevant.shape[0]):
        gains = spatial_gains(space, bound.prices, q, s, work.factors, work.tile, work.above)
        multicast, gain, layout.fill[s], reach = gains
        layout.multicast[s] = multicast
        layout.share_of_all[s], layout.left_of_all[s] = linked_share(bound, q, s, reach, gain, out)
        layout.share[s], layout.left[s] = layout.share_of_all[s], layout.left_of_all[s]
        if layout.share[s] > 0.0 or space.tangled[s]:
            linked = True
            counted = counted and not (space.tangled[s] or lies_further(space, s, work.factors))
    return linked, counted


@part
def number_all_places(tree: Tree) -> None:
    """Makes tree.layout ready for :func:`gain_in_order`."""
    space, work, layout = tree.bound.space, tree.bound.work, tree.layout
    for s in range(space.relevant.shape[0]):
        if layout.share_of_all[s] > 0.0:
            number_places(space, s, work.factors, work.tile, layout)


@part
def gain_in_order(tree: Tree, q: int, row: int, at: int) -> None:
    """Lowers tree.layout from what links can do in any order of the unit to what they can in that of ``row``.

    Writes what is told of the order to row ``at`` of layout.served.
    """
    bound, out, layout = tree.bound, tree.out, tree.layout
    space, work = bound.space, bound.work
    n = put_order(bound.orders, row, work.factors, layout)
    for s in range(space.relevant.shape[0]):
        layout.share[s], layout.left[s] = layout.share_of_all[s], layout.left_of_all[s]
        layout.written[s] = 0
        if layout.share[s] > 0.0:
            moves = out.moves[s, : out.n_moves[s]]
            left, richest = left_in_order(layout, s, n, space.fanout[q, 0], moves, layout.served[at, s])
            if left == 1.0:
                layout.share[s] = 0.0
            elif not keeps_below(space, bound.prices, q, s):
                left = 1.0 / richest
            layout.left[s] = max(layout.left[s], left)


@part
def put_gains(tree: Tree, q: int) -> None:
    """Puts the unit of tree.layout between what is outside of slot q and its inside."""
    stack, out, layout = tree.stack, tree.out, tree.layout
    for s in range(layout.share.shape[0]):
        gain = 1.0 / (1.0 - layout.share[s] + layout.share[s] * layout.left[s])
        out.multicast[s] = stack.multicast[q, s] * layout.multicast[s] * gain
        out.link[s] = stack.link[q, s] * (layout.fill[s] if layout.share[s] > 0.0 else 1.0)


@part
def push_units(tree: Tree, q: int, inside: int, mask: int, limit: float, top: int) -> int:
    """Pushes the layouts of a unit around tile ``inside``, if its bound is below ``limit``; returns the new top."""
    bound, stack, out, layout = tree.bound, tree.stack, tree.out, tree.layout
    space, orders, work = bound.space, bound.orders, bound.work
    if not fits_fanout(space, q, work.factors):
        return top
    set_totals(stack, q, out)
    if q == 0:
        start_inside(bound)
    linked, counted = gain_by_unit(tree, q)
    put_gains(tree, q)
    if space.level[q] == 0:
        for s in range(space.relevant.shape[0]):
            if out.multicast[s] > stack.multicast[q, s] and space.links[0, s]:
                linked = True
                links_to_macs(space, s, work.start[0, 0])
                for j in range(bound.ports.start.shape[1]):
                    links_to_macs(space, s, bound.ports.start[0, j])
    for d in range(space.bounds.shape[0]):
        out.totals[USED] *= work.factors[d]
        if space.copies[d]:
            out.totals[FIRST] *= work.factors[d]
    value = least(bound, q, inside, out, True)
    if value >= limit:
        return top
    of_any_order = value
    used = out.totals[USED] / stack.used[q]
    elements = 0.0  # laid out so far
    last = -1
    known = 0
    for row in range(orders.start[q, mask], orders.start[q, mask] + orders.rows[q, mask]):
        # Elements count in the order in which they are mapped: where it is split changes nothing.
        if (last >= 0 and same_order(orders, last, row)) or not fits_unit(space, orders, q, work.factors, row):
            continue
        value = of_any_order
        if linked and counted and elements < COUNTED:
            if last < 0:
                number_all_places(tree)
            elements += used
            gain_in_order(tree, q, row, known)
            if is_known(layout, known):
                last = row
                continue
            known = min(known + 1, KEPT_ORDERS)
            put_gains(tree, q)
            value = least(bound, q, inside, out, True)
        last = row
        if value < limit:
            top = push(stack, top, value, inside, row)
        if not linked:
            break  # orders only matter for links
    return top


@part
def bound_all_orders(tree: Tree, q: int, inside: int, n_outside: int) -> float:
    """A bound for all orders of the loops around tile ``inside`` at once: every data space in its own best order."""
    space, out, work = tree.bound.space, tree.out, tree.bound.work
    n_dims = space.bounds.shape[0]
    look_outside(space, n_dims, n_dims + n_outside, out)
    put_best_order(space, work.factors, work.tile, out)
    return least(tree.bound, q, inside, out, False)


@part
def bound_order(tree: Tree, q: int, inside: int, row: int, n_outside: int) -> float:
    """The bound of one order of the loops around tile ``inside``: row ``row`` of the loop orders."""
    space, orders, out, work = tree.bound.space, tree.bound.orders, tree.out, tree.bound.work
    n_dims = space.bounds.shape[0]
    n = 0
    while n < n_dims and orders.order[row, n] >= 0:
        n += 1
    for i in range(n):  # the block ends where the loops outside begin
        d = orders.order[row, i]
        out.dim[n_dims - n + i] = d
        out.bound[n_dims - n + i] = work.factors[d]
        out.step[n_dims - n + i] = work.tile[d]
    look_outside(space, n_dims - n, n_dims + n_outside, out)
    return least(tree.bound, q, inside, out, True)


@part
def push_orders(tree: Tree, q: int, inside: int, mask: int, n_outside: int, limit: float, top: int) -> int:
    """Pushes the orders of the loops around tile ``inside`` whose bound is below ``limit``; returns the new top."""
    stack, out, orders = tree.stack, tree.out, tree.bound.orders
    set_totals(stack, q, out)
    for s in range(tree.bound.space.relevant.shape[0]):
        out.multicast[s] = stack.multicast[q, s]
        out.link[s] = stack.link[q, s]
    if bound_all_orders(tree, q, inside, n_outside) >= limit:
        return top  # most tiles are too dear in any order
    begin = orders.start[q, mask]
    for row in range(begin, begin + orders.rows[q, mask]):
        value = bound_order(tree, q, inside, row, n_outside)
        if value < limit:
            top = push(stack, top, value, inside, row)
    return top


@part
def expand(tree: Tree, q: int, limit: float) -> int:
    """Lists the children of node q whose bound is below ``limit``; -1 if the stack has no room for them."""
    bound, stack, out, contexts = tree.bound, tree.stack, tree.out, tree.contexts
    space, prices, orders, fronts, work = bound.space, bound.prices, bound.orders, bound.fronts, bound.work
    n_dims = space.bounds.shape[0]
    t = stack.tile[q]
    top: int = stack.begin[q]
    n_outside = arrive(bound, stack, q, out)
    stack.next[q] = top
    stack.end[q] = top
    if is_dominated(space, prices, stack, contexts, q, n_outside, out):
        return top
    for d in range(n_dims):
        work.above[d] = space.divisor[d, space.digits[t, d]]
    # Loops of this slot come first in the list: those outside move behind the widest block.
    for i in range(n_outside - 1, -1, -1):
        out.dim[n_dims + i] = out.dim[i]
        out.bound[n_dims + i] = out.bound[i]
        out.step[n_dims + i] = out.step[i]
    inside = first_below(space, q, t, fronts.rows[q], work.at)
    while inside >= 0:
        mask = split_tile(space, t, inside, work.tile, work.factors)
        if top + orders.rows[q, mask] > stack.bound.shape[0]:
            forget_newest(stack, contexts, q)
            return -1
        if space.spatial[q]:
            top = push_units(tree, q, inside, mask, limit, top)
        else:
            top = push_orders(tree, q, inside, mask, n_outside, limit, top)
        inside = next_below(space, q, t, fronts.rows[q], work.at, inside)
    stack.end[q] = top
    sort_children(stack, stack.begin[q], top)
    return top


@part
def descend_to(tree: Tree, q: int, at: int) -> None:
    """Decides slot q as its child ``at`` says and makes the start of node q - 1."""
    bound, stack, out = tree.bound, tree.stack, tree.out
    space, orders, work = bound.space, bound.orders, bound.work
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
    n_loops = collect_loops(space, orders, stack, q if not space.spatial[q] else q + 1, 0, out)
    look_outside(space, 0, n_loops, out)
    if q == 0:
        return
    stack.plain[q - 1] = stack.plain[q]
    for p in range(stack.throttled.shape[1]):
        stack.throttled[q - 1, p] = stack.throttled[q, p]
    for s in range(space.relevant.shape[0]):
        stack.served[q - 1, s] = stack.served[q, s]
        stack.multicast[q - 1, s] = stack.multicast[q, s]
        stack.link[q - 1, s] = stack.link[q, s]
    if space.spatial[q]:
        linked, counted = gain_by_unit(tree, q)
        if linked and counted:
            number_all_places(tree)
            gain_in_order(tree, q, stack.choice[q], KEPT_ORDERS)
        put_gains(tree, q)
        for s in range(space.relevant.shape[0]):
            stack.multicast[q - 1, s] = out.multicast[s]
            stack.link[q - 1, s] = out.link[s]
            multicast = tree.layout.multicast[s]
            if multicast > irrelevant_units(space, s, work.factors) or slides_in_unit(space, s, work.factors):
                stack.plain[q - 1] = False
        for d in range(n_dims):
            used *= work.factors[d]
            if space.copies[d]:
                first_visits *= work.factors[d]
    stack.tile[q - 1] = inside
    stack.settled[q - 1] = stack.settled[q]
    stack.mark[q - 1] = stack.mark[q]
    stack.leaking[q - 1] = stack.leaking[q]
    stack.used[q - 1] = used
    stack.first_visits[q - 1] = first_visits
    stack.begin[q - 1] = stack.end[q]
