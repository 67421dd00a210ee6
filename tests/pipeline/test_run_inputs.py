"""Runs of networks that read more than one picture, or that have no numbers yet."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tqhw.experiment import Experiment
from tqhw.pipeline.accuracy import network
from tqhw.quant import quantized_layers
from tqhw.run import run

ASKED: dict[str, Any] = {
    "model": {"name": "tests.pipeline.tiny:asked", "input": {"ids": "int64[1,4]", "mask": "bool[1,4]"}},
    "bits": [2],
    "methods": ["truncquant"],
    "quantization": {"norms": "shared", "first": None},
    "spad_models": ["smartbuffer_rf"],
}


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_is_said_of_the_layers_is_on_the_screen_and_in_the_results(
    device: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = {**ASKED["model"], "options": {"device": device}, "skip": ["fc2"]}
    with caplog.at_level(logging.WARNING, "tqhw"):
        results = run(Experiment.model_validate({**ASKED, "model": model}), tmp_path / "out")
    notes = [
        "computed once, of constants, and no layer: side, 8.6 % of the multiply-accumulates; the input does not reach "
        "it (made inside, or turned to NumPy); give it as an input of the model",
        "left out by --skip, with its multiply-accumulates: fc2 (128)",
    ]
    assert [row.name for row in results.layers] == ["fc1"]
    assert [note for note in notes if note in results.notes and note in caplog.text] == notes
    page = (tmp_path / "out" / "report.html").read_text()
    assert all(note in page for note in notes)
    summary = json.loads((tmp_path / "out" / "problems" / "summary.json").read_text())
    assert summary["notes"] == notes
    assert (summary["folded"], summary["folded_macs"]) == (["side"], [24])
    assert summary["skipped"] == [{"name": "fc2", "macs": 128}]
    assert summary["input"] == ["ids:int64[1,4]", "mask:bool[1,4]"]


def test_the_first_layer_is_the_first_that_runs() -> None:
    """``fc1`` is registered first and runs second, ``side`` is registered last and runs first."""
    experiment = Experiment.model_validate({**ASKED, "quantization": {"norms": "shared"}})
    assert [layer.name for layer in quantized_layers(network(experiment))] == ["fc1"]


def test_the_traffic_of_a_kv_cache_is_a_row_of_its_own() -> None:
    """Eight tokens of sixteen words before, one word of key and value for each of eight numbers written."""
    model = {"name": "tests.pipeline.tiny:writing", "input": {"ids": "int64[1,8]"}}
    found = {}
    for phase in ("prefill", "decode"):
        experiment = Experiment.model_validate(
            {**ASKED, "model": {**model, "phase": phase}, "states": ["steady"], "quantization": {"norms": "shared"}}
        )
        results = run(experiment)
        found[phase] = {row.dataspace: row.dram_bits for row in results.traffic}
        assert any(note.startswith("KV cache: ") for note in results.notes)
    written, stored = 8 * 16 * 8, 9 * 16 * 8  # words of eight bits
    assert found["prefill"]["KV cache"] == written
    assert found["decode"]["KV cache"] == stored + 16 * 8
    assert all(bits >= 0 for row in found.values() for bits in row.values())


def test_an_embedding_that_is_quantized_is_stored_as_codes() -> None:
    """20 rows of 8 numbers, of which the codes take 8 or 4 bits in the place of 32; no product reads them."""
    parts = {}
    for asked, layers in (("no", {}), ("with the model", {"words": None}), ("at four bits", {"words": 4})):
        quantization = {**ASKED["quantization"], "layers": layers}
        results = run(Experiment.model_validate({**ASKED, "quantization": quantization}))
        (row,) = results.storage
        parts[asked] = row.parts
        assert [layer.name for layer in results.layers] == ["fc1", "fc2"]
    plain = parts["no"]
    assert parts["with the model"]["codes"] == pytest.approx(plain["codes"] + 160 * 8 / 8e6)
    assert parts["with the model"]["unquantized"] == pytest.approx(plain["unquantized"] - 160 * 32 / 8e6)
    assert parts["at four bits"]["unquantized"] == pytest.approx(plain["unquantized"] - 160 * 28 / 8e6)
