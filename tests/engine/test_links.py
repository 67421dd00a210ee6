"""Neighbour links by hand: a filter along X, its window in time."""

from __future__ import annotations

import pytest

from tests.engine.machines import batch, energies, hardware, problem
from tests.engine.oracle import Block, Space, Walk
from tqhw.engine import build_model, decode, encode, evaluate, run_batch
from tqhw.engine.kernel import Counts
from tqhw.errors import TqhwError
from tqhw.spec import (
    CONV2D,
    Constraints,
    LoopConstraint,
    Mapping,
    Stats,
    flatten,
    forbid_links,
    make_problem,
    parse_architecture,
    parse_mapping,
    yamlio,
)

INPUTS = Space([[(1, "R"), (1, "P")]])
OUTPUTS = Space([[(1, "P")]], read_write=True)


def counts_of(
    bounds: dict[str, int],
    blocks: list[Block],
    fanout_x: int,
    keep_buffer: bool = True,
    no_links: tuple[str, ...] = (),
) -> Counts:
    forbidden = Constraints(spatial=LoopConstraint(no_links=no_links))
    machine = hardware({}, {"fanoutX": fanout_x, "constraints": forbidden}, {}, mesh=(16, 4))
    model = build_model(problem(bounds, [INPUTS, OUTPUTS]), machine, energies(machine))
    keep = [[keep_buffer, True], [False, False], [True, True]]
    return run_batch(model, batch(list(bounds), [blocks], keep), detail=True)


def test_words_that_slide_past_the_elements_travel_over_links() -> None:
    # R=3 along X, P=6 in time: DRAM sends 3 + 5*1 words, 10 travel over links.
    blocks = [Block(), Block(x=[("R", 3)], fanout_x=4), Block(temporal=[("P", 6)])]
    counts = counts_of({"R": 3, "P": 6}, blocks, 4)
    assert counts.reads[0, :, 0].tolist() == [9, 0, 8]  # round(6 + 10/3)
    assert counts.fills[0, :, 0].tolist() == [6, 0, 0]  # trunc(8/3 + 10/3)


@pytest.mark.parametrize("no_links", [("D0",), ("D1", "D0"), ("*",)])
def test_words_that_neighbours_may_not_hand_on_come_from_outside(no_links: tuple[str, ...]) -> None:
    # The same mapping: DRAM sends 3 words 6 times, nothing else moves.
    blocks = [Block(), Block(x=[("R", 3)], fanout_x=4), Block(temporal=[("P", 6)])]
    counts = counts_of({"R": 3, "P": 6}, blocks, 4, no_links=no_links)
    assert counts.reads[0, :, 0].tolist() == [6, 0, 18]
    assert counts.fills[0, :, 0].tolist() == [6, 0, 0]


def test_links_of_another_data_space_may_be_forbidden() -> None:
    blocks = [Block(), Block(x=[("R", 3)], fanout_x=4), Block(temporal=[("P", 6)])]
    free, cut = (counts_of({"R": 3, "P": 6}, blocks, 4, no_links=names) for names in ((), ("D1",)))
    assert cut.reads.tolist() == free.reads.tolist()


def test_right_above_the_compute_units_words_that_do_not_move_come_from_outside_too() -> None:
    # M=3 along X hand the one word of D0 around, N=4 times; without links it is asked for every time.
    blocks = [Block(x=[("M", 3)], fanout_x=4), Block(temporal=[("N", 4)])]
    layer = problem({"M": 3, "N": 4, "K": 1}, [Space([[(1, "K")]]), Space([[(1, "M")], [(1, "N")]], read_write=True)])
    reads = []
    for names in ((), ("D0",)):
        forbidden = Constraints(spatial=LoopConstraint(no_links=names))
        machine = hardware({"fanoutX": 4, "constraints": forbidden}, {}, mesh=(4, 1))
        found = batch([*layer.bounds], [blocks], [[False, False], [True, True]])
        model = build_model(layer, machine, energies(machine))
        reads.append(int(run_batch(model, found, detail=True).reads[0, 1, 0]))
    assert reads == [1, 4]


LAYER = make_problem(CONV2D, {**dict.fromkeys("CMSNQG", 1), "R": 3, "P": 6})
ARRAY = """
architecture:
  version: 0.4
  nodes:
  - !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}}
  - !Container {name: PE, spatial: {meshX: 3}, constraints: {spatial: {no_link_transfer: [Weights]}}}
  - !Component {name: spad, class: SRAM, attributes: {datawidth: 8}}
  - !Component {name: mac, class: compute}
"""
SLIDING = """
- {target: PE, type: spatial, factors: [R=3]NO_LINKS}
- {target: DRAM, type: temporal, factors: [P=6]}
"""


def sliding(no_links: str = "") -> Mapping:
    return parse_mapping(yamlio.parse(SLIDING.replace("NO_LINKS", no_links)))


def test_a_mapping_forbids_links_beside_those_of_the_architecture() -> None:
    machine = flatten(parse_architecture(yamlio.parse(ARRAY), "array"))
    reads = {}
    for text in ("", ", no_link_transfer: [Inputs]", ", no_link_transfer: ['*']"):
        found = evaluate(LAYER, machine, energies(machine), sliding(text))
        assert isinstance(found, Stats)
        reads[text] = found.levels["DRAM"].dataspaces["Inputs"].reads
    assert [*reads.values()] == [8, 18, 18]


def test_links_that_only_a_mapping_forbids_are_not_passed_over_in_a_batch() -> None:
    machine = flatten(parse_architecture(yamlio.parse(ARRAY), "array"))
    encode(LAYER, machine, [sliding(", no_link_transfer: [Weights]")])
    with pytest.raises(
        TqhwError, match=r"forbids links of Inputs below inter_PE_spatial, which the model has .*links\("
    ):
        encode(LAYER, machine, [sliding(", no_link_transfer: [Inputs]")])


def test_a_mapping_that_is_decoded_says_what_links_it_was_counted_without() -> None:
    machine = flatten(parse_architecture(yamlio.parse(ARRAY), "array"))
    machine = forbid_links(machine, sliding(", no_link_transfer: [Inputs]"))
    found = encode(LAYER, machine, [sliding()])
    part = decode(LAYER, machine, found, 0).level("inter_PE_spatial").spatial
    assert part is not None
    assert part.no_links == ("Weights", "Inputs")


@pytest.mark.parametrize("where", ["mapping", "architecture"])
def test_links_of_a_data_space_that_there_is_not_are_refused(where: str) -> None:
    text = ARRAY.replace("[Weights]", "[Wieghts]") if where == "architecture" else ARRAY
    machine = flatten(parse_architecture(yamlio.parse(text, "array.yaml"), "array.yaml"))
    with pytest.raises(TqhwError, match=r"unknown data space 'Wieghts' \(did you mean 'Weights'"):
        own = ", no_link_transfer: [Wieghts]" if where == "mapping" else ""
        evaluate(LAYER, machine, energies(machine), sliding(own))


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
