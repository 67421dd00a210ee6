"""Bits of activations, and of single layers, reach the hardware as the quantized model says them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tests.cli.files import ARCH
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.results import Results
from tqhw.run import run
from tqhw.spec import flatten, load_architecture

TINY: dict[str, Any] = {
    "model": {"name": "tests.pipeline.tiny:net", "input": [1, 1, 8, 8]},
    "bits": [2, 8],
    "methods": ["truncquant"],
    "spad_models": ["sram"],
}


def ran(out: Path | None = None, **changes: Any) -> Results:
    return run(Experiment.model_validate({**TINY, **changes}), out)


def quantized(**more: Any) -> dict[str, Any]:
    return {"first": None, "activations": "pact", **more}


def by_width(results: Results, name: str) -> dict[int, Any]:
    (layer,) = (layer for layer in results.layers if layer.name == name)
    return {e.weight_bits: e for e in layer.evaluations}


def test_bits_of_their_own_narrow_the_words_of_the_layers_that_have_them(tmp_path: Path) -> None:
    four = ran(tmp_path, quantization=quantized(activation_bits=4))
    eight = ran(quantization=quantized(activation_bits=8))
    plain = ran(quantization={"first": None})
    for bits in (2, 8):
        one, other = by_width(four, "conv2")[bits], by_width(eight, "conv2")[bits]
        assert one.dram_bits["Inputs"] < 0.6 * other.dram_bits["Inputs"]
        assert one.dram_bits["Weights"] == other.dram_bits["Weights"]
        assert one.energy_pj < other.energy_pj
        assert one.files.endswith(f"fetch{bits}_weights{bits}_activations4")
        assert other.energy_pj == by_width(plain, "conv2")[bits].energy_pj, "the template's 8 bits, too"
        design = flatten(load_architecture(tmp_path / one.files / "architecture.yaml"))
        words = {level.name: level.word_bits for level in design.levels}
        assert (words["DRAM_activations"], words["DRAM_weights"], words["act_glb"]) == (4, bits, 4)
    # The classifier is kept in floating point, and so is what it reads.
    assert by_width(four, "fc")[32].files.endswith("fetch32_weights32")
    assert by_width(four, "fc")[32] == by_width(plain, "fc")[32]
    (note,) = (note for note in four.notes if note.startswith("activations"))
    assert note == (
        "activations, in and out of a layer, by the quantized model: 4 bits in conv2; "
        "real numbers, on the hardware of the architecture's 8 bits, in conv1, fc"
    )
    assert not [note for note in plain.notes if note.startswith("activations")]


def test_bits_that_follow_the_weights_do_so_at_every_precision() -> None:
    follow = ran(quantization=quantized(activation_bits=None))
    two = ran(quantization=quantized(activation_bits=2))
    eight = ran(quantization=quantized(activation_bits=8))
    assert by_width(follow, "conv2")[2] == by_width(two, "conv2")[2]
    assert by_width(follow, "conv2")[8].energy_pj == by_width(eight, "conv2")[8].energy_pj
    assert "bits of the weights in conv2" in " ".join(follow.notes)


def test_bits_of_single_layers_reach_the_hardware_with_both_operands() -> None:
    found = ran(quantization=quantized(layers={"conv2": 4}, activation_bits=None))
    assert set(by_width(found, "conv1")) == {2, 8}
    assert {bits: e.files.rsplit("/", 1)[1] for bits, e in by_width(found, "conv2").items()} == {
        4: "fetch4_weights4_activations4"
    }


def test_files_of_ones_own_have_words_of_these_bits(tmp_path: Path) -> None:
    own = {"architecture": {"name": str(ARCH)}, "word_bits": {"Inputs": 8, "Outputs": 8}, "bits": [2]}
    four = ran(tmp_path / "four", quantization=quantized(last=None, activation_bits=4), **own)
    eight = ran(quantization=quantized(last=None, activation_bits=8), **own)
    assert by_width(four, "conv2")[2].dram_bits["Inputs"] < by_width(eight, "conv2")[2].dram_bits["Inputs"]
    assert by_width(four, "conv2")[2].dram_bits["Outputs"] == by_width(eight, "conv2")[2].dram_bits["Outputs"]
    words = (tmp_path / "four" / by_width(four, "conv2")[2].files / "words.yaml").read_text()
    assert "Inputs: 4" in words and "Outputs: 8" in words


def test_a_template_that_has_no_such_parameter_is_refused(tmp_path: Path) -> None:
    from tests.cli.test_app import ROOT

    folder = tmp_path / "mine"
    folder.mkdir()
    for file in (ROOT / "arch" / "eyeriss_like").iterdir():
        text = file.read_text().replace("activation_bits", "reading_bits")
        (folder / file.name).write_text(text)
    with pytest.raises(
        TqhwError, match=r"quantization.activations: the quantized model has activations of 4 bits, for"
    ):
        ran(quantization=quantized(activation_bits=4), architecture={"name": str(folder)})
    assert ran(quantization={"first": None}, architecture={"name": str(folder)}).layers
