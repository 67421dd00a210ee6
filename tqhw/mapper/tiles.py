"""Tiles inside tiles: the odometer over what a slot's factors allow, and whether a tile or a unit fits."""

from __future__ import annotations

from tqhw.engine.jit import part
from tqhw.engine.model import Ints
from tqhw.mapper.loops import Choices
from tqhw.mapper.tables import Costs, Space


@part
def current_below(space: Space, q: int, t: int, at: Ints, tile: Ints, factors: Ints) -> int:
    """The tile that the odometer shows; fills its iterations and the slot's factors."""
    number = 0
    for d in range(at.shape[0]):
        b = space.digits[t, d]
        a = space.below[q, d, b, at[d]]
        number += a * space.radix[d]
        tile[d] = space.divisor[d, a]
        factors[d] = space.divisor[d, b] // tile[d]
    return number


@part
def first_below(space: Space, q: int, t: int, at: Ints, tile: Ints, factors: Ints) -> int:
    """Sets the odometer to the first tile inside t; -1 if there is none."""
    for d in range(at.shape[0]):
        at[d] = 0
        if space.n_below[q, d, space.digits[t, d]] == 0:
            return -1
    return current_below(space, q, t, at, tile, factors)


@part
def next_below(space: Space, q: int, t: int, at: Ints, tile: Ints, factors: Ints) -> int:
    """Steps the odometer ``at`` to the next tile that slot q allows inside tile t; its number, or -1 at the end."""
    n_dims = at.shape[0]
    d = 0
    while d < n_dims:
        at[d] += 1
        if at[d] < space.n_below[q, d, space.digits[t, d]]:
            break
        at[d] = 0
        d += 1
    if d == n_dims:
        return -1
    return current_below(space, q, t, at, tile, factors)


@part
def fits_level(space: Space, costs: Costs, level: int, t: int) -> bool:
    """Whether the kept tiles of tile t fit a level."""
    words = 0.0
    for s in range(space.relevant.shape[0]):
        if costs.keep[level, s]:
            words += space.words[s, t]
    return bool(words <= costs.capacity[level])


@part
def fits_unit(space: Space, choices: Choices, q: int, factors: Ints, variant: int) -> bool:
    """Whether a spatial order and split stay inside the fan-out's own columns and rows."""
    x = 1
    y = 1
    for i in range(choices.order.shape[1]):
        d = choices.order[variant, i]
        if d >= 0:
            if i < choices.along_x[variant]:
                x *= factors[d]
            else:
                y *= factors[d]
    return bool(x <= space.fanout[q, 0] and y <= space.fanout[q, 1])
