"""What links of a unit gain at most in any of its orders, whatever the loops outside: while fronts are swept.

unit_gains.py bounds it without a look at the mesh, which is quick but may say more than any order can do. Here every
order is laid out, after every move that loops outside can make. docs/mapper.md, "Orders that need not be tried".
"""

from __future__ import annotations

import numpy as np

from tqhw.engine.jit import part
from tqhw.engine.model import Floats, Ints
from tqhw.mapper.bound.moves import may_move, outer_grid
from tqhw.mapper.bound.places import lies_further
from tqhw.mapper.bound.relaxation import Relaxation
from tqhw.mapper.bound.unit_gains import keeps_below, spatial_gains
from tqhw.mapper.bound.unit_layout import left_in_order, number_places, put_order
from tqhw.mapper.space.arrays import Space
from tqhw.mapper.space.tiles import fits_unit, same_order

LAID_OUT = 1 << 16  # elements, over all orders and moves of a data space: of a unit with more, nothing is counted


@part
def orders_count(bound: Relaxation) -> bool:
    """Whether the order of a unit is looked at: links are strict, and compute units do not ask again for words."""
    return bool(bound.space.strict_links and not bound.space.linked_macs)


@part
def list_unit_moves(space: Space, s: int, reach: Ints, above: Ints, moves: Floats) -> int:
    """Lists the moves [J, R] by up to ``reach`` that loops around ``above`` can make, in words; returns J.

    Along each halo rank by itself (moves.may_move), and their signs are left open. -1 where ``moves`` has no room.
    """
    grid_x, grid_y = outer_grid(space, s, 0, above), outer_grid(space, s, 1, above)
    n = 0
    for x in range(1 + (reach[0] // grid_x if grid_x > 0 else 0)):
        for y in range(1 + (reach[1] // grid_y if grid_y > 0 else 0)):
            to_x, to_y = x * grid_x, y * grid_y
            if x + y == 0 or (x > 0 and not may_move(space, s, 0, above, to_x, to_x)):
                continue
            if y > 0 and not may_move(space, s, 1, above, to_y, to_y):
                continue
            if n == moves.shape[0]:
                return -1
            moves[n, 0] = to_x
            moves[n, 1] = to_y
            n += 1
    return n


@part
def gain_in_orders(bound: Relaxation, q: int, mask: int) -> None:
    """Fills work.most_gain [S] for the unit of slot q around work.tile; 0: no order links any, inf: not counted."""
    space, work = bound.space, bound.work
    for s in range(work.most_gain.shape[0]):
        _, gain, _, reach = spatial_gains(space, bound.prices, q, s, work.factors, work.tile, work.above)
        if reach > 0.0 and gain > 1.0 and not lies_further(space, s, work.factors):
            work.most_gain[s] = gain_of(bound, q, s, mask, gain)


@part
def gain_of(bound: Relaxation, q: int, s: int, mask: int, most: float) -> float:
    """The same of one data space; ``most``: what is known without a look at orders."""
    space, orders, work, layout = bound.space, bound.orders, bound.work, bound.work.layout
    number_places(space, s, work.factors, work.tile, layout)
    n_moves = list_unit_moves(space, s, layout.reach[s], work.above, layout.moves)
    if n_moves <= 0:
        return np.inf if n_moves < 0 else 0.0
    gain = 0.0
    laid_out = 0
    last = -1
    for row in range(orders.start[q, mask], orders.start[q, mask] + orders.rows[q, mask]):
        if (last >= 0 and same_order(orders, last, row)) or not fits_unit(space, orders, q, work.factors, row):
            continue
        last = row
        n = put_order(orders, row, work.factors, layout)
        laid_out += n * n_moves
        if laid_out > LAID_OUT or gain >= most:
            return np.inf
        left, richest = left_in_order(layout, s, n, space.fanout[q, 0], layout.moves[:n_moves], layout.served[0, s])
        if left < 1.0:
            gain = max(gain, 1.0 / left if keeps_below(space, bound.prices, q, s) else richest)
    return gain
