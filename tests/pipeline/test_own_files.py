"""A run on Timeloop's own files: templates, includes and expressions instead of a template of arch/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("torch")

from tests.backends.cases import OneWidth
from tqhw.backends.reference.verify import read_run, verify
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.experiment.schema import ArchitectureOptions
from tqhw.results import Results
from tqhw.run import run
from tqhw.spec import ART, dump_art, load_architecture, load_art, load_ert, load_mapping

TOP = """\
variables: {version: 0.4, technology: "45nm", global_cycle_seconds: 1e-9, WORD: 8}
architecture:
  version: 0.4
  nodes:
  - !Container
    name: system
  - !Parallel
    nodes:
    {% set one = [('all', '[Weights, Inputs, Outputs]')] %}
    {% set two = [('weights', '[Weights]'), ('activations', '[Inputs, Outputs]')] %}
    {% for name, keep in (one if shared is defined else two) %}
    - !Component
      name: DRAM_{{ name }}
      class: DRAM
      attributes: {type: "LPDDR4", width: 64, datawidth: WORD}
      constraints: {dataspace: {keep: {{ keep }}}}
    {% endfor %}
  - !Component
    name: buffer
    class: smartbuffer_SRAM
    attributes:
      depth: 2 ** 12
      width: 64
      n_banks: {{ banks | default(2) }}
      datawidth: WORD
  - !Container
    name: PE
    spatial: {meshX: 4}
  - !Component
    name: spad
    class: smartbuffer_RF
    attributes: {<<: &rf {depth: 64, width: 16}, datawidth: WORD}
  - !Component
    name: mac
    class: intmac
    attributes: {multiplier_width: WORD, adder_width: 16}
mapspace_constraints:
  targets: {{ include('constraints.yaml', 'targets') }}
