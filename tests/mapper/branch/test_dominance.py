"""Kernels of this module, called as Python."""

from __future__ import annotations

import numpy as np
import pytest

from tests.mapper.custom import MACHINES, build, problem_of
from tests.mapper.tables import small
from tqhw.engine import build_model
from tqhw.mapper.branch import dominance
from tqhw.mapper.branch.dominance import (
    COST,
    HEAD,
    LEAK,
    MARK,
    UNITS,
    context_dominates,
    forget_newest,
    is_dominated,
    make_contexts,
    with_room,
)
from tqhw.mapper.branch.stack import make_stack
from tqhw.mapper.space.arrays import build_space
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.mapper.space.subspace import whole


def rows(case) -> tuple[np.ndarray, np.ndarray]:
    width = make_contexts(case.search.tables, case.model).rows.shape[1]
    row = np.arange(1.0, width + 1)
    return row, row.copy()


@pytest.mark.parametrize(
    ("field", "change", "dominates"),
    [
        (COST, -2.0, True),  # cheaper by more than rounding can be
        (COST, -0.5, False),
        (MARK, 0.5, False),  # equal costs of other counts
        (UNITS, 1.0, False),
        (LEAK, 1.0, False),
        (HEAD, 1.0, True),  # longer temporal reuse of a data space without a halo
        (HEAD, -0.5, False),
        (HEAD + 1, 1.0, True),  # more multicast
    ],
)
def test_one_context_is_no_worse_than_another(field: int, change: float, dominates: bool) -> None:
    case = small("two_level", C=4, M=4)
    better, row = rows(case)
    assert context_dominates(case.search.tables, better, row, 1.0)
    better[field] += change
    assert context_dominates(case.search.tables, better, row, 1.0) == dominates


def test_contexts_are_kept_until_one_is_dominated_and_can_be_forgotten() -> None:
    case = small("two_level", C=4, M=4)
    tables, prices, out = case.search.tables, case.search.prices, case.search.out
    contexts = make_contexts(tables, case.model)
    stack = make_stack(len(tables.level), len(tables.bounds), 3, room=4)
    q, stack.settled[0] = 0, 10.0
    assert not is_dominated(tables, prices, stack, contexts, q, 0, out)
    assert is_dominated(tables, prices, stack, contexts, q, 0, out)  # the same again
    forget_newest(stack, contexts, q)
    assert contexts.number[0] == 0
    assert not is_dominated(tables, prices, stack, contexts, q, 0, out)
    stack.tile[q] = 1  # another tile has contexts of its own
    assert not is_dominated(tables, prices, stack, contexts, q, 0, out)
    assert contexts.number[0] == 2


def test_room_grows_as_it_is_needed_and_keeps_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dominance, "FIRST_ROOM", 4)
    monkeypatch.setattr(dominance, "ROOM", 16)
    case = small("two_level", C=4, M=4)
    contexts = make_contexts(case.search.tables, case.model)
    contexts.rows[:], contexts.next[:], contexts.number[0] = 7.0, 5, 3
    assert with_room(contexts, 0) is contexts
    for more, room in ((1, 8), (4, 8), (6, 10), (100, 16)):
        grown = with_room(contexts, more)
        assert (len(grown.rows), len(grown.next)) == (room, room)
        assert ((grown.rows[:4] == 7.0).all(), grown.rows[4:].any()) == (True, False)
        assert ((grown.next[:4] == 5).all(), grown.next[4:].any()) == (True, False)
    assert with_room(grown, 100) is grown  # further ones are not kept
    nothing = contexts._replace(rows=contexts.rows[:0])
    assert with_room(nothing, 100) is nothing


@pytest.mark.parametrize(
    ("name", "shape", "room"),
    [
        ("split", "triple", True),
        ("row", "triple", False),
        ("split", "diagonal", False),
        ("split", "transposed", False),
    ],
)
def test_nothing_is_kept_where_contexts_cannot_be_compared(name: str, shape: str, room: bool) -> None:
    hardware, ert = build(MACHINES[name])
    problem = problem_of(shape, (2, 2, 2, 2), (1, 1, 1))
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    contexts = make_contexts(build_space(space, model, whole(space)), model)
    assert (len(contexts.rows) > 0) == room
