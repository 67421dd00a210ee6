"""Every data set that is trained on can stand in an experiment; the paper's on an archive of its true form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np

from tests.cli.test_app import ROOT
from tests.datasets.test_cifar10 import packed, python_folder
from tqhw import experiment
from tqhw.experiment import Experiment
from tqhw.pipeline.accuracy import model_input
from tqhw.run import default_experiment, run

NET = "tests.pipeline.test_any_data:net"
SMALL: dict[str, Any] = {
    "bits": [2],
    "methods": ["truncquant"],
    "spad_models": ["sram"],
    "quantization": {"first": None},
}
TRAINING = {"epochs": 1, "batch_size": 16, "threads": 1}


def net(channels: int = 3) -> Any:
    from torch import nn

    first = nn.Sequential(nn.Conv2d(channels, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
    return nn.Sequential(first, nn.Flatten(), nn.Linear(16, 10))


net.__annotations__["return"] = "nn.Module"


@pytest.mark.slow
def test_the_papers_experiment_is_one_command(tmp_path: Path) -> None:
    settings = [
        f"data.path={packed(python_folder(tmp_path))}",
        *("data.check=false", "training.device=cpu", "training.arithmetic=float32", "training.epochs=1"),
        *("training.batch_size=10", "training.seeds=2", "bits=[1,8,32]", "spad_models=[sram]", "methods=[truncquant]"),
        *("states=[steady]", f"model.name={NET}", "quantization.first=null", "scenario.inferences_per_switch=[1]"),
    ]
    chosen = experiment.load(ROOT / "experiments" / "paper_cifar10.yaml", settings)
    found = run(chosen, trust=True)
    rows = {(row.scheme, row.bits, row.weights): row for row in found.accuracy}
    shifted = {(scheme, bits, "shifted") for scheme in ("truncquant", "dorefa") for bits in (1, 8)}
    anew = {(scheme, bits, "requantized") for scheme in ("truncquant", "dorefa") for bits in (1, 8, 32)}
    assert set(rows) == shifted | anew | {("fp32", 32, "full")}
    assert all(row.runs == 2 and row.samples == 4 and row.low is not None for row in rows.values())
    assert rows["truncquant", 1, "shifted"].verified
    assert {row.bits for row in found.energy} == {1, 8}, "floating point is none of the hardware's precisions"


def test_the_papers_experiment_is_the_papers() -> None:
    found = experiment.load(ROOT / "experiments" / "paper_cifar10.yaml")
    assert (found.bits, found.data.name, found.model.name) == ((1, 2, 4, 8, 32), "cifar10", "resnet20")
    assert model_input(found) == (1, 3, 32, 32)


def test_the_default_says_how_far_its_accuracies_can_be_trusted() -> None:
    found = experiment.load(default_experiment())
    assert found.training is not None and found.training.seeds >= 3 and found.data.split == "seed"
    assert {"truncquant", "dorefa", "fp32"} == {*found.training.schemes}
    assert model_input(found) == (1, 1, 14, 14)


def test_arrays_of_ones_own(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (40, 9, 9), dtype=np.uint8)
    labels = np.arange(40) % 10
    file = tmp_path / "mine.npz"
    np.savez(file, train_images=pictures, train_labels=labels, test_images=pictures, test_labels=labels)
    document = {"data": {"name": "arrays", "path": str(file)}, "model": {"name": NET, "options": {"channels": 1}}}
    found = run(Experiment.model_validate({**SMALL, **document, "training": TRAINING}), trust=True)
    assert {row.samples for row in found.accuracy} == {40}
    assert found.layers[0].instance["P"] == 4, "the hardware side is that of these pictures"


def test_class_folders(tmp_path: Path) -> None:
    pictures = pytest.importorskip("PIL.Image")
    for part in ("train", "val"):
        for number in range(10):
            folder = tmp_path / part / f"class{number}"
            folder.mkdir(parents=True)
            for copy in range(2):
                pictures.new("RGB", (20, 16), (25 * number, 10 * copy, 10)).save(folder / f"{copy}.png")
    document = {"data": {"name": "imagefolder", "path": str(tmp_path), "size": 16}, "model": {"name": NET}}
    found = run(Experiment.model_validate({**SMALL, **document, "training": TRAINING}), trust=True)
    assert {row.samples for row in found.accuracy} == {20}