"""
CONSTRAINTS = "targets: [{target: buffer, type: dataspace, keep: [Weights]}]\n"


def experiment(folder: Path, **more: Any) -> Experiment:
    (folder / "chip").mkdir()
    (folder / "chip/top.yaml.jinja2").write_text(TOP)
    (folder / "chip/constraints.yaml").write_text(CONSTRAINTS)
    given = {"files": [str(folder / "chip/top.yaml.jinja2")], "data": {"banks": 4}, **more}
    return Experiment.model_validate(
        {
            "name": "own",
            "model": {"name": "tests.pipeline.tiny:net", "input": [1, 1, 8, 8]},
            "bits": [8, 2],
            "methods": ["truncquant", "fixed"],
            "architecture": given,
        }
    )


def energy(results: Results, method: str, bits: int) -> float:
    rows = [row for row in results.energy if (row.method, row.bits, row.state) == (method, bits, "steady")]
    return sum(row.energy_mj for row in rows)


def test_a_run(tmp_path: Path) -> None:
    results = run(experiment(tmp_path), tmp_path / "out")
    written = json.loads((tmp_path / "out/results.json").read_text())
    assert written["experiment"]["architecture"]["data"] == {"banks": 4}
    assert {row.method for row in results.energy} == {"truncquant", "fixed"}
    architecture = load_architecture(next((tmp_path / "out/hardware").rglob("architecture.yaml")))  # written clean
    buffer = architecture.component("buffer")
    assert (buffer.attributes["depth"], buffer.attributes["n_banks"]) == (4096, 4)
    assert buffer.constraints.keep == ("Weights",)


def test_files_of_one_width_run_at_every_precision(tmp_path: Path) -> None:
    results = run(experiment(tmp_path), tmp_path / "out")
    assert energy(results, "truncquant", 2) < energy(results, "truncquant", 8)
    assert energy(results, "fixed", 8) == energy(results, "truncquant", 8)
    words = yaml.safe_load((tmp_path / "out/hardware/default/fetch2_weights2/words.yaml").read_text())
    drams = {"Weights@DRAM_weights": 2, "Weights@DRAM_activations": 2}
    assert words == {"word_bits": {"Weights": 2, **drams}, "packing": "pack"}
    found = verify(read_run(tmp_path / "out"), OneWidth())
    assert (found.differences, found.notes) == ((), ())
    assert found.mappings >= 4
    assert found.values > 50 * found.mappings


def test_a_dram_for_all_data_spaces(tmp_path: Path) -> None:
    """Weights move at their own bits out of a memory that they share."""
    results = run(experiment(tmp_path, data={"shared": True}))
    weights = {
        row.bits: row.dram_bits
        for row in results.traffic
        if (row.method, row.state, row.dataspace) == ("truncquant", "steady", "Weights")
    }
    assert weights[2] < weights[8]
    assert energy(results, "truncquant", 2) < energy(results, "truncquant", 8)


def test_word_bits_reach_the_hardware(tmp_path: Path) -> None:
    plain = experiment(tmp_path)
    narrow = plain.model_copy(update={"word_bits": {"Inputs": 4, "Outputs@buffer": 16}})
    first, second = run(plain), run(narrow)
    assert energy(second, "truncquant", 8) != energy(first, "truncquant", 8)
    assert narrow.model_dump(mode="json")["word_bits"] == {"Inputs": 4, "Outputs@buffer": 16}


@pytest.mark.parametrize("multiplier", ["match", "fixed"])
def test_the_multiplier(tmp_path: Path, multiplier: str) -> None:
    results = run(experiment(tmp_path, multiplier=multiplier), tmp_path / "out")
    by_bits = {
        bits: load_ert(tmp_path / f"out/hardware/default/fetch{bits}_weights{bits}/ERT.yaml").energy_pj(
            "mac", "compute"
        )
        for bits in (8, 2)
    }
    assert (by_bits[2] < by_bits[8]) == (multiplier == "match")
    assert results.energy


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("own", {"word_bits": {"Weights": 2}}, "the words of Weights are as wide as the precision"),
        ("own", {"word_bits": {"Wieghts": 2}}, "unknown data space 'Wieghts'"),
        (
            "own",
            {"word_bits": {"Inputs": 99}},
            "a word of 99 bits of Inputs is wider than the 16 bits of a row",
        ),
        ("eyeriss_like", {"word_bits": {"Inputs": 4}}, "the words of eyeriss_like have the widths of its parameters"),
    ],
)
def test_widths_that_cannot_be(tmp_path: Path, name: str, change: dict[str, Any], message: str) -> None:
    given = experiment(tmp_path)
    if name != "own":
        given = given.model_copy(update={"architecture": ArchitectureOptions(name=name)})
    with pytest.raises(TqhwError) as error:
        run(given.model_copy(update=change))
    assert message in str(error.value)


def test_an_area_that_the_table_does_not_say_is_told(tmp_path: Path) -> None:
    chosen = experiment(tmp_path)
    whole = run(chosen, tmp_path / "whole")
    folder = tmp_path / "whole" / whole.layers[0].evaluations[0].files
    areas = load_art(folder / "ART.yaml")
    del (known := {**areas.areas})["spad"]
    (tmp_path / "ART.yaml").write_text(dump_art(ART(known)))
    energies = {"source": "file", "ert": str(folder / "ERT.yaml"), "art": str(tmp_path / "ART.yaml")}
    found = run(Experiment.model_validate({**chosen.model_dump(mode="json"), "energy": energies}))
    assert {row.component: row.area_um2 is None for row in found.area} == {
        row.component: row.component == "spad" for row in whole.area
    }
    assert found.notes[-1] == "the area of spad is not known: no ART says it"
    assert not any("is not known" in note for note in whole.notes)


def test_the_key_is_not_written_where_it_says_nothing() -> None:
    assert Experiment().model_dump(mode="json")["architecture"] == {"name": "eyeriss_like", "params": {}}


def test_parameters_belong_to_templates(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match="a rendered architecture takes no parameters, found pe_rows"):
        run(experiment(tmp_path, params={"pe_rows": 8}), tmp_path / "out")


def test_constraints_that_need_sizes_hold_for_every_layer(tmp_path: Path) -> None:
    """As many channels side by side as a layer has, up to the four columns."""
    given = experiment(tmp_path)
    text = CONSTRAINTS.replace("targets: [", "targets: [{target: PE, type: spatial, maximize_dims: [[C]]}, ")
    (tmp_path / "chip/constraints.yaml").write_text(text)
    results = run(given, tmp_path / "out")
    place = tmp_path / "out/hardware/default/fetch8_weights8"
    columns = {}
    for path in sorted((place / "mappings").glob("*.yaml")):
        spatial = load_mapping(path).level("inter_PE_spatial").spatial
        assert spatial is not None
        columns[path.stem.partition("_")[2]] = spatial.factors["C"]
    assert columns == {"conv2": 4}
    assert any("maximize_dims" in note for note in results.notes)
    load_architecture(place / "architecture.yaml")
    assert verify(read_run(tmp_path / "out"), OneWidth()).differences == ()


def test_expressions_see_every_layers_problem(tmp_path: Path) -> None:
    """A split, and as many channels side by side as the layer has up to four."""
    given = experiment(tmp_path)
    top = tmp_path / "chip/top.yaml.jinja2"
    channels = "factors_only:\n        - (('C=' + str(min(4, spec.problem.instance.C))))"
    spatial = f"    constraints:\n      spatial:\n        split: len(spec.problem.instance)\n        {channels}\n"
    top.write_text(TOP.replace("    spatial: {meshX: 4}\n", "    spatial: {meshX: 4}\n" + spatial))
    results = run(given, tmp_path / "out")
    place = tmp_path / "out/hardware/default/fetch8_weights8"
    columns = {}
    for path in sorted((place / "mappings").glob("*.yaml")):
        loops = load_mapping(path).level("inter_PE_spatial").spatial
        assert loops is not None
        columns[path.stem.partition("_")[2]] = loops.factors["C"]
    assert columns == {"conv2": 4}
    assert any("hold for each" in note for note in results.notes)
    assert verify(read_run(tmp_path / "out"), OneWidth()).differences == ()


def test_one_machine_runs_all_layers(tmp_path: Path) -> None:
    given = experiment(tmp_path)
    top = tmp_path / "chip/top.yaml.jinja2"
    top.write_text(TOP.replace("depth: 2 ** 12", "depth: 256 * spec.problem.instance.C"))
    with pytest.raises(
        TqhwError, match=r"architecture.files: 'buffer' is another one for layer \w+ than for the first"
    ):
        run(given)
