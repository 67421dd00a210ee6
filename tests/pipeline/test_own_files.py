"""A run on Timeloop's own files: templates, includes and expressions instead of a template of arch/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tqhw.backends import backend
from tqhw.backends.reference.verify import read_run
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.pipeline.hardware import ONE_WIDTH
from tqhw.run import run

TOP = """\
variables: {version: 0.4, technology: "45nm", global_cycle_seconds: 1e-9, WORD: 8}
architecture:
  version: 0.4
  nodes:
  - !Container
    name: system
  - !Parallel
    nodes:
    {% for name, keep in [('weights', '[Weights]'), ('activations', '[Inputs, Outputs]')] %}
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


def test_a_run(tmp_path: Path) -> None:
    results = run(experiment(tmp_path), tmp_path / "out")
    written = json.loads((tmp_path / "out/results.json").read_text())
    assert written["experiment"]["architecture"]["data"] == {"banks": 4}
    assert ONE_WIDTH in (tmp_path / "out/results.json").read_text()
    assert {row.method for row in results.energy} == {"truncquant", "fixed"}
    run_again = read_run(tmp_path / "out")  # what verify derives again: the files are written clean
    buffer = run_again.architectures[0].target.design.architecture.component("buffer")
    assert (buffer.attributes["depth"], buffer.attributes["n_banks"]) == (4096, 4)
    assert buffer.constraints.keep == ("Weights",)
    for one in run_again.architectures:
        for name, problem, mapping in one.evaluations:
            assert backend("embedded").evaluate(problem, one.target, mapping).valid, name


def test_the_key_is_not_written_where_it_says_nothing() -> None:
    assert Experiment().model_dump(mode="json")["architecture"] == {"name": "eyeriss_like", "params": {}}


def test_parameters_belong_to_templates(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match="a rendered architecture takes no parameters, found pe_rows"):
        run(experiment(tmp_path, params={"pe_rows": 8}), tmp_path / "out")
