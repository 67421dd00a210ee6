"""What links gain at most in any order of a unit, against elements that are laid out one by one in every order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import permutations, product

import numpy as np
import pytest

from tests.mapper.bound.test_unit_layout import left_by
from tests.mapper.tables import along_three_halos, small
from tqhw.mapper.bound import unit_orders
from tqhw.mapper.bound.moves import may_move
from tqhw.mapper.bound.partial_cost import HEAD, OPEN, WIDTH, U, spatial_step
from tqhw.mapper.bound.unit_gains import ANY_WAY, keeps_below, spatial_gains, ways_differ
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
    columns = int(tables.fanout[q, 0])
    moved = [
        [x for x in range(reach_of(search, s, r) + 1) if x == 0 or may_move(tables, s, r, work.above, x, x)]
        for r in (0, 1)
    ]
    signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
    moves = {(x * a, y * b) for x, y in product(*moved) for a, b in signs if (x, y) != (0, 0)}
    gain = 0.0
    for order in fitting_orders(search, q):
        elements = laid_out(search, s, order)
        whole = len(set(elements))
        for move in moves:
            left = left_by(elements, columns, move)
            if len(left) < whole:
                of_all = len(elements) / whole
                if keeps_below(tables, search.prices, q, s):
                    gain = max(gain, whole / len(left) if left else math.inf)
                else:
                    gain = max(gain, 1.0, sum(left) / len(left) / of_all)
    return gain


def fitting_orders(search: BypassSearch, q: int) -> Iterator[tuple[int, ...]]:
    """Permutations of the unit's dimensions of which some split fits the mesh."""
    columns, rows = search.tables.fanout[q]
    for order in permutations(np.flatnonzero(search.work.factors > 1).tolist()):
        sizes = [int(search.work.factors[d]) for d in order]
        if any(math.prod(sizes[:i]) <= columns and math.prod(sizes[i:]) <= rows for i in range(len(sizes) + 1)):
            yield order


def reach_of(search: BypassSearch, s: int, rank: int) -> int:
    """Words between the first and the last element along a halo rank, where a loop is left outside."""
    tables, work = search.tables, search.work
    dims = [d for d in range(len(work.factors)) if tables.rank[s, d] == rank]
    any_left = any(tables.bounds[d] > work.above[d] for d in dims)
    return sum(int((work.factors[d] - 1) * step(search, s, d)) for d in dims) if any_left else 0


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


def test_a_unit_of_many_elements_or_moves_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements are those of all orders after all moves, and moves have room or not."""
    search = small(MACHINES[0], "latency", **SIZES).search
    bound, s, room = search._bound(), inputs_of(search), len(search.work.layout.moves)

    def counted(q: int, mask: int, laid_out: int, room: int) -> bool:
        monkeypatch.setattr(unit_orders, "LAID_OUT", laid_out)
        layout = bound.work.layout._replace(moves=bound.work.layout.moves[:room])
        bound.work.most_gain[:] = np.inf
        gain_in_orders(bound._replace(work=bound.work._replace(layout=layout)), q, mask)
        return bool(bound.work.most_gain[s] < np.inf)

    all_of, checked = unit_orders.LAID_OUT, 0
    for q, mask in units(search):
        if not counted(q, mask, all_of, room):
            continue
        layout = bound.work.layout
        n_moves = list_unit_moves(search.tables, s, layout.reach[s], search.work.above, layout.moves)
        elements = int(search.work.factors.prod()) * n_moves * len(list(fitting_orders(search, q)))
        assert counted(q, mask, elements, n_moves)
        if n_moves > 0:
            assert not counted(q, mask, elements - 1, n_moves)
            assert not counted(q, mask, elements, n_moves - 1)
            checked += 1
    assert checked > 10


def test_a_unit_along_a_third_halo_is_not_counted() -> None:
    search = along_three_halos().search
    s, found = inputs_of(search), set[tuple[bool, bool]]()
    for q, mask in units(search):
        work = search.work
        work.most_gain[:] = np.inf
        gain_in_orders(search._bound(), q, mask)
        along_third = bool((work.factors[search.tables.rank[s] == 2] > 1).any())
        reach = spatial_gains(search.tables, search.prices, q, s, work.factors, work.tile, work.above)[3]
        if reach > 0.0:
            found.add((along_third, bool(work.most_gain[s] < np.inf)))
    assert {(True, False), (False, True)} <= found
    assert (True, True) not in found


@pytest.mark.parametrize("machine", MACHINES)
def test_links_are_counted_on_up_to_what_they_gain(machine: str) -> None:
    """What a unit leaves of the traffic: divided by no more than its best order allows, or nothing counts on links."""
    search = small(machine, "latency", **SIZES).search
    tables, prices, s, checked = search.tables, search.prices, inputs_of(search), 0
    at = HEAD + s * WIDTH + OPEN
    for q, _ in units(search):
        unit = search.work.factors, search.work.tile, search.work.above
        way = 0 if ways_differ(tables, q, s, *unit[:2]) else ANY_WAY
        multicast, gain, _, reach = spatial_gains(tables, prices, q, s, *unit, way)
        if reach == 0.0 or gain <= 1.0:
            continue
        partial, out = np.zeros((2, HEAD + WIDTH * len(tables.relevant)))
        partial[U], partial[at] = 1.0, 60.0
        for most in (math.inf, gain, (1.0 + gain) / 2.0, 1.0, 0.0):
            most_gain = np.where(np.arange(len(tables.relevant)) == s, most, 1.0)
            linked = spatial_step(tables, prices, q, *unit, most_gain, 0, partial, out)
            assert linked == (most > 1.0)
            assert not linked or out[at] == pytest.approx(60.0 / (multicast * min(gain, most)))
            checked += linked
    assert checked > 10


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


def test_orders_do_not_count_where_compute_units_ask_again() -> None:
    """Links right above them also serve where nothing moves, and such moves are not listed."""
    search = small("single_level_array", "latency", **SIZES).search
    assert search.tables.linked_macs
    assert not orders_count(search._bound())
    assert orders_count(search._bound()._replace(space=search.tables._replace(linked_macs=False)))
