"""A unit's elements as one order lays them on the mesh: what links leave of them after the moves of the loops outside.

What unit_gains.py bounds for all orders at once is counted here for one of them, as the engine counts it
(tqhw/engine/links.py). docs/mapper.md, "Orders that need not be tried".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import part
from tqhw.engine.links import holds
from tqhw.engine.model import Floats, Ints
from tqhw.engine.unit import sort
from tqhw.mapper.space.arrays import HALO_RANKS, Space
from tqhw.mapper.space.orders import LoopOrders

KEPT_ORDERS = 64  # of a unit, with what links serve in them; further ones are all tried
COUNTED = 1 << 18  # elements of one unit, over all its orders: those that are left are bounded together
TOLD = 3  # numbers of one move, see left_in_order


@bundle
class UnitLayout(NamedTuple):
    """Work arrays: the unit at work, of E elements, and what links do in its orders."""

    multicast: Floats  # [S] gains of the unit whatever its order (unit_gains.spatial_gains),
    fill: Floats  # [S] also for the fills right below where links serve some,
    share: Floats  # [S] the share of the words that links can serve (lower_bound.linked_share),
    left: Floats  # [S] and what they leave at least of these words' accesses
    share_of_all: Floats  # [S] the same of all orders
    left_of_all: Floats  # [S]
    element: Ints  # [E] elements in the order at work; they are numbered in the order of the dimensions
    key_of: Ints  # [S, E] where an element lies, as one number; the radix of a halo rank is above all moves that count
    place_of: Ints  # [S, E] elements of equal keys lie in one place
    n_places: Ints  # [S]
    reach: Ints  # [S, R] words between the first and the last element along a halo rank,
    radix: Ints  # [S, R] and its radix
    key: Ints  # [E] of the elements in the order at work
    moves: Floats  # [J, R] of the loops outside, see list_moves_within
    seen: Ints  # [E + 1] the last count that met a place; at the end: counts so far
    left_at: Ints  # [E] elements left in a place
    weight: Ints  # [E + 1] of a place with so many elements left, in a sum that tells multisets of them apart
    served: Ints  # [KEPT_ORDERS + 1, S, TOLD * J * ways] by links in one order each, see left_in_order
    written: Ints  # [S] of these numbers


def make_layout(space: Space, n_units: int, n_loops: int, n_orders: int = KEPT_ORDERS) -> UnitLayout:
    """Empty work arrays for units of at most ``n_units`` elements."""
    n_spaces = len(space.relevant)

    def ints(*shape: int) -> Ints:
        return np.zeros(shape, np.int64)

    def gains() -> Floats:
        return np.ones(n_spaces)

    return UnitLayout(
        multicast=gains(),
        fill=gains(),
        share=gains(),
        left=gains(),
        share_of_all=gains(),
        left_of_all=gains(),
        element=ints(n_units),
        key_of=ints(n_spaces, n_units),
        place_of=ints(n_spaces, n_units),
        n_places=ints(n_spaces),
        reach=ints(n_spaces, HALO_RANKS),
        radix=ints(n_spaces, HALO_RANKS),
        key=ints(n_units),
        moves=np.zeros((n_loops, HALO_RANKS)),
        seen=ints(n_units + 1),
        left_at=ints(n_units),
        weight=np.concatenate([[0], np.random.default_rng(0).integers((1 << 62) // n_units, size=n_units)]),
        served=ints(n_orders + 1, n_spaces, TOLD * n_loops * 2**HALO_RANKS),
        written=ints(n_spaces),
    )


@part
def is_known(layout: UnitLayout, at: int) -> bool:
    """Whether links serve in the order of row ``at`` just what they serve in one before: it costs the same."""
    for one in range(at):
        same = True
        for s in range(layout.written.shape[0]):
            for i in range(layout.written[s]):
                same = same and layout.served[one, s, i] == layout.served[at, s, i]
        if same:
            return True
    return False


@part
def number_places(space: Space, s: int, factors: Ints, tile: Ints, layout: UnitLayout) -> None:
    """Fills key_of and place_of, n_places, reach and radix of data space s for a unit around ``tile``.

    None of its elements lie along a halo rank beyond those along which moves are kept (places.lies_further).
    """
    radix = 1
    for r in range(HALO_RANKS):
        reach = 0
        for d in range(factors.shape[0]):
            if space.rank[s, d] == r:
                reach += (factors[d] - 1) * space.coefficient[s, d] * tile[d]
        layout.reach[s, r] = reach
        layout.radix[s, r] = radix
        radix *= 2 * reach + 1  # offsets and moves within the reach stay distinguishable
    keys = layout.key_of[s]
    keys[0] = 0
    n = 1
    for d in range(factors.shape[0]):
        if factors[d] == 1:
            continue  # along a further halo rank: these have no radix
        step = 0
        if space.rank[s, d] >= 0:
            step = space.coefficient[s, d] * tile[d] * layout.radix[s, space.rank[s, d]]
        elif space.relevant[s, d]:
            step = radix
            radix *= factors[d]
        for e in range(n, n * factors[d]):
            keys[e] = keys[e - n] + step
        n *= factors[d]
    for e in range(n):
        layout.key[e] = keys[e]
    sort(layout.key, n)
    places = 0
    for e in range(n):
        if e == 0 or layout.key[e] != layout.key[places - 1]:
            layout.key[places] = layout.key[e]
            places += 1
    for e in range(n):
        layout.place_of[s, e] = np.searchsorted(layout.key[:places], keys[e])
    layout.n_places[s] = places


@part
def put_order(orders: LoopOrders, row: int, factors: Ints, layout: UnitLayout) -> int:
    """Fills ``element`` with the order of ``row``; returns the number of elements."""
    n = 1
    layout.element[0] = 0
    for i in range(factors.shape[0]):
        d = orders.order[row, i]
        if d < 0:
            break
        stride = 1
        for e in range(d):
            stride *= factors[e]
        for e in range(n, n * factors[d]):
            layout.element[e] = layout.element[e - n] + stride
        n *= factors[d]
    return n


@part
def shift_of(layout: UnitLayout, s: int, move: Floats, way: int) -> int:
    """A ``move`` [R] in words along the halo ranks as a difference of keys; 0 where none lie so far apart.

    Its lengths are known, not where it goes along each rank: ``way`` has a bit for every rank along which it goes back.
    """
    shift = 0
    for r in range(HALO_RANKS):
        back = way >> r & 1
        if move[r] > layout.reach[s, r] or (back and move[r] == 0.0):
            return 0
        shift += (-1 if back else 1) * int(move[r]) * layout.radix[s, r]
    return shift


@part
def count_unserved(layout: UnitLayout, s: int, n: int, shift: int, columns: int) -> tuple[int, int, int]:
    """(places, elements, mark) of ``key`` whose words no mesh neighbour had before it moved by ``shift``.

    The mark is the sum of the places' weights: equal for equal numbers of elements in them, in any order.
    """
    count = layout.seen[layout.seen.shape[0] - 1] + 1
    layout.seen[layout.seen.shape[0] - 1] = count
    places = 0
    elements = 0
    mark = 0
    for e in range(n):
        if not holds(layout.key, n, e, layout.key[e] + shift, columns):
            elements += 1
            place = layout.place_of[s, layout.element[e]]
            if layout.seen[place] != count:
                layout.seen[place] = count
                layout.left_at[place] = 0
                places += 1
            left = layout.left_at[place] + 1
            layout.left_at[place] = left
            mark += layout.weight[left] - layout.weight[left - 1]
    return places, elements, mark


@part
def left_in_order(layout: UnitLayout, s: int, n: int, columns: int, moves: Floats, served: Ints) -> tuple[float, float]:
    """(share of the places, elements per place) that links leave of a unit's elements in the order at work.

    Over all ``moves`` [J, R]: of the first the least, of the second the most, in multiples of what all have. Writes to
    ``served`` what :func:`count_unserved` tells after every move that may meet elements. Orders that agree in all of it
    cost the same: to the engine they are the same tables of accesses (tqhw/engine/table.py), which it rounds alike.
    """
    for e in range(n):
        layout.key[e] = layout.key_of[s, layout.element[e]]
    n_places: int = layout.n_places[s]
    share = 1.0
    richest = 1.0
    written = 0
    for j in range(moves.shape[0]):
        for way in range(2**HALO_RANKS):
            shift = shift_of(layout, s, moves[j], way)
            if shift == 0:
                continue
            places, elements, mark = count_unserved(layout, s, n, shift, columns)
            if places >= n_places:
                places, elements, mark = n_places, n, 0
            served[written] = places
            served[written + 1] = elements
            served[written + 2] = mark
            written += TOLD
            share = min(share, places / n_places)
            richest = max(richest, elements / places * (n_places / n))
    layout.written[s] = written
    return share, richest
