"""Commands of training take experiments: what one trains, another joins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.cli.test_app import refused, tqhw

EXPERIMENT = """\
name: small
model: {name: 'tests.pipeline.tiny:net'}
data: {name: digits}
bits: [2, 32]
quantization: {first: null}
"""
TRAINING = "training: {schemes: [truncquant, fp32], seeds: 2, epochs: 1, threads: 1}\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    (folder / "train.yaml").write_text(EXPERIMENT + TRAINING)
    found = tqhw("train", folder / "train.yaml", "--out", folder / "runs")
    assert found.exit_code == 0, found.output
    assert "Trained at [2, 8, 32] bits" in found.stdout and "hint" not in found.output
    (folder / "join.yaml").write_text(f"{EXPERIMENT}training: {{from: [{folder / 'runs'}]}}\n")
    return folder


def test_every_method_and_seed_has_a_folder(runs: Path) -> None:
    found = sorted(path.parent.relative_to(runs / "runs") for path in runs.glob("runs/**/checkpoint.safetensors"))
    assert [str(path) for path in found] == [f"{m}/seed{s}" for m in ("fp32", "truncquant") for s in (0, 1)]
    assert "holds a checkpoint already" in refused("train", runs / "train.yaml", "--out", runs / "runs")


def test_eval_takes_the_experiment_that_joins_them(runs: Path) -> None:
    found = tqhw("eval", runs / "join.yaml", "--json", runs / "a.json")
    assert found.exit_code == 0, found.output
    assert "FP32" in found.stdout and "TruncQuant, truncated" in found.stdout
    rows = json.loads((runs / "a.json").read_text())["accuracy"]
    kinds = {(row["method"], row["bits"], row["weights"]) for row in rows}
    quantized = {("truncquant", 2, "shifted"), ("truncquant", 2, "requantized"), ("truncquant", 32, "requantized")}
    assert kinds == {*quantized, ("fp32", 32, "full")}
    assert {row["seed"] for row in rows} == {0, 1}


def test_a_table_has_the_experiments_own_methods_and_seeds(runs: Path) -> None:
    found = tqhw("table", runs / "train.yaml", "--out", runs / "runs")
    assert found.exit_code == 0, found.output
    assert "epoch" not in found.stderr, "all of it is trained"
    assert "FP32" in found.stdout and "±" in found.stdout


def test_export_needs_one_network(runs: Path) -> None:
    message = refused("export", runs / "join.yaml", "--out", runs / "m.tqhw")
    assert "4 checkpoints are named: " in message and "one file holds one network" in message
    one = runs / "one.yaml"
    one.write_text(f"{EXPERIMENT}training: {{from: [{runs / 'runs' / 'truncquant' / 'seed0'}]}}\n")
    found = tqhw("export", one, "--out", runs / "m.tqhw")
    assert found.exit_code == 0, found.output
    assert (runs / "m.tqhw").exists()
    assert "the model is not quantized" in refused(
        "export", runs / "runs" / "fp32" / "seed0", "--out", runs / "x", *MODEL
    )


MODEL = ("--model", "tests.pipeline.tiny:net")


def test_an_experiment_that_names_no_checkpoints_is_refused(runs: Path) -> None:
    message = refused("eval", runs / "train.yaml")
    assert "train.yaml: training.from: does not say where its networks are (name the folders that" in message
    assert "stands beside 1 more" in refused("eval", runs / "join.yaml", runs / "runs")
    assert "training.from: names what is trained already" in refused("train", runs / "join.yaml", "--out", runs / "b")


def test_what_is_written_as_before_is_told_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(
        "method: truncquant\nbits: [8]\nmodel: {name: 'tests.pipeline.tiny:net'}\ndata: {name: digits}\n"
        "training: {epochs: 1, threads: 1}\n"
    )
    found = tqhw("train", tmp_path / "old.yaml", "--out", tmp_path / "out")
    assert found.exit_code == 0, found.output
    assert found.stdout.splitlines()[-1] == f"hint: {tmp_path}/old.yaml:1: method: is written as training.schemes today"
