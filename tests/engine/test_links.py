"""Neighbour links by hand: a filter along X, its window in time."""

from __future__ import annotations

from tests.engine.machines import batch, energies, hardware, problem
from tests.engine.oracle import Block, Space, Walk
from tqhw.engine import build_model, run_batch
from tqhw.engine.kernel import Counts

INPUTS = Space([[(1, "R"), (1, "P")]])
OUTPUTS = Space([[(1, "P")]], read_write=True)


def counts_of(bounds: dict[str, int], blocks: list[Block], fanout_x: int, keep_buffer: bool = True) -> Counts:
    machine = hardware({}, {"fanoutX": fanout_x}, {}, mesh=(16, 4))
    model = build_model(problem(bounds, [INPUTS, OUTPUTS]), machine, energies(machine))
    keep = [[keep_buffer, True], [False, False], [True, True]]
    return run_batch(model, batch(list(bounds), [blocks], keep), detail=True)


def test_words_that_slide_past_the_elements_travel_over_links() -> None:
    # R=3 along X, P=6 in time: DRAM sends 3 + 5*1 words, 10 travel over links.
    blocks = [Block(), Block(x=[("R", 3)], fanout_x=4), Block(temporal=[("P", 6)])]
    counts = counts_of({"R": 3, "P": 6}, blocks, 4)
    assert counts.reads[0, :, 0].tolist() == [9, 0, 8]  # round(6 + 10/3)
    assert counts.fills[0, :, 0].tolist() == [6, 0, 0]  # trunc(8/3 + 10/3)


def test_links_above_a_bypassed_level_are_lost() -> None:
    blocks = [Block(), Block(x=[("R", 3)], fanout_x=4), Block(temporal=[("P", 6)])]
    counts = counts_of({"R": 3, "P": 6}, blocks, 4, keep_buffer=False)
    assert counts.reads[0, 2, 0] == 18  # one word per compute
    assert counts.fills[0, :, 0].tolist() == [0, 0, 0]


def test_elements_stand_in_mapped_order_on_the_mesh_that_exists() -> None:
    # 2 (X, P) x 3 (Y, R) elements: on rows of 4, the fifth stands below the first and gets its words from it.
    blocks = [Block(), Block(x=[("P", 2)], y=[("R", 3)], fanout_x=4), Block(temporal=[("P", 4)])]
    narrow = [blocks[0], Block(x=[("P", 2)], y=[("R", 3)], fanout_x=2), blocks[2]]
    wide_reads = counts_of({"R": 3, "P": 8}, blocks, 4).reads[0, :, 0].tolist()
    narrow_reads = counts_of({"R": 3, "P": 8}, narrow, 2).reads[0, :, 0].tolist()
    spaces = [INPUTS, OUTPUTS]
    assert wide_reads[2] == sum(Walk(blocks, spaces).count[1, 0].values())
    assert narrow_reads[2] == sum(Walk(narrow, spaces).count[1, 0].values())
    assert wide_reads != narrow_reads
