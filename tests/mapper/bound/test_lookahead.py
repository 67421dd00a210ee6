from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.mapper.tables import small
from tqhw.mapper.bound.lookahead import look_from
from tqhw.mapper.bound.outlook import look_out, make_outlook
from tqhw.mapper.branch.bypass_search import BypassSearch
from tqhw.mapper.branch.incumbent import Clock
from tqhw.mapper.branch.solve import solve
from tqhw.mapper.branch.sweeps import look_ahead


@pytest.mark.parametrize("architecture", ["two_level_array", "eyeriss_like"])
def test_the_table_tells_what_stands_outside_at_least(architecture: str) -> None:
    case = small(architecture, C=4, M=4, P=4, R=3)
    search = case.search
    (table,) = look_ahead(search._bound(), Clock(None))  # of one cost
    assert table[-1, -1, 0] == 0.0  # nothing stands outside of the outermost loops,
    assert np.isfinite(table[-1]).sum() == 1  # which have the whole problem around them
    assert np.isfinite(table[0]).any()
    best = solve(case.space, case.model, "energy")
    finite = table[np.isfinite(table)]
    assert finite.min() <= best.value
    assert min(table[q].min() for q in range(len(table))) < math.inf
    space, prices = search.tables, search.prices
    outputs = space.words[space.output, -1]
    for q in range(len(table) - 1):  # going inwards, more stands outside, less what the outputs' first visits save
        slot = q + 1
        credit = 0.0 if space.spatial[slot] else prices.first_pj[0, space.level[slot]] * outputs
        assert table[q].min() >= table[slot].min() - credit


@pytest.mark.parametrize("architecture", ["two_level_array", "eyeriss_like_free", "simba_like"])
def test_dimension_by_dimension_is_pair_by_pair(architecture: str) -> None:
    """One way to hand costs inwards is as good as the other, where loops may stand in any order."""
    search = small(architecture, C=4, M=4, P=4, R=3, N=2).search
    quick = look_ahead(search._bound(), Clock(None))
    search.orders = search.orders._replace(free=search.orders.free & search.tables.spatial)
    assert (quick == look_ahead(search._bound(), Clock(None))).all()


@pytest.mark.parametrize("architecture", ["two_level_array", "eyeriss_like_free"])
def test_a_kind_reuses_what_its_loops_are_irrelevant_to(architecture: str) -> None:
    """By hand: outside of the innermost tile, M reuses inputs, P weights and C outputs, and nothing else."""
    space, _, search = small(architecture, C=4, M=2, P=8)
    tables, look = search.tables, make_outlook(search.tables.n_kinds, 3)
    dims, names = space.problem.shape.dimensions, space.problem.shape.data_space_names
    last = len(tables.level) - 1  # no units outside
    look_out(tables, last, 0, np.ones(len(dims), np.int64), look)
    for dimension, reused, times in (("M", "Inputs", 2), ("P", "Weights", 8), ("C", "Outputs", 4)):
        kind = tables.kind[dims.index(dimension)]
        for s, name in enumerate(names):
            assert look.fill[kind, s] == look.open[kind, s] == (1 / times if name == reused else 1.0)
    assert tables.kind[dims.index("N")] == 0  # of bound 1


def test_a_tile_that_no_level_holds_has_nothing_around_it() -> None:
    case = small("two_level", C=4, M=4)
    search = case.search
    search.prices = search.prices._replace(capacity=np.zeros_like(search.prices.capacity))
    assert np.isinf(look_ahead(search._bound(), Clock(None))[0, 0]).all()


@pytest.mark.parametrize("free", [True, False])
def test_what_stands_outside_is_of_every_port_its_own(free: bool) -> None:
    search = small("weight_stationary", "latency", C=4, M=4, P=4, R=3).search
    if not free:
        search.orders = search.orders._replace(free=search.orders.free & search.tables.spatial)
    cut_pj = np.arange(float(search.n_ports))  # of every port another
    search.port_prices = search.port_prices._replace(cut_pj=cut_pj)
    together, *alone = (
        search._bound()._replace(**of_ports(search, some)) for some in (None, *([j] for j in range(search.n_ports)))
    )
    tables = [look_ahead(bound, Clock(None)) for bound in (together, *alone)]
    assert len(tables[0]) == search.n_ports > 1
    assert (tables[0] == np.concatenate(tables[1:])).all()
    assert (tables[1] != tables[2]).any()
    together, *alone = (
        bound._replace(lookahead=table) for bound, table in zip((together, *alone), tables, strict=True)
    )
    for q, t in np.argwhere(np.isfinite(tables[1][0]).any(axis=2)).tolist():
        assert look_from(together, q, t) == max(look_from(one, q, t) for one in alone)


def of_ports(search: BypassSearch, ports: Sequence[int] | None = None) -> dict[str, Any]:
    """What bounds of these ports are made of, or of all."""
    prices, ports = search.port_prices, range(search.n_ports) if ports is None else ports
    own = {name: getattr(prices, name)[list(ports)] for name in ("parent_pj", "fill_pj", "first_pj", "cut_pj")}
    return {"prices": prices._replace(**own), "work": search._scratch(1, len(ports))}
