"""What links leave of a unit in one order, against elements that are laid out one by one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import permutations, product

import numpy as np
import pytest

from tests.mapper.tables import along_three_halos, small
from tqhw.mapper.bound.unit_layout import (
    KEPT_ORDERS,
    TOLD,
    is_known,
    left_in_order,
    make_layout,
    number_places,
    put_order,
)

DIMS = "MGSQRP"  # irrelevant to Inputs, of a rank without a halo, and two of each of two halos
CASE = small("two_level_array", M=2, G=2, S=3, Q=4, R=2, P=3, Hstride=2)
SHAPE, TABLES = CASE.space.problem.shape, CASE.search.tables
INPUTS = SHAPE.data_space_names.index("Inputs")
RANK = {d: int(TABLES.rank[INPUTS, SHAPE.dimensions.index(d)]) for d in DIMS}
STRIDE = {d: int(TABLES.coefficient[INPUTS, SHAPE.dimensions.index(d)]) for d in DIMS}


def array(given: dict[str, int]) -> np.ndarray:
    return np.array([given.get(d, 1) for d in SHAPE.dimensions], np.int64)


def laid_out(order: tuple[str, ...], factors: dict[str, int], tile: dict[str, int]) -> list[tuple[int, int, int]]:
    """(words along both halos, index along the other rank) of the elements in mapped order, first loop innermost."""
    found = []
    for at in product(*(range(factors[d]) for d in reversed(order))):
        index = dict(zip(reversed(order), at, strict=True))
        words = [sum(index[d] * tile[d] * STRIDE[d] for d in order if RANK[d] == r) for r in (0, 1)]
        found.append((*words, index["G"]))
    return found


def left_by(elements: Sequence[tuple[int, int, Hashable]], columns: int, move: tuple[int, int]) -> tuple[int, ...]:
    """Elements per place, ascending, of those that have no mesh neighbour which lies a move further."""
    left = []
    for e, (x, y, g) in enumerate(elements):
        beside = [e - 1] * (e % columns > 0) + [e + 1] * (e % columns < columns - 1) + [e - columns, e + columns]
        near = [elements[i] for i in beside if 0 <= i < len(elements)]
        if (x + move[0], y + move[1], g) not in near:
            left.append((x, y, g))
    return tuple(sorted(Counter(left).values()))


@pytest.mark.parametrize("seed", range(30))
def test_links_leave_what_no_neighbour_had(seed: int) -> None:
    r = random.Random(seed)
    bounds = {"M": 2, "G": 2, "S": 3, "Q": 4, "R": 2, "P": 3}
    factors = {d: r.choice([1, bounds[d]]) for d in DIMS}
    tile = {d: r.choice([1, 1, 2]) for d in DIMS}
    order = r.choice(list(permutations(DIMS)))
    columns = r.choice([2, 3, 4, 8])
    moves = [(r.randrange(4), r.randrange(4)) for _ in range(3)]
    elements = laid_out(order, factors, tile)
    layout = make_layout(TABLES, len(elements), 16)
    number_places(TABLES, INPUTS, array(factors), array(tile), layout)
    assert layout.n_places[INPUTS] == len(set(elements))
    row = np.full((1, len(SHAPE.dimensions)), -1, np.int64)
    row[0, : len(order)] = [SHAPE.dimensions.index(d) for d in order]
    n = put_order(CASE.search.orders._replace(order=row), 0, array(factors), layout)
    assert n == len(elements)
    share, richest = left_in_order(layout, INPUTS, n, columns, np.array(moves, float), layout.served[0, INPUTS])
    truth, whole = [], tuple(sorted(Counter(elements).values()))
    for x, y in moves:
        for sign_y, sign_x in product((1, -1), repeat=2):
            within = x <= layout.reach[INPUTS, 0] and y <= layout.reach[INPUTS, 1] and (x, y) != (0, 0)
            if within and not (sign_x < 0 and x == 0) and not (sign_y < 0 and y == 0):
                left = left_by(elements, columns, (sign_x * x, sign_y * y))
                truth.append(left if len(left) < len(whole) else whole)
    told = layout.served[0, INPUTS, : layout.written[INPUTS]].reshape(-1, TOLD).tolist()
    assert sorted(row[:2] for row in told) == sorted([len(left), sum(left)] for left in truth)
    marks = Counter(sum(int(layout.weight[m]) for m in left) if left != whole else 0 for left in truth)
    assert Counter(row[2] for row in told) == marks
    assert share == min((len(left) / len(whole) for left in truth), default=1.0)
    means = [sum(left) / len(left) / (n / len(whole)) for left in truth]
    assert richest == pytest.approx(max([1.0, *means]))


def test_a_unit_with_no_elements_along_a_third_halo_has_places() -> None:
    case = along_three_halos()
    tables, s = case.search.tables, case.space.problem.shape.data_space_names.index("Inputs")
    layout = make_layout(tables, 8, 1)
    assert tables.rank[s].tolist() == [0, 0, 1, 1, 2, 2]
    number_places(tables, s, np.array([2, 2, 2, 1, 1, 1]), np.ones(6, np.int64), layout)
    assert layout.n_places[s] == 3 * 2


def test_an_order_is_known_by_all_that_links_leave_in_it() -> None:
    layout = make_layout(TABLES, 4, 4)
    layout.written[:] = 2
    layout.served[0, :, :2] = [[2, 4], [2, 4], [3, 3]]
    layout.served[1, :, :2] = [[2, 4], [2, 4], [3, 4]]
    layout.served[2, :, :2] = layout.served[1, :, :2]
    assert [is_known(layout, at) for at in range(3)] == [False, False, True]
    layout.written[2] = 1  # the rest is of an order before
    assert is_known(layout, 1)
    assert layout.served.shape[0] == KEPT_ORDERS + 1
