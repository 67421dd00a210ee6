"""Which moves along a halo loops outside of a tile can make. docs/mapper.md, "Links".

Tiles are in iterations, steps in words of the data space; what loops do in steps is listed in space/chains.py.
"""

from __future__ import annotations

from tqhw.engine.jit import part
from tqhw.engine.model import Ints
from tqhw.mapper.bound.places import common_step
from tqhw.mapper.bound.recall import recall
from tqhw.mapper.space.arrays import Space

MADE, NEVER_MADE = 1.0, 2.0


@part
def outer_grid(space: Space, s: int, r: int, tile: Ints) -> int:
    """Words of which all moves along halo rank r, by loops around ``tile``, are multiples; 0 where none are left."""
    grid = 0
    for d in range(tile.shape[0]):
        if space.rank[s, d] == r and space.bounds[d] > tile[d]:
            grid = common_step(int(space.coefficient[s, d] * tile[d]), grid)
    return grid


@part
def may_move(space: Space, s: int, r: int, tile: Ints, reach: int, grid: int) -> bool:
    """Whether loops around ``tile`` can move it along halo rank r by ``reach`` words at most, a multiple of ``grid``.

    A loop over one dimension moves it by its step less those of the loops inside of it, along the rank; one over
    another rank's only by what the loops inside fall back. True where a rank has more than two dimensions left.
    """
    x, y, dims = -1, -1, 0
    for d in range(tile.shape[0]):
        if space.rank[s, d] == r and space.bounds[d] > tile[d]:
            x, y = y, d
            dims += 1
    common = outer_grid(space, s, r, tile)
    if dims == 0 or common // common_step(grid, common) * grid > reach:
        return dims == 0  # nothing is known of a rank without loops
    if dims > 2:
        return True
    a, b = index_of(space, x, tile), index_of(space, y, tile)
    if (dims == 2 and is_unlisted(space, x, a)) or is_unlisted(space, y, b):
        return True
    step_x = space.coefficient[s, x] * tile[x] if dims == 2 else 0
    step_y = space.coefficient[s, y] * tile[y]
    left_x = space.bounds[x] // tile[x] if dims == 2 else 1
    left_y = space.bounds[y] // tile[y]
    at = recall(
        space.known, float(left_x), float(step_x), float(left_y), float(step_y), float(reach), float(grid), -2.0, -2.0
    )
    if space.known[at, 8] == 0.0:
        made = leads_within(space, y, b, step_y, x, a, step_x, reach, grid)
        if not made and dims == 2:
            made = leads_within(space, x, a, step_x, y, b, step_y, reach, grid)
        made = made or falls_within(space, y, b, step_y, x, a, step_x, reach, grid)
        space.known[at, 8] = MADE if made else NEVER_MADE
    return bool(space.known[at, 8] == MADE)


@part
def index_of(space: Space, d: int, tile: Ints) -> int:
    """The number of a tile's divisor; -1 for no dimension."""
    b = 0 if d >= 0 else -1
    while d >= 0 and space.divisor[d, b] != tile[d]:
        b += 1
    return b


@part
def is_unlisted(space: Space, d: int, b: int) -> bool:
    """Whether nothing is listed of dimension d outside of its divisor b: large bounds, loose links."""
    return bool(space.falls_at[d, b] == space.falls_at[d, b + 1])


@part
def leads_within(space: Space, y: int, b: int, step_y: int, x: int, a: int, step_x: int, reach: int, grid: int) -> bool:
    """Whether a loop over y moves the tile so, in words.

    ``x``: the rank's other dimension, or -1, whose loops inside fall back. ``b``, ``a``: the tile's divisors.
    """
    for i in range(space.leads_at[y, b], space.leads_at[y, b + 1]):
        lead = space.leads[i] * step_y
        if x < 0:
            if 0 < lead <= reach and lead % grid == 0:
                return True
            continue
        for j in range(space.falls_at[x, a], space.falls_at[x, a + 1]):
            move = abs(lead - space.falls[j] * step_x)
            if 0 < move <= reach and move % grid == 0:
                return True
    return False


@part
def falls_within(space: Space, y: int, b: int, step_y: int, x: int, a: int, step_x: int, reach: int, grid: int) -> bool:
    """Whether the loops along the rank, all inside of another rank's, fall back so; see :func:`leads_within`."""
    for i in range(space.falls_at[y, b], space.falls_at[y, b + 1]):
        fall = space.falls[i] * step_y
        if fall > reach:
            return False
        if x < 0:
            if fall > 0 and fall % grid == 0:
                return True
            continue
        for j in range(space.falls_at[x, a], space.falls_at[x, a + 1]):
            move = fall + space.falls[j] * step_x
            if move > reach:
                break
            if move > 0 and move % grid == 0:
                return True
    return False
