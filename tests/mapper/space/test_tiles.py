"""Kernels of this module, called as Python."""

from __future__ import annotations

import numpy as np
import pytest

from tests.mapper.tables import small
from tqhw.mapper.space.tiles import first_below, fits_somehow, fits_unit, next_below, same_order, split_tile


def tile(tables, t: int) -> np.ndarray:
    return tables.divisor[np.arange(len(tables.bounds)), tables.digits[t]]


@pytest.mark.parametrize("architecture", ["eyeriss_like", "two_level_array"])
def test_the_odometer_visits_what_the_factors_allow(architecture: str) -> None:
    space, model, search = small(architecture, C=4, M=6, P=3)
    tables = search.tables
    n_dims, n_tiles = len(model.bounds), len(tables.digits)
    rows = np.arange(n_tiles) % 3  # every third tile has no partial cost
    at = np.zeros(n_dims, np.int64)
    for q, slot in enumerate(space.slots):
        for t in range(n_tiles):
            visited = []
            inside = first_below(tables, q, t, rows, at)
            while inside >= 0:
                visited.append(inside)
                inside = next_below(tables, q, t, rows, at, inside)
            allowed = [
                i
                for i in range(n_tiles)
                if rows[i] > 0
                and all(
                    a % b == 0 and a // b in slot.factors[d]
                    for d, (a, b) in enumerate(zip(tile(tables, t), tile(tables, i), strict=True))
                )
            ]
            assert sorted(visited) == allowed
            assert len(set(visited)) == len(visited)


def test_a_tile_is_split_into_what_is_inside_and_the_factors() -> None:
    _, model, search = small("two_level", C=4, M=6)
    tables = search.tables
    inside, factors = (np.zeros(len(model.bounds), np.int64) for _ in range(2))
    whole = len(tables.digits) - 1
    for t in range(len(tables.digits)):
        mask = split_tile(tables, whole, t, inside, factors)
        assert (inside == tile(tables, t)).all()
        assert (inside * factors == model.bounds).all()
        assert [bool(mask >> d & 1) for d in range(len(factors))] == (factors > 1).tolist()


def test_a_unit_fits_its_own_columns_and_rows() -> None:
    space, model, search = small("two_level_array", C=8, M=8)
    orders, tables = search.orders, search.tables
    q = next(q for q, slot in enumerate(space.slots) if slot.spatial)
    x, y = space.slots[q].fanout
    c, m = (space.problem.shape.dimensions.index(d) for d in "CM")
    mask = 1 << c | 1 << m
    factors = np.ones(len(model.bounds), np.int64)
    for factors[c], factors[m] in ((2, 2), (4, 4), (8, 2), (8, 8)):
        for row in range(orders.start[q, mask], orders.start[q, mask] + orders.rows[q, mask]):
            order, along = orders.order[row], orders.along_x[row]
            used = [int(np.prod([factors[d] for d in part if d >= 0])) for part in (order[:along], order[along:])]
            assert fits_unit(tables, orders, q, factors, row) == (used[0] <= x and used[1] <= y)


@pytest.mark.parametrize("architecture", ["two_level_array", "simba_like", "eyeriss_like"])
def test_a_unit_fits_somehow_where_some_order_and_split_do(architecture: str) -> None:
    space, model, search = small(architecture, C=8, M=6, P=4)
    orders, tables = search.orders, search.tables
    inside, factors = (np.zeros(len(model.bounds), np.int64) for _ in range(2))
    found = {True: 0, False: 0}
    for q, slot in enumerate(space.slots):
        for t in range(len(tables.digits) if slot.spatial else 0):
            mask = split_tile(tables, t, 0, inside, factors)
            rows = range(orders.start[q, mask], orders.start[q, mask] + orders.rows[q, mask])
            fits = any(fits_unit(tables, orders, q, factors, row) for row in rows)
            assert fits_somehow(tables, orders, q, factors, mask) == fits
            found[fits] += 1
    assert min(found.values()) > 0


def test_rows_of_one_order_differ_in_the_split() -> None:
    space, _, search = small("two_level_array", C=8, M=8)
    orders = search.orders
    q = next(q for q, slot in enumerate(space.slots) if slot.spatial)
    mask = sum(1 << space.problem.shape.dimensions.index(d) for d in "CM")
    rows = range(orders.start[q, mask], orders.start[q, mask] + orders.rows[q, mask])
    for one in rows:
        for other in rows:
            same = orders.order[one].tolist() == orders.order[other].tolist()
            assert same_order(orders, one, other) == same
    assert any(same_order(orders, one, other) for one in rows for other in rows if one != other)
