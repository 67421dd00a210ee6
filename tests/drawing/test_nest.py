"""What a picture of a mapping says: loops in their order, tiles, and how full levels are."""

from __future__ import annotations

from functools import cache
from xml.etree import ElementTree

import tqhw
from tqhw.backends import Found, Target
from tqhw.drawing import NestLoop, loop_nest, nest_svg, nest_text
from tqhw.spec import CONV2D, make_problem, parse_mapping, yamlio

LAYER = make_problem(CONV2D, {"C": 8, "M": 16, "R": 3, "S": 3, "N": 1, "P": 4, "Q": 4, "G": 1}, "la<yer")


@cache
def found() -> tuple[Target, Found]:
    machine = tqhw.target("weight_stationary")
    answer = tqhw.search(machine, LAYER, cache=False)
    assert isinstance(answer, Found)
    return machine, answer


def test_loops_multiply_to_the_bounds_and_stand_where_the_mapping_has_them() -> None:
    machine, answer = found()
    nest = loop_nest(answer.mapping, answer.stats, machine.hardware)
    turns: dict[str, int] = {}
    for loop in (loop for level in nest.levels for loop in level.loops):
        turns[loop.dimension] = turns.get(loop.dimension, 1) * loop.factor
    assert turns == {name: bound for name, bound in LAYER.bounds.items() if bound > 1}
    parallel = {level.name: [loop.axis for loop in level.loops] for level in nest.levels if level.loops}
    assert set(parallel["PE_column"]) <= {"X"} and set(parallel["PE"]) <= {"Y"}


def test_the_innermost_loop_of_a_permutation_comes_last() -> None:
    text = """
mapping:
- {target: DRAM, type: temporal, factors: C2 M4, permutation: CM}
- {target: inter_PE_spatial, type: spatial, factors: C4 M4, permutation: MC, split: 1}
"""
    _, answer = found()
    nest = loop_nest(parse_mapping(yamlio.parse(text)), answer.stats)
    assert {level.name: level.loops for level in nest.levels if level.loops} == {
        "DRAM": (NestLoop("M", 4), NestLoop("C", 2)),
        "PE": (NestLoop("C", 4, "Y"), NestLoop("M", 4, "X")),
    }


def test_tiles_are_the_statistics_and_shares_are_of_the_capacity() -> None:
    machine, answer = found()
    nest = loop_nest(answer.mapping, answer.stats, machine.hardware)
    sizes = {level.name: level.effective_size for level in machine.hardware.levels}
    tiles = {(level.name, tile.data_space): tile for level in nest.levels for tile in level.tiles}
    for (name, space), tile in tiles.items():
        assert tile.words == answer.stats.levels[name].dataspaces[space].tile_words
        assert tile.share == (None if sizes[name] is None else tile.words / sizes[name])
    assert tiles["DRAM_weights", "Weights"].share is None
    assert tiles["weight_buffer", "Weights"].share == 16 * 8 * 9 / (4096 * 16)


def test_shares_of_packed_rows_are_rows() -> None:
    machine = tqhw.target("simba_like", problem=LAYER, word_bits="Weights=3,Outputs=24,Outputs@DRAM=8")
    answer = tqhw.search(machine, LAYER, cache=False)
    assert isinstance(answer, Found)
    nest = loop_nest(answer.mapping, answer.stats, machine.hardware)
    (tile,) = next(level.tiles for level in nest.levels if level.name == "weight_buffer")
    assert tile.share == -(-tile.words // 21) / 512


def test_the_text_goes_further_in_with_every_loop() -> None:
    machine, answer = found()
    nest = loop_nest(answer.mapping, answer.stats, machine.hardware, "la<yer on weight_stationary")
    lines = nest_text(nest).splitlines()
    assert lines[0] == "la<yer on weight_stationary"
    assert lines[1].startswith(f"{answer.stats.cycles:,} cycles") and "utilization" in lines[1]
    loops = [line for line in lines if line.lstrip().startswith(("for ", "parallel "))]
    assert [len(line) - len(line.lstrip()) for line in loops] == [2 * number for number in range(len(loops))]
    assert lines[-1].strip().startswith("mac (")


def test_the_picture_is_well_formed_and_escaped() -> None:
    machine, answer = found()
    svg = nest_svg(loop_nest(answer.mapping, answer.stats, machine.hardware, "la<yer"))
    ElementTree.fromstring(svg)
    assert "la&lt;yer" in svg and "la<yer" not in svg


def test_notebooks_show_pictures() -> None:
    machine, answer = found()
    assert ElementTree.fromstring(machine._repr_html_()).attrib["aria-label"] == "Architecture weight_stationary"
    assert ElementTree.fromstring(answer._repr_html_()).attrib["aria-label"].startswith("Mapping")
    assert "accumulator" in machine._repr_html_() and "weight_reg" in answer._repr_html_()
