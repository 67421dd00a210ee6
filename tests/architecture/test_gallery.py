"""The accelerators of arch/ that people know: a few layers mapped on each, and what precision does there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import tqhw
from tqhw.architecture import available, parameters_of, render
from tqhw.backends import Found, Target
from tqhw.energy import own_components, tables
from tqhw.spec import CONV2D, Problem, load_art, load_ert, make_problem

RECORDED = Path(__file__).parents[1] / "data" / "timeloop_gallery"
SHARED = ("nvdla_like", "output_stationary", "simba_like", "tpu_like")
FOLLOWS = ("bit_fusion_like", "bit_serial")
WORDS = {
    "nvdla_like": "Outputs@DRAM=8",
    "output_stationary": "Outputs@DRAM=8",
    "simba_like": "Outputs=24,Outputs@DRAM=8",
    "tpu_like": "Outputs=32,Outputs@unified_buffer=8,Outputs@DRAM=8",
}
LAYERS = {
    "stem": {"C": 3, "M": 32, "R": 3, "S": 3, "N": 1, "P": 16, "Q": 16, "G": 1, "Wstride": 2, "Hstride": 2},
    "middle": {"C": 64, "M": 64, "R": 3, "S": 3, "N": 1, "P": 8, "Q": 8, "G": 1},
    "depthwise": {"C": 1, "M": 1, "R": 3, "S": 3, "N": 1, "P": 7, "Q": 7, "G": 96},
    "classifier": {"C": 512, "M": 100, "R": 1, "S": 1, "N": 1, "P": 1, "Q": 1, "G": 1},
    "tokens": {"C": 96, "M": 128, "R": 1, "S": 1, "N": 32, "P": 1, "Q": 1, "G": 1},
}


def layer(name: str) -> Problem:
    return make_problem(CONV2D, LAYERS[name], name)


def machine(name: str, bits: int) -> Target:
    if name in FOLLOWS:
        return tqhw.target(name, params={"weight_bits": bits})
    return tqhw.target(name, problem=layer("stem"), word_bits=f"Weights={bits},Inputs=8,{WORDS[name]}")


@cache
def found(name: str, what: str, bits: int, objective: str = "energy") -> Found:
    answer = tqhw.search(machine(name, bits), layer(what), objective=objective, cache=False)
    assert isinstance(answer, Found), answer
    return answer


def test_the_gallery_is_there() -> None:
    assert {*SHARED, *FOLLOWS, "eyeriss_like", "weight_stationary"} == {*available()}


@pytest.mark.parametrize("name", [*SHARED, *FOLLOWS])
def test_its_sources_are_named(name: str) -> None:
    text = Path(parameters_of(name).source).read_text()
    assert "Source" in text.partition("description:")[0]


@pytest.mark.parametrize("name", [*SHARED, *FOLLOWS])
def test_what_timeloop_and_accelergy_were_run_on_is_the_template_of_today(name: str) -> None:
    rendered = render(name, {"weight_bits": 4} if name in FOLLOWS else {})
    assert (RECORDED / "arch" / f"{name}.yaml").read_text() == rendered.text
    found = tables(rendered.architecture, own_components(rendered.components_text, name))
    assert found.ert.energies == load_ert(RECORDED / "ert" / f"{name}.ERT.yaml").energies
    assert found.art.areas == load_art(RECORDED / "ert" / f"{name}.ART.yaml").areas


@pytest.mark.parametrize("what", LAYERS)
@pytest.mark.parametrize("name", [*SHARED, *FOLLOWS])
def test_layers_are_mapped_and_proved_and_narrow_weights_cost_less(name: str, what: str) -> None:
    wide, narrow = found(name, what, 8), found(name, what, 2)
    assert wide.proved_optimal and narrow.proved_optimal
    assert narrow.stats.energy_pj < wide.stats.energy_pj
    outputs = wide.stats.levels[next(n for n in wide.stats.levels if n in ("DRAM", "DRAM_activations"))]
    flow = outputs.dataspaces["Outputs"]
    words = next(layer(what).tensor_words(s) for s in layer(what).shape.data_spaces if s.name == "Outputs")
    assert (flow.reads, flow.updates) == (0, words)  # finished on the chip, out once


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_bits_one_after_the_other_take_as_many_cycles(bits: int) -> None:
    answer = found("bit_serial", "middle", bits, "latency")
    assert answer.stats.computes == bits * layer("middle").computes
    assert answer.stats.cycles == bits * found("bit_serial", "middle", 1, "latency").stats.cycles
    assert answer.stats.utilization == 1.0


@pytest.mark.parametrize(("bits", "products"), [(1, 4), (2, 4), (3, 2), (4, 2), (5, 1), (8, 1)])
def test_bricks_make_as_many_products_as_the_widths_leave(bits: int, products: int) -> None:
    hardware = render("bit_fusion_like", {"weight_bits": bits}).hardware
    assert hardware.compute.instances == 512 * products
    assert hardware.compute.component.attributes["bricks"] * products == 16


def test_both_operands_narrow_in_bricks() -> None:
    hardware = render("bit_fusion_like", {"weight_bits": 2, "activation_bits": 2}).hardware
    assert hardware.compute.instances == 512 * 16


def test_wide_weights_take_steps_of_eight_bits() -> None:
    rendered = render("bit_fusion_like", {"weight_bits": 32})
    assert rendered.digits is not None and rendered.digits.count == 4
    assert rendered.hardware.compute.instances == 512
    dram = next(level for level in rendered.hardware.levels if level.name == "DRAM_weights")
    assert (dram.word_bits, dram.block_size) == (8, 8)  # two weights of four words


def test_dram_weights_are_planes_of_what_is_fetched() -> None:
    for fetch, words in ((2, 32 * 2), (8, 8 * 2), (32, 2 * 2)):
        levels = render("bit_serial", {"weight_bits": 2, "fetch_bits": fetch}).hardware.levels
        dram = next(level for level in levels if level.name == "DRAM_weights")
        assert (dram.word_bits, dram.block_size) == (1, words)


def test_the_chip_is_the_same_one_at_every_precision() -> None:
    for name in FOLLOWS:
        areas = {bits: sum(filter(None, machine(name, bits).areas_um2.values())) for bits in (2, 4, 8)}
        assert max(areas.values()) < 1.1 * min(areas.values())


def test_the_arithmetic_of_a_lane_by_hand() -> None:
    energies = machine("bit_serial", 8).ert.energies
    parts = tqhw.target("weight_stationary", params={"weight_bits": 1, "psum_bits": 32}).ert.energies
    whole = parts["mac"]["compute"]  # 1 x 8 bits and an adder of 32
    adder = (parts["mac"]["compute"] - _multiplier(1)) / 32  # linear in its bits
    assert whole == pytest.approx(_multiplier(1) + 32 * adder)
    assert energies["mac"]["compute"] == pytest.approx(_multiplier(1) + (8 + 4 + 32 / 16) * adder, abs=2e-6)


def _multiplier(bits: int) -> float:
    """pJ of ``bits`` x 8, out of two multiply-accumulates whose adders are alike."""
    energy = {
        b: tqhw.target("weight_stationary", params={"weight_bits": b}).ert.energies["mac"]["compute"] for b in (1, 2)
    }
    return (energy[2] - energy[1]) * bits


def test_digits_reach_every_door_of_python() -> None:
    target = machine("bit_serial", 2)
    problem = target.design.problem(layer("middle"))
    answer = found("bit_serial", "middle", 2)
    assert tqhw.evaluate(target, layer("middle"), answer.mapping) == answer.stats
    assert tqhw.evaluate(target, problem, answer.mapping) == answer.stats
