"""The template arch/eyeriss_like: what it renders at every weight width, and how its levels follow from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tqhw.architecture import parameters_of, render
from tqhw.errors import TqhwError
from tqhw.spec import Level

WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 16, 32)
DATA = Path(__file__).parent / "data"


def levels(**params: Any) -> dict[str, Level]:
    return {level.name: level for level in render("eyeriss_like", params).hardware.levels}


def attributes(component: str, **params: Any) -> dict[str, Any]:
    return dict(render("eyeriss_like", params).architecture.component(component).attributes)


@pytest.mark.parametrize("bits", WIDTHS)
def test_every_weight_width_gives_its_own_words_and_whole_rows(bits: int) -> None:
    found = levels(weight_bits=bits)
    assert list(found) == [
        "psum_spad",
        "weights_spad",
        "ifmap_spad",
        "inter_PE_spatial",
        "inter_PE_column_spatial",
        "psum_glb",
        "act_glb",
        "DRAM_activations",
        "DRAM_weights",
    ]
    assert (found["DRAM_weights"].word_bits, found["DRAM_weights"].block_size) == (bits, 64 // bits)
    assert (found["weights_spad"].word_bits, found["weights_spad"].size) == (bits, 384)
    assert attributes("mac", weight_bits=bits)["a_bits"] == bits
    # Nothing but the weights' memories and the multiplier depends on the weights.
    others = {name: level for name, level in found.items() if name not in ("DRAM_weights", "weights_spad")}
    assert others == {name: level for name, level in levels().items() if name in others}


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("row", ["narrow", "fixed"])
def test_the_weight_buffer_and_both_kinds_of_scratchpad_rows_hold_whole_words(bits: int, row: str) -> None:
    found = levels(weight_bits=bits, weights_through_glb=True, weights_spad_row=row)
    assert (found["weights_glb"].block_size, found["weights_glb"].size) == (64 // bits, 8192 * (64 // bits))
    words = 2 if row == "narrow" else max(16, bits) // bits
    assert (found["weights_spad"].block_size, found["weights_spad"].size) == (words, 192 * words)


@pytest.mark.parametrize("bits", [2, 6, 8])
def test_levels_equal_the_reference_where_the_parameters_coincide(bits: int) -> None:
    # The reference has no memory for partial sums of its own; act_glb and the rest are as here.
    reference = yaml.safe_load((DATA / f"eyeriss_split_w{bits}a8.levels.yaml").read_text())
    found = levels(
        weight_bits=bits, weights_through_glb=True, weights_spad_row="fixed", glb_rows=24576, psum_glb_rows=8192
    )
    assert [name for name in found if name != "psum_glb"] == [entry["name"] for entry in reference["levels"]]
    for entry in reference["levels"]:
        level = found[entry["name"]]
        bandwidths = ("read_bandwidth", "write_bandwidth", "shared_bandwidth")
        for key, value in entry.items():
            if not key.endswith("_energy") and key not in bandwidths:
                assert getattr(level, key) == value, (entry["name"], key)


def test_fetched_bits_reach_only_the_dram() -> None:
    found = levels(weight_bits=2, fetch_bits=8, weights_through_glb=True)
    assert [found[name].word_bits for name in ("DRAM_weights", "weights_glb", "weights_spad")] == [8, 2, 2]


def test_the_baselines_fp32_weights_can_be_fetched() -> None:
    assert levels(weight_bits=2, fetch_bits=32)["DRAM_weights"].block_size == 2
    found = levels(weight_bits=32, activation_bits=32)
    assert {level.word_bits for level in found.values() if level.kind == "storage"} == {32}


def test_a_fixed_multiplier_does_not_narrow() -> None:
    assert attributes("mac", weight_bits=2, multiplier="fixed")["a_bits"] == 8
    assert attributes("mac", weight_bits=2, multiplier="fixed", multiplier_bits=4)["a_bits"] == 4


def test_psums_in_dram_widen_the_outputs_and_free_the_loop_order() -> None:
    kept, spilled = levels(), levels(psums_in_dram=True)
    assert kept["DRAM_activations"].constraints.keep == ("Inputs", "Outputs")
    assert kept["DRAM_activations"].constraints.temporal.permutation == ("R", "S", "C")
    assert spilled["DRAM_activations"].constraints.keep == ("Inputs",)
    assert spilled["DRAM_outputs"].word_bits == 16
    assert spilled["DRAM_outputs"].constraints.temporal.permutation == ()


def test_only_the_last_part_of_a_memory_carries_loops() -> None:
    found = levels(weights_through_glb=True, psums_in_dram=True)
    for name in ("DRAM_weights", "DRAM_activations", "weights_glb", "act_glb"):
        assert set(found[name].constraints.temporal.factors.values()) == {1}
        assert set(found[name].constraints.temporal.factors) == set("CMRSNPQG")
    for name in ("DRAM_outputs", "psum_glb"):
        assert found[name].constraints.temporal.factors == {}


def test_a_split_buffer_splits_the_capacity_but_not_the_cost() -> None:
    found = render("eyeriss_like", {"psum_glb_rows": 4096})
    act, psum = (found.architecture.component(name) for name in ("act_glb", "psum_glb"))
    assert (act.attributes["depth"], psum.attributes["depth"]) == (12288, 4096)
    assert {(c.attributes["rows"], c.attributes["row_bits"], c.attributes["banks"]) for c in (act, psum)} == {
        (16384, 64, 32)
    }
    assert (act.area_scale, psum.area_scale) == (0.75, 0.25)


@pytest.mark.parametrize(
    ("params", "component", "attribute", "value"),
    [
        ({"psum_bits": 24}, "psum_glb", "block_size", 2),
        ({"psum_bits": 24}, "mac", "acc_bits", 24),
        ({"activation_bits": 4}, "act_glb", "datawidth", 4),
        ({"activation_bits": 4}, "mac", "b_bits", 4),
        ({"dram_type": "HBM2"}, "DRAM_weights", "type", "HBM2"),
        ({"dram_row_bits": 128}, "DRAM_activations", "width", 128),
        ({"dram_bandwidth": 96}, "DRAM_weights", "shared_bandwidth", 12),
        ({"glb_row_bits": 128}, "act_glb", "row_bits", 128),
        ({"glb_banks": 16}, "psum_glb", "banks", 16),
        ({"glb_bandwidth": 64}, "psum_glb", "read_bandwidth", 4),
        ({"weights_through_glb": True, "weights_glb_rows": 1024}, "weights_glb", "depth", 1024),
        ({"weights_through_glb": True, "weights_glb_banks": 4}, "weights_glb", "banks", 4),
        ({"ifmap_spad_rows": 24}, "ifmap_spad", "rows", 24),
        ({"ifmap_spad_words": 4}, "ifmap_spad", "width", 32),
        ({"weights_spad_rows": 224}, "weights_spad", "depth", 224),
        ({"weights_spad_words": 4}, "weights_spad", "width", 32),
        ({"weights_spad_row": "fixed", "weights_spad_row_bits": 20}, "weights_spad", "block_size", 2),
        ({"psum_spad_rows": 24}, "psum_spad", "depth", 24),
        ({"spad_bandwidth": 4}, "ifmap_spad", "write_bandwidth", 4),
    ],
)
def test_every_parameter_reaches_what_it_names(
    params: dict[str, Any], component: str, attribute: str, value: Any
) -> None:
    assert attributes(component, **params)[attribute] == value
    assert attributes(component, **params) != attributes(component, weights_through_glb="weights_through_glb" in params)


def test_the_array_has_the_rows_and_columns_asked_for() -> None:
    found = levels(pe_columns=7, pe_rows=5)
    assert (found["inter_PE_column_spatial"].fanoutX, found["inter_PE_spatial"].fanoutY) == (7, 5)
    assert found["weights_spad"].instances == 35


def test_the_spad_model_is_the_class_of_every_scratchpad() -> None:
    for model in ("smartbuffer_rf", "register_file", "sram"):
        components = render("eyeriss_like", {"spad_model": model}).architecture.components()
        assert {c.subclass for c in components if c.name.endswith("_spad")} == {f"spad_{model}"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"weight_bits": "9"},
            r"weight_bits: 9 is not one of the values \(allowed: 1, 2, 3, 4, 5, 6, 7, 8, 16, 32 bits",
        ),
        ({"weight_bits": "0"}, r"weight_bits: 0 is not one of the values"),
        ({"fetch_bits": "4"}, r"DRAM must deliver at least the bits that are used: weight_bits = 8, fetch_bits = 4"),
        (
            {"psum_bits": "4"},
            r"a partial sum cannot be narrower than an activation: activation_bits = 8, psum_bits = 4",
        ),
        (
            {"glb_rows": "64", "psum_glb_rows": "64"},
            r"the partial sums leave no row .*glb_rows = 64, psum_glb_rows = 64",
        ),
        ({"multiplier": "fixed", "multiplier_bits": "4"}, r"the weights do not fit the multiplier: weight_bits = 8"),
        ({"weights_spad_row": "fixed", "weights_spad_row_bits": "4"}, r"a weight does not fit a row of the weight"),
        ({"weights_glb_rows": "64"}, r"weights_glb_rows is given, but nothing reads it unless weights_through_glb"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(params: dict[str, str], message: str) -> None:
    with pytest.raises(TqhwError, match=message):
        render("eyeriss_like", params)


def test_the_named_groups_are_the_three_of_the_reports() -> None:
    assert set(parameters_of("eyeriss_like").groups.values()) == {"DRAM", "GLB", "MAC & spad"}
