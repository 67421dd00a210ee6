"""Tiles inside tiles: the odometer over what a slot's factors allow, and whether a unit fits."""

from __future__ import annotations

from tqhw.engine.jit import part
from tqhw.engine.model import Ints
from tqhw.mapper.space.arrays import Space
from tqhw.mapper.space.orders import LoopOrders


@part
def first_below(space: Space, q: int, t: int, rows: Ints, at: Ints) -> int:
    """Sets the odometer to the first tile with ``rows`` inside t; its number, or -1 if there is none."""
    number = 0
    for d in range(at.shape[0]):
        b = space.digits[t, d]
        if space.n_below[q, d, b] == 0:
            return -1
        at[d] = 0
        number += space.below[q, d, b, 0]
    return number if rows[number] > 0 else next_below(space, q, t, rows, at, number)


@part
def next_below(space: Space, q: int, t: int, rows: Ints, at: Ints, number: int) -> int:
    """Steps the odometer from tile ``number`` to the next with ``rows`` that slot q allows inside t; -1 at the end."""
    while True:
        d = 0
        while d < at.shape[0]:
            b = space.digits[t, d]
            number -= space.below[q, d, b, at[d]]
            at[d] += 1
            if at[d] < space.n_below[q, d, b]:
                number += space.below[q, d, b, at[d]]
                break
            at[d] = 0
            number += space.below[q, d, b, 0]
            d += 1
        if d == at.shape[0]:
            return -1
        if rows[number] > 0:
            return number


@part
def list_inside(space: Space, q: int, t: int, rows: Ints, filled: Ints, n_filled: int, at: Ints, found: Ints) -> int:
    """Lists the tiles with ``rows`` that slot q allows inside t in ``found``, in ascending order; returns how many.

    ``filled``: all tiles with rows. Where they are few, each is looked at; else the odometer runs.
    """
    n = 0
    allowed = 1
    for d in range(at.shape[0]):
        allowed *= space.n_below[q, d, space.digits[t, d]]
    if allowed <= n_filled:
        inside = first_below(space, q, t, rows, at)
        while inside >= 0:
            found[n] = inside
            n += 1
            inside = next_below(space, q, t, rows, at, inside)
        return n
    for i in range(n_filled):
        inside = filled[i]
        if inside > t:
            break
        found[n] = inside
        n += 1
        for d in range(at.shape[0]):
            if not space.allows[q, d, space.digits[t, d], space.digits[inside, d]]:
                n -= 1
                break
    return n


@part
def list_filled(rows: Ints, filled: Ints) -> int:
    """Lists the tiles that have rows; returns how many."""
    n = 0
    for t in range(rows.shape[0]):
        if rows[t] > 0:
            filled[n] = t
            n += 1
    return n


@part
def split_tile(space: Space, t: int, inside: int, tile: Ints, factors: Ints) -> int:
    """Fills the iterations of tile ``inside`` and the factors that make it t; the bit mask of those above 1."""
    mask = 0
    for d in range(tile.shape[0]):
        tile[d] = space.divisor[d, space.digits[inside, d]]
        factors[d] = space.divisor[d, space.digits[t, d]] // tile[d]
        if factors[d] > 1:
            mask |= 1 << d
    return mask


@part
def fits_unit(space: Space, orders: LoopOrders, q: int, factors: Ints, variant: int) -> bool:
    """Whether a spatial order and split stay inside the fan-out's own columns and rows."""
    x = 1
    y = 1
    for i in range(orders.order.shape[1]):
        d = orders.order[variant, i]
        if d >= 0:
            if i < orders.along_x[variant]:
                x *= factors[d]
            else:
                y *= factors[d]
    return bool(x <= space.fanout[q, 0] and y <= space.fanout[q, 1])


@part
def fits_fanout(space: Space, q: int, factors: Ints) -> bool:
    """Whether a unit has no more elements than the fan-out."""
    used = 1
    for d in range(factors.shape[0]):
        used *= factors[d]
    return bool(used <= space.fanout[q, 0] * space.fanout[q, 1])


@part
def fits_somehow(space: Space, orders: LoopOrders, q: int, factors: Ints, mask: int) -> bool:
    """Whether any order and split of the dimensions in ``mask`` does."""
    if not fits_fanout(space, q, factors):
        return False  # most do not, and there may be thousands of orders
    for variant in range(orders.start[q, mask], orders.start[q, mask] + orders.rows[q, mask]):
        if fits_unit(space, orders, q, factors, variant):
            return True
    return False


@part
def same_order(orders: LoopOrders, one: int, other: int) -> bool:
    """Whether two rows differ in the split at most."""
    for i in range(orders.order.shape[1]):  # noqa: SIM110 - no generator in a kernel
        if orders.order[one, i] != orders.order[other, i]:
            return False
    return True
