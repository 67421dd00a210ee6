"""Kernels of this module, called as Python."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.mapper.tables import Small, small
from tqhw.mapper.bound.outside import FIRST, SETTLED, USED
from tqhw.mapper.branch.expand import arrive, bound_all_orders, bound_order, expand, set_totals
from tqhw.mapper.branch.explore import open_root
from tqhw.mapper.branch.incumbent import Clock
from tqhw.mapper.branch.stack import make_stack
from tqhw.mapper.space.tiles import first_below, next_below, split_tile

SIZES = {"C": 4, "M": 4, "P": 4, "R": 2}


def planted(architecture: str, objective: str = "energy") -> Small:
    """A search at its root, with fronts of all tiles."""
    case = small(architecture, objective, **SIZES)
    case.search.sweep_below(math.inf, Clock(None))
    assert open_root(case.search.tables, case.search.prices, case.search.stack)
    return case


@pytest.mark.parametrize(("architecture", "objective"), [("two_level_array", "energy"), ("eyeriss_like", "edp")])
def test_children_come_in_the_order_of_bounds_that_only_grow_inwards(architecture: str, objective: str) -> None:
    search = planted(architecture, objective).search
    tree, q = search._tree(), len(search.tables.level) - 1
    top = expand(tree, q, math.inf)
    bounds = search.stack.bound[:top]
    assert top > 1
    assert (np.diff(bounds) >= 0).all()
    middle = float(np.median(bounds))
    search.stack = make_stack(len(search.tables.level), len(search.tables.bounds), 3, 1 << 10, search.n_ports)
    assert open_root(search.tables, search.prices, search.stack)
    search.contexts.number[0] = search.contexts.head[:] = 0
    assert expand(search._tree(), q, middle) == (bounds < middle).sum()  # a child at the limit is none


def test_a_stack_without_room_is_told_and_nothing_is_lost() -> None:
    search = planted("two_level_array").search
    search.stack = make_stack(len(search.tables.level), len(search.tables.bounds), 3, room=1)
    assert open_root(search.tables, search.prices, search.stack)
    assert expand(search._tree(), len(search.tables.level) - 1, math.inf) == -1
    assert search.contexts.number[0] == 0  # the node will be seen again


def test_all_orders_at_once_cost_no_more_than_any_order() -> None:
    search = planted("two_level").search
    tables, orders, work, out = search.tables, search.orders, search.work, search.out
    tree, q = search._tree(), len(tables.level) - 1
    t = int(search.stack.tile[q])
    arrive(tree.bound, search.stack, q, out)
    set_totals(search.stack, q, out)
    assert (out.totals[SETTLED], out.totals[FIRST], out.totals[USED]) == (search.stack.settled[q], 1.0, 1.0)
    out.multicast[:] = out.link[:] = 1.0
    compared = 0
    inside = first_below(tables, q, t, search.fronts.rows[q], work.at)
    while inside >= 0:
        mask = split_tile(tables, t, inside, work.tile, work.factors)
        begin = orders.start[q, mask]
        each = [bound_order(tree, q, inside, row, 0) for row in range(begin, begin + orders.rows[q, mask])]
        at_once = bound_all_orders(tree, q, inside, 0)
        assert at_once <= min(each, default=math.inf) * (1 + 1e-12)
        compared += len(each)
        inside = next_below(tables, q, t, search.fronts.rows[q], work.at, inside)
    assert compared > 20
