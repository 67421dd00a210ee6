"""What all bounds under one keep/bypass choice are made of: tables, prices, Pareto fronts, and work arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.model import Floats, Ints
from tqhw.mapper.bound.outlook import Outlook, make_outlook
from tqhw.mapper.bound.partial_cost import HEAD, WIDTH, Block
from tqhw.mapper.bound.prices import Prices
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
    partials: Floats  # [M, HEAD + S * WIDTH]


@bundle
class Ports(NamedTuple):
    """What can throttle: P ports (prices.port_prices), with their prices and fronts, as in Prices and ParetoFronts."""

    parent: Floats  # [P, L + 1, S] cycles
    fill: Floats  # [P, L, S]
    first: Floats  # [P, L]
    cut: Floats  # [P] cycles that may be cut off, see prices.cut_pj
    start: Ints  # [P, Q + 1, N]
    rows: Ints  # [P, Q + 1, N]
    partials: Floats  # [M, HEAD + S * WIDTH] of all ports


@bundle
class Scratch(NamedTuple):
    """Work arrays of one sweep or search."""

    rows: Floats  # [cap, V]
    partial: Floats  # [V]
    start: Floats  # [1 + P, V] the first partial cost, and those of the ports
    block: Block
    look: Outlook
    at: Ints  # [D]
    tile: Ints
    above: Ints
    factors: Ints
    filled: Ints  # [N] tiles with partial costs,
    inside: Ints  # [N] and those of them inside of the tile at work


@bundle
class Relaxation(NamedTuple):
    """Passed whole to the kernels."""

    space: Space
    prices: Prices
    orders: LoopOrders
    fronts: ParetoFronts
    lookahead: Floats  # [Q, N, K] see offer
    objective: int
    work: Scratch
    ports: Ports
    least_cycles: float  # that every mapping takes
    stairs: Floats  # [F, 2] energy and cycles of the mappings on the front so far, see bound/measure.py
    least_pj: float  # that every mapping costs; told to a front alone


def make_fronts(n_slots: int, n_tiles: int, width: int) -> ParetoFronts:
    """Empty fronts with room for some partial costs, but for the compute unit's."""
    rows = np.zeros((n_slots + 1, n_tiles), np.int64)
    rows[0, :1] = 1
    return ParetoFronts(
        np.zeros((n_slots + 1, n_tiles), np.int64),
        rows,
        np.zeros((n_slots + 1, n_tiles)),
        np.zeros(n_slots),
        np.zeros((max(4096, 2 * n_tiles) if n_tiles else 0, width)),
    )


def make_scratch(space: Space, n_points: int, n_ports: int = 0) -> Scratch:
    """Work arrays of one search."""
    n_spaces, n_dims = space.relevant.shape
    width = HEAD + WIDTH * n_spaces

    def ones() -> np.ndarray:
        return np.ones(n_dims, np.int64)

    block = Block(np.ones(n_spaces), np.zeros(n_spaces, np.bool_), np.zeros(n_spaces, np.bool_), np.ones(n_spaces))
    tiles = np.zeros((2, len(space.digits)), np.int64)
    rows, partial, start = np.zeros((n_points, width)), np.zeros(width), np.zeros((1 + n_ports, width))
    return Scratch(
        rows, partial, start, block, make_outlook(space.n_kinds, n_spaces), ones(), ones(), ones(), ones(), *tiles
    )


def join_ports(prices: Sequence[Prices], fronts: Sequence[ParetoFronts], width: int) -> Ports:
    """The ports as one bundle. ``width``: of a partial cost."""
    first = np.cumsum([0, *(len(front.partials) for front in fronts)])
    return Ports(
        parent=_stacked([one.parent_pj for one in prices], 2),
        fill=_stacked([one.fill_pj for one in prices], 2),
        first=_stacked([one.first_pj for one in prices], 1),
        cut=np.array([one.cut_pj for one in prices], np.float64),
        start=_stacked([front.start + begin for front, begin in zip(fronts, first, strict=False)], 2).astype(np.int64),
        rows=_stacked([front.rows for front in fronts], 2).astype(np.int64),
        partials=np.concatenate([np.zeros((0, width)), *(front.partials for front in fronts)]),
    )


def _stacked(tables: Sequence[np.ndarray], axes: int) -> np.ndarray:
    return np.stack(tables) if tables else np.zeros((0,) * (axes + 1))
