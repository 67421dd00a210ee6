"""Training, measuring and exporting from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.test_cli import refused, tqhw
from tqhw.quant import load

RECIPE = """\
method: truncquant
bits: [2, 8]
model: {name: 'tests.pipeline.tiny:net'}
data: {name: digits}
quantization: {first: null}
training: {epochs: 1, threads: 1}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    (folder / "recipe.yaml").write_text(RECIPE)
    found = tqhw("train", folder / "recipe.yaml", "--out", folder / "out")
    assert found.exit_code == 0, found.output
    assert "Trained at [2, 8] bits" in found.stdout
    return folder / "out"


def test_it_does_not_train_over_a_checkpoint(trained: Path) -> None:
    before = (trained / "checkpoint.safetensors").read_bytes()
    recipe = trained.parent / "recipe.yaml"
    assert "holds a checkpoint already (add --resume" in refused("train", recipe, "--out", trained)
    assert tqhw("train", recipe, "--out", trained, "--resume").exit_code == 0
    assert (trained / "checkpoint.safetensors").read_bytes() == before


def test_settings_go_over_the_recipe(trained: Path, tmp_path: Path) -> None:
    recipe = trained.parent / "recipe.yaml"
    assert tqhw("train", recipe, "--out", tmp_path, "--set", "training.epochs=2").exit_code == 0
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    message = refused("train", recipe, "--out", tmp_path / "b", "--set", "training.epoch=2")
    assert "unknown key 'epoch' (did you mean 'epochs'?" in message


def test_accuracies_are_verified(trained: Path, tmp_path: Path) -> None:
    found = tqhw("eval", trained, "--json", "-")
    rows = json.loads(found.stdout)["accuracy"]
    assert {(row["bits"], row["weights"]) for row in rows} == {
        (bits, weights) for bits in (2, 8) for weights in ("shifted", "requantized")
    }
    assert all(row["verified"] for row in rows if row["weights"] == "shifted")
    shown = tqhw("eval", trained, "--bits", "1-2,8", "--json", tmp_path / "a.json")
    assert "TruncQuant-Trunc" in shown.stdout
    measured = json.loads((tmp_path / "a.json").read_text())["accuracy"]
    assert {row["bits"] for row in measured} == {1, 2, 8}


def test_several_checkpoints_give_mean_and_deviation(trained: Path, tmp_path: Path) -> None:
    other = tqhw("train", trained.parent / "recipe.yaml", "--out", tmp_path, "--set", "training.seed=1")
    assert other.exit_code == 0
    shown = tqhw("eval", trained, tmp_path, "--json", tmp_path / "a.json").stdout
    assert shown.count("±") == 4
    assert len(json.loads((tmp_path / "a.json").read_text())["accuracy"]) == 8


def test_bad_bits_are_refused(trained: Path) -> None:
    assert "--bits: 'two' is neither a number nor a range" in refused("eval", trained, "--bits", "two")
    assert "9" in refused("eval", trained, "--bits", "9")
    assert "no such file" in refused("eval", trained / "nowhere")


def test_the_exported_model_is_one_file_for_all_precisions(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.tqhw"
    found = tqhw("export", trained, "--out", path)
    assert found.exit_code == 0
    assert f"{path.stat().st_size:,} bytes" in found.stdout
    assert load(path, bits=2).bytes_read < load(path, bits=8).bytes_read
