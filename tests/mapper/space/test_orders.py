from __future__ import annotations

import pytest

from tests.mapper.places import conv, machine
from tests.mapper.tables import small
from tqhw.engine import build_model
from tqhw.mapper.space.mapspace import build_mapspace, loop_orders
from tqhw.mapper.space.orders import _signature, distinct_orders, relevances


@pytest.mark.parametrize(
    "sizes", [{"C": 4, "M": 4, "P": 4}, {"C": 2, "M": 2, "P": 4, "R": 3}, {"P": 4, "Q": 4, "R": 3, "S": 3}]
)
def test_every_order_left_out_is_matched_by_one_that_is_kept(sizes: dict[str, int]) -> None:
    """Same sequences for data spaces with a halo, and no shorter temporal reuse for the others."""
    hardware, ert = machine("two_level")
    problem = conv(**sizes)
    spaces = relevances(build_model(problem, hardware, ert))
    present = frozenset(problem.shape.dimensions.index(d) for d in sizes)
    slot = build_mapspace(problem, hardware).slots[-1]
    kept = distinct_orders(slot, present, spaces)
    signatures = [_signature(order, spaces) for order in kept]
    for order in loop_orders(slot, present):
        sequences, reuse = _signature(order, spaces)
        assert any(
            sequences == others and all(a >= b for a, b in zip(longer, reuse, strict=True))
            for others, longer in signatures
        )
    assert len(set(signatures)) == len(kept) <= len(list(loop_orders(slot, present)))


def test_the_table_lists_the_orders_of_every_set_of_loops() -> None:
    space, model, search = small("two_level_array", C=4, M=4, P=4)
    orders, spaces = search.orders, relevances(model)
    for q, slot in enumerate(space.slots):
        if slot.spatial:
            continue
        for mask in range(2 ** len(model.bounds)):
            present = frozenset(d for d in range(len(model.bounds)) if mask >> d & 1)
            if any(slot.factors[d][-1] == 1 for d in present):
                assert orders.rows[q, mask] == 0
                continue
            rows = orders.order[orders.start[q, mask] :][: orders.rows[q, mask]]
            assert [tuple(d for d in row if d >= 0) for row in rows.tolist()] == distinct_orders(slot, present, spaces)
            innermost = {row[0] for row in rows.tolist() if present}
            assert orders.inner[q, mask] == (sum(1 << d for d in innermost) if present else 1)


def test_loops_that_may_be_missing_in_the_last_pass_part_classes() -> None:
    """By hand: C moves weights and inputs, M weights and outputs, P inputs and outputs."""
    hardware, ert = machine("two_level")
    problem = conv(C=4, M=4, P=4)
    spaces = relevances(build_model(problem, hardware, ert))
    c, m, p = (problem.shape.dimensions.index(d) for d in "CMP")
    slot = build_mapspace(problem, hardware).slots[-1]
    present = frozenset({c, m, p})
    assert distinct_orders(slot, present, spaces) == [(c, m, p), (m, c, p), (p, c, m)]
    # Without C, the first loop is M, which reuses inputs, or P, which reuses weights. The others are as before.
    assert distinct_orders(slot, present, spaces, frozenset({c})) == [(c, m, p), (c, p, m), (m, c, p), (p, c, m)]
    assert len(distinct_orders(slot, present, spaces, present)) == 6


def test_the_innermost_loop_counts_where_it_may_have_a_remainder() -> None:
    """P and Q move the same data spaces, so that their order is none; but Timeloop counts the inner one's words."""
    hardware, ert = machine("two_level")
    problem = conv(P=4, Q=4, Wstride=2, Hstride=2)
    spaces = relevances(build_model(problem, hardware, ert))
    p, q = (problem.shape.dimensions.index(d) for d in "PQ")
    slot, present = build_mapspace(problem, hardware).slots[-1], frozenset({p, q})
    assert distinct_orders(slot, present, spaces) == [(p, q)]
    assert distinct_orders(slot, present, spaces, frozenset({q})) == [(p, q), (q, p)]
