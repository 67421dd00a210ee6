"""An experiment on an accelerator of the gallery: a name is enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tqhw import engine
from tqhw.architecture import available, parameters_of
from tqhw.backends.reference.verify import read_run
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.results import Results
from tqhw.run import run
from tqhw.spec import Stats


def experiment(name: str, **more: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "gallery",
            "model": {"name": "tests.pipeline.tiny:net", "input": [1, 1, 8, 8]},
            "bits": [2, 8],
            "methods": ["truncquant", "fixed"],
            "spad_models": ["sram"],
            "architecture": {"name": name},
            **more,
        }
    )


def total(found: Results, bits: int, method: str = "truncquant") -> float:
    return sum(row["energy_mj"] for row in found.rows("energy", method=method, bits=bits, state="steady"))


@pytest.mark.parametrize("name", available())
def test_a_name_is_enough(name: str) -> None:
    found = run(experiment(name))
    assert 0 < total(found, 2) < total(found, 8)
    assert all(e.proved_optimal for row in found.layers for e in row.evaluations)
    assert {row.component for row in found.area} <= {*parameters_of(name).groups}
    flows = {(row.bits, row.dataspace): row.dram_bits for row in found.traffic if row.state == "steady"}
    assert flows[2, "Outputs"] == flows[8, "Outputs"]  # finished, as activations of 8 bits


def test_bits_of_weights_are_a_dimension_of_the_problems(tmp_path: Path) -> None:
    chosen = experiment("bit_serial", scenario={"layout": "packed", "residency": "never"}, quantization={"first": None})
    found = run(chosen, tmp_path)
    written = {
        (one.target.design.name, where): (problem, one.target, mapping)
        for one in read_run(tmp_path).architectures
        for where, problem, mapping in one.evaluations
    }
    assert {problem.bounds["B"] for problem, _, _ in written.values()} >= {2, 8}
    cycles = {}
    for (_, where), (problem, target, mapping) in written.items():
        again = engine.evaluate(problem, target.hardware, target.ert, mapping)
        assert isinstance(again, Stats)
        cycles[where] = again.cycles
    reported = sorted(e.cycles for row in found.layers for e in row.evaluations)
    assert sorted(cycles.values()) == reported
    macs = {row.name: row.macs for row in found.layers}
    assert all(
        problem.computes == problem.bounds["B"] * macs[_name(where, macs)]
        for (_, where), (problem, _, _) in written.items()
    )
    # Narrowed on the chip, 8 bits cross the DRAM's interface; truncation is counted by weights, not by bits.
    assert (
        found.rows("traffic", method="truncquant", bits=2, state="steady", dataspace="Weights")[0]["dram_bits"]
        == (found.rows("traffic", method="truncquant", bits=8, state="steady", dataspace="Weights")[0]["dram_bits"])
    )
    (quantizer,) = found.rows("energy", method="truncquant", bits=2, state="steady", component="Quantizer")
    eyeriss = run(
        experiment("eyeriss_like", scenario={"layout": "packed", "residency": "never"}, quantization={"first": None})
    )
    (other,) = eyeriss.rows("energy", method="truncquant", bits=2, state="steady", component="Quantizer")
    assert 0.5 < quantizer["energy_mj"] / other["energy_mj"] < 2


def _name(where: str, names: dict[str, int]) -> str:
    return next(name for name in names if where.endswith(f"_{name}"))


def test_words_of_an_experiment_go_before_those_of_the_template() -> None:
    narrow = run(experiment("simba_like", word_bits={"Outputs@DRAM": 4}))
    usual = run(experiment("simba_like"))
    rows = [one.rows("traffic", method="fixed", state="steady", dataspace="Outputs")[0] for one in (narrow, usual)]
    assert rows[0]["dram_bits"] < rows[1]["dram_bits"]


def test_an_unknown_name_has_a_nearest_one() -> None:
    with pytest.raises(TqhwError, match=r"unknown architecture 'simba_lik' \(did you mean 'simba_like'"):
        run(experiment("simba_lik"))
