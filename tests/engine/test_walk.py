"""The words a level fetches: worked examples of the reference, by hand, and the first quirks of the walk."""

from __future__ import annotations

import pytest

from tests.engine.machines import batch, energies, hardware, problem
from tests.engine.oracle import Block, Space, minus, size
from tqhw.engine import build_model, run_batch

WINDOW = [Space([[(1, "R"), (1, "P")]]), Space([[(1, "P")]], read_write=True)]


def inputs_read(outer: list[tuple[str, int]], inner: list[tuple[str, int]], stride: int = 1, dilation: int = 1) -> int:
    """Words of Inputs[stride*P + dilation*R] that the outer level sends to a buffer with the inner loops."""
    spaces = [Space([[(dilation, "R"), (stride, "P")]]), WINDOW[1]]
    blocks = [Block(temporal=inner), Block(temporal=outer)]
    bounds = dict.fromkeys("RPM", 1)
    for d, b in (*inner, *outer):
        bounds[d] *= b
    machine = hardware({}, {})
    model = build_model(problem(bounds, spaces), machine, energies(machine))
    return int(run_batch(model, batch(list("RPM"), [blocks], [[True] * 2] * 2), detail=True).reads[0, 1, 0])


@pytest.mark.parametrize(
    ("outer", "inner", "stride", "words", "why"),
    [
        ([("R", 3), ("P", 4)], [], 1, 9, "3 + 3*(0 + 2): from (p0, r1) to (p1, r0) is the same word"),
        ([("P", 4), ("R", 3)], [], 1, 10, "4 + 2*(0 + 3)"),
        ([("P", 6)], [("R", 3), ("P", 2)], 1, 14, "4 + 5*2"),
        ([("P", 6), ("M", 4)], [("R", 3), ("P", 2)], 1, 56, "the jump back is another move: the whole tile, 4*14"),
        ([("P", 2), ("M", 4)], [("R", 3), ("P", 2)], 1, 24, "4*(4 + 2)"),
        ([("M", 4), ("P", 6)], [("R", 3), ("P", 2)], 1, 14, "a loop that moves nothing, inside the window, is free"),
        ([("P", 6)], [("R", 2)], 3, 12, "tiles of 2 words, 3 apart, never overlap"),
    ],
)
def test_fetched_words_by_hand(
    outer: list[tuple[str, int]], inner: list[tuple[str, int]], stride: int, words: int, why: str
) -> None:
    assert inputs_read(outer, inner, stride) == words, why


def test_a_dilated_tile_counts_its_holes() -> None:
    # R=3 at dilation 2 spans 5 words; 5 + 3*1 as P moves by one.
    assert inputs_read([("P", 4)], [("R", 3)], dilation=2) == 8


def test_the_oracle_cuts_boxes_into_disjoint_slices() -> None:
    a = ((0, 0), (3, 3))
    assert minus(a, a) == ()
    assert minus(a, ((4, 0), (7, 3))) == (a,)
    slices = minus(a, ((1, 2), (5, 5)))
    assert slices == (((0, 0), (0, 3)), ((1, 0), (3, 1)))
    assert size(slices) == 16 - 6


def test_a_window_of_two_steps_is_fetched_whole_when_it_starts_again() -> None:
    # A buffer of one tile would keep 2 of the 4 words on the way back: 6 + 3*(2 + 2) = 18.
    assert inputs_read([("P", 2), ("M", 4)], [("R", 3), ("P", 2)]) == 24
