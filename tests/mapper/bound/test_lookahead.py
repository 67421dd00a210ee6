from __future__ import annotations

import math

import numpy as np
import pytest

from tests.mapper.tables import small
from tqhw.mapper.branch.incumbent import Clock
from tqhw.mapper.branch.solve import solve


@pytest.mark.parametrize("architecture", ["two_level_array", "eyeriss_like"])
def test_the_table_tells_what_stands_outside_at_least(architecture: str) -> None:
    case = small(architecture, C=4, M=4, P=4, R=3)
    search = case.search
    search._look_ahead(Clock(None))
    table = search.lookahead
    assert table[-1, -1] == 0.0  # nothing stands outside of the outermost loops,
    assert np.isinf(table[-1, :-1]).all()  # which have the whole problem around them
    assert np.isfinite(table[0]).any()
    best = solve(case.space, case.model, "energy")
    finite = table[np.isfinite(table)]
    assert finite.min() <= best.value
    assert min(table[q].min() for q in range(len(table))) < math.inf
    space, prices = search.tables, search.prices
    outputs = space.words[space.output, -1]
    for q in range(len(table) - 1):  # going inwards, more stands outside, less what the outputs' first visits save
        slot = q + 1
        credit = 0.0 if space.spatial[slot] else prices.first_pj[space.level[slot]] * outputs
        assert table[q].min() >= table[slot].min() - credit


def test_a_tile_that_no_level_holds_has_nothing_around_it() -> None:
    case = small("two_level", C=4, M=4)
    search = case.search
    search.prices = search.prices._replace(capacity=np.zeros_like(search.prices.capacity))
    search._look_ahead(Clock(None))
    assert np.isinf(search.lookahead[0]).all()
