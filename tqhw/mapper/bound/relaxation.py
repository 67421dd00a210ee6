"""What all bounds under one keep/bypass choice are made of: tables, prices, Pareto fronts, and work arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.model import Floats, Ints
from tqhw.mapper.bound.outlook import Outlook, make_outlook
from tqhw.mapper.bound.partial_cost import HEAD, WIDTH, Block
from tqhw.mapper.bound.prices import Prices
from tqhw.mapper.bound.unit_layout import UnitLayout
from tqhw.mapper.space.arrays import Space
from tqhw.mapper.space.orders import LoopOrders


@bundle
class ParetoFronts(NamedTuple):
    """Partial costs of every tile inside of every slot; of tile t inside of slot q: start[q, t] .. + rows[q, t].

    Inside of slot 0 there is one partial cost of one tile, the compute unit.
    """

    start: Ints  # [Q + 1, N]
    rows: Ints  # [Q + 1, N]
    best: Floats  # [Q + 1, N] the least settled energy
    floor: Floats  # [Q] what every mapping costs at least that goes through a partial cost around the slot
    partials: Floats  # [M, J, V]


@bundle
class Ports(NamedTuple):
    """What can throttle: J ports (prices.port_prices), and what every inside of a tile takes of them."""

    prices: Prices
    fronts: ParetoFronts
    start: Floats  # [1, J, V] of the compute unit


@bundle
class Scratch(NamedTuple):
    """Work arrays of one sweep or search. V = HEAD + S * WIDTH, see bound/partial_cost.py."""

    rows: Floats  # [cap, J, V]
    partial: Floats  # [J, V]
    start: Floats  # [1, J, V] of the compute unit
    block: Block
    look: Outlook
    at: Ints  # [D]
    tile: Ints
    above: Ints
    factors: Ints
    filled: Ints  # [N] tiles with partial costs,
    inside: Ints  # [N] and those of them inside of the tile at work
    layout: UnitLayout  # of one order
    most_gain: Floats  # [S] of the links of the unit at work, in any order; see unit_orders.gain_in_orders


@bundle
class Relaxation(NamedTuple):
    """Passed whole to the kernels."""

    space: Space
    prices: Prices
    orders: LoopOrders
    fronts: ParetoFronts
    lookahead: Floats  # [J, Q, N, K] see offer
    objective: int
    work: Scratch
    ports: Ports
    least_cycles: float  # that every mapping takes
    stairs: Floats  # [F, 2] energy and cycles of the mappings on the front so far, see bound/measure.py
    least_pj: float  # that every mapping costs; told to a front alone


def make_fronts(n_slots: int, n_tiles: int, n_costs: int, n_spaces: int) -> ParetoFronts:
    """Empty fronts with room for some partial costs, but for the compute unit's."""
    rows = np.zeros((n_slots + 1, n_tiles), np.int64)
    rows[0, :1] = 1
    return ParetoFronts(
        np.zeros((n_slots + 1, n_tiles), np.int64),
        rows,
        np.zeros((n_slots + 1, n_tiles)),
        np.zeros(n_slots),
        np.zeros((max(4096, 2 * n_tiles) if n_tiles else 0, n_costs, HEAD + WIDTH * n_spaces)),
    )


def make_scratch(space: Space, layout: UnitLayout, n_points: int, n_costs: int = 1) -> Scratch:
    """Work arrays of one sweep or search; ``layout``: may be that of others, too."""
    n_spaces, n_dims = space.relevant.shape

    def ones() -> np.ndarray:
        return np.ones(n_dims, np.int64)

    block = Block(np.ones(n_spaces), np.zeros(n_spaces, np.bool_), np.zeros(n_spaces, np.bool_), np.ones(n_spaces))
    filled, inside = np.zeros((2, len(space.digits)), np.int64)
    rows, start = (np.zeros((n, n_costs, HEAD + WIDTH * n_spaces)) for n in (n_points, 1))
    look = make_outlook(space.n_kinds, n_spaces, n_costs)
    return Scratch(
        rows,
        start[0].copy(),
        start,
        block,
        look,
        ones(),
        ones(),
        ones(),
        ones(),
        filled,
        inside,
        layout,
        np.ones(n_spaces),
    )
