"""What a picture of an architecture says, read off its text and its SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tqhw.architecture import available, render
from tqhw.drawing import Chart, FanOut, LevelBox, chart, chart_svg, chart_text
from tqhw.spec import flatten, parse_architecture, yamlio
from tqhw.spec.word_bits import apply_word_bits, parse_word_bits

OWN = """
architecture:
  version: 0.4
  nodes:
  - !Component {name: outer, class: DRAM, attributes: {width: 64, datawidth: 8}}
  - !Component
    name: buffer
    class: SRAM
    attributes: {width: 32, datawidth: 16, depth: 1, multiple_buffering: 2, read_bandwidth: 2}
    constraints: {dataspace: {keep: [A], bypass: [Z]}}
  - !Container {name: lane, spatial: {meshX: 3, meshY: 2}}
  - !Component {name: mac, class: compute, attributes: {width: 8, tag_bits: "a<b>&"}}
"""


BUFFER = "1 row of 32 bits, 4 B, 2 words of 16 bits a row, buffered 2 times, words a cycle: read 2"


def own() -> Chart:
    return chart(flatten(parse_architecture(yamlio.parse(OWN), "own", "own<&>")))


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)  # well formed, or this raises
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_sizes_widths_fan_outs_and_who_keeps_what() -> None:
    lines = [re.split(r"  +", line.strip()) for line in chart_text(own()).splitlines()]
    assert lines == [
        ["own<&>"],
        ["outer", "x 1", "rows of 64 bits, 8 words of 8 bits a row", "keeps (A), (Z)"],
        ["buffer", "x 1", BUFFER, "keeps A"],
        ["lane: 3 along X, 2 along Y"],
        ["mac", "x 6", "width: 8, tag_bits: a<b>&"],
    ]


def test_levels_stand_in_the_frames_of_their_fan_outs() -> None:
    found = own()
    assert [row if isinstance(row, FanOut) else [box.name for box in row] for row in found.rows] == [
        ["outer"],
        ["buffer"],
        FanOut("lane", 3, 2),
        ["mac"],
    ]
    box = found.rows[1][0]
    assert (box.keeps, box.may_keep) == (("A",), ())


def test_names_are_escaped_and_every_text_is_inside() -> None:
    svg = chart_svg(own())
    assert {"tag_bits: a<b>&", "own<&>"} <= {*texts(svg)} and "<b>" not in svg
    assert {"lane: 3 along X, 2 along Y", "mac  x 6", "A", "Z"} <= {*texts(svg)}


@pytest.mark.parametrize("name", available())
def test_every_shipped_architecture_is_drawn(name: str) -> None:
    rendered = render(name)
    svg = rendered._repr_html_()
    root = ElementTree.fromstring(svg)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        box = {key: float(rect.attrib.get(key, 0)) for key in ("x", "y", "width", "height")}
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert box["y"] >= 0 and box["y"] + box["height"] <= height
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        assert float(text.attrib["x"]) + 7 * len(text.text or "") <= width
    names = {level.node for level in rendered.hardware.levels} | {rendered.hardware.compute.name}
    told = "\n".join(texts(svg))
    assert all(name in told for name in names)


def test_the_same_architecture_gives_the_same_bytes_and_asks_for_nothing_from_outside() -> None:
    svg = render("eyeriss_like")._repr_html_()
    assert svg == render("eyeriss_like")._repr_html_()
    assert "prefers-color-scheme:dark" in svg
    assert svg.count("http") == 1  # the name of the format


def test_parts_of_a_parallel_stand_side_by_side() -> None:
    rendered = render("eyeriss_like")
    rows = chart(rendered.hardware, rendered.architecture).rows
    assert [[box.name for box in row] for row in rows if not isinstance(row, FanOut)] == [
        ["DRAM_weights", "DRAM_activations"],
        ["act_glb", "psum_glb"],
        ["ifmap_spad", "weights_spad", "psum_spad"],
        ["mac"],
    ]


def test_words_of_several_widths_are_said_by_data_space() -> None:
    hardware = apply_word_bits(
        render("simba_like").hardware, parse_word_bits("Weights=3,Outputs=24"), ("Weights", "Inputs", "Outputs")
    )
    boxes = {box.name: box for row in chart(hardware).rows if not isinstance(row, FanOut) for box in row}
    assert "Weights: 21 words of 3 bits a row" in boxes["weight_buffer"].facts
    assert boxes["global_buffer"].facts[1:] == (
        "Inputs: 32 words of 8 bits a row",
        "Outputs: 10 words of 24 bits a row",
    )


def test_a_name_longer_than_any_box_makes_the_picture_wider() -> None:
    short = Chart("x", ((LevelBox("m", "c", 1, ()),),), ())
    long = Chart("x", ((LevelBox("m" * 200, "c", 1, ()),),), ())
    widths = [float(ElementTree.fromstring(chart_svg(one)).attrib["width"]) for one in (short, long)]
    assert widths[1] > 200 * 7 > widths[0]
