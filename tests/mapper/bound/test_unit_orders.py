"""What links gain at most in any order of a unit, against elements that are laid out one by one in every order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import permutations, product

import numpy as np
import pytest

from tests.mapper.bound.test_unit_layout import left_by
from tests.mapper.tables import small
from tqhw.mapper.bound import unit_orders
from tqhw.mapper.bound.unit_gains import keeps_below, outer_grid, spatial_gains
from tqhw.mapper.bound.unit_orders import gain_in_orders, list_unit_moves, orders_count
from tqhw.mapper.branch.bypass_search import BypassSearch
from tqhw.mapper.space.tiles import fits_somehow, split_tile

MACHINES = ("two_level_array", "weight_stationary")  # links above a level that keeps the inputs, and one that does not
SIZES = {"M": 2, "R": 3, "S": 2, "P": 4, "Q": 2, "Wstride": 2}


def inputs_of(search: BypassSearch) -> int:
    """The data space with halos."""
    return int(np.flatnonzero(search.tables.halo)[0])


def units(search: BypassSearch) -> Iterator[tuple[int, int]]:
    """(slot, loops) of every unit that fits, with work.factors, work.tile and work.above of it."""
    tables, work = search.tables, search.work
    q = int(np.flatnonzero(tables.spatial)[0])
    for t, inside in product(range(len(tables.digits)), repeat=2):
        factors = [
            tables.allows[q, d, tables.digits[t, d], tables.digits[inside, d]] for d in range(len(tables.bounds))
        ]
        if not all(factors):
            continue
        mask = split_tile(tables, t, inside, work.tile, work.factors)
        work.above[:] = work.tile * work.factors
        if mask > 0 and fits_somehow(tables, search.orders, q, work.factors, mask):
            yield q, mask


def gain_of_all_orders(search: BypassSearch, q: int, s: int) -> float:
    """The most that links gain, over all permutations that fit the mesh and all moves; 0 where they gain nothing."""
    tables, work = search.tables, search.work
    columns, rows = tables.fanout[q]
    dims = [d for d in range(len(work.factors)) if work.factors[d] > 1]
    grids = [outer_grid(tables, s, r, work.above) for r in (0, 1)]
    reach = [
        sum(int((work.factors[d] - 1) * step(search, s, d)) for d in dims if tables.rank[s, d] == r) for r in (0, 1)
    ]
    lengths = [range(0, reach[r] + 1, grids[r]) if grids[r] else range(1) for r in (0, 1)]
    signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
    moves = {(x * a, y * b) for x, y in product(*lengths) for a, b in signs if (x, y) != (0, 0)}
    gain = 0.0
    for order in permutations(dims):
        sizes = [int(work.factors[d]) for d in order]
        if not any(math.prod(sizes[:i]) <= columns and math.prod(sizes[i:]) <= rows for i in range(len(sizes) + 1)):
            continue
        elements = laid_out(search, s, order)
        whole = len(set(elements))
        for move in moves:
            left = left_by(elements, int(columns), move)
            if len(left) < whole:
                of_all = len(elements) / whole
                if keeps_below(tables, search.prices, q, s):
                    gain = max(gain, whole / len(left) if left else math.inf)
                else:
                    gain = max(gain, 1.0, sum(left) / len(left) / of_all)
    return gain


def step(search: BypassSearch, s: int, d: int) -> int:
    """Words that one element over d lies from the next."""
    return int(search.tables.coefficient[s, d] * search.work.tile[d])


def laid_out(search: BypassSearch, s: int, order: tuple[int, ...]) -> list[tuple[int, int, tuple[int, ...]]]:
    """Words along both halos and index along other ranks, of the elements in the order in which they fill the mesh."""
    tables, found = search.tables, []
    for at in product(*(range(search.work.factors[d]) for d in reversed(order))):
        index = dict(zip(reversed(order), at, strict=True))
        x, y = (sum(index[d] * step(search, s, d) for d in order if tables.rank[s, d] == r) for r in (0, 1))
        found.append((x, y, tuple(index[d] for d in sorted(order) if tables.relevant[s, d] and tables.rank[s, d] < 0)))
    return found


@pytest.mark.parametrize("machine", MACHINES)
def test_no_order_gains_more_and_some_order_that_much(machine: str) -> None:
    search = small(machine, "latency", **SIZES).search
    bound, s = search._bound(), inputs_of(search)
    assert orders_count(bound)
    told = []
    for q, mask in units(search):
        work = search.work
        _, coarse, _, reach = spatial_gains(search.tables, search.prices, q, s, work.factors, work.tile, work.above)
        work.most_gain[:] = np.inf
        gain_in_orders(bound, q, mask)
        most, gain = float(work.most_gain[s]), gain_of_all_orders(search, q, s)
        assert (np.delete(work.most_gain, s) == np.inf).all()  # no halo, no links
        if reach == 0.0 or coarse <= 1.0:
            assert most == np.inf
            assert gain <= 1.0
        elif most == np.inf:
            assert gain >= coarse  # no better than what is known without a look
        else:
            assert most == pytest.approx(gain)
            told.append((most, coarse))
    assert any(most < coarse for most, coarse in told)
    assert any(most == 0.0 for most, _ in told)
    assert any(most > 1.0 for most, _ in told)


def test_a_unit_of_many_elements_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    search = small(MACHINES[0], "latency", **SIZES).search
    bound, counted = search._bound(), []
    for most in (unit_orders.LAID_OUT, 8):
        monkeypatch.setattr(unit_orders, "LAID_OUT", most)
        counted.append(0)
        for q, mask in units(search):
            search.work.most_gain[:] = np.inf
            gain_in_orders(bound, q, mask)
            counted[-1] += int(np.isfinite(search.work.most_gain).sum())
    assert counted[0] > counted[1]


def test_moves_are_multiples_within_the_reach_and_have_room() -> None:
    search = small(MACHINES[0], "latency", **SIZES).search
    tables, s = search.tables, inputs_of(search)
    above = np.ones(len(tables.bounds), np.int64)  # loops over P move by 2 words and over R by 1, over Q and S by 1
    moves = np.zeros((20, 2))
    n = list_unit_moves(tables, s, np.array([2, 1]), above, moves)
    assert moves[:n].tolist() == [[0, 1], [1, 0], [1, 1], [2, 0], [2, 1]]
    assert list_unit_moves(tables, s, np.array([2, 1]), above, moves[:4]) == -1
    above[:] = tables.bounds  # no loop is left outside
    assert list_unit_moves(tables, s, np.array([2, 1]), above, moves) == 0


def test_orders_do_not_count_where_looser_bounds_do() -> None:
    """Of energy alone, without a budget: of equal mappings the one that these find first stays the answer."""
    assert not orders_count(small(MACHINES[0], "energy", **SIZES).search._bound())
