"""Tensors that Python holds: an experiment is run and trained on them, and knows them by what they hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

import tqhw
from tests.cli.test_app import refused
from tests.cli.test_app import tqhw as tqhw_command
from tqhw.datasets import TensorData, from_items
from tqhw.errors import TqhwError

SMALL: dict[str, Any] = {
    "model": {"name": "tests.pipeline.tiny:net"},
    "bits": [2],
    "methods": ["truncquant"],
    "spad_models": ["sram"],
    "quantization": {"first": None},
    "training": {"epochs": 1, "batch_size": 20, "seeds": 2},
}
JOINED = {key: value for key, value in SMALL.items() if key != "training"}


def mine(shift: float = 0.0, **changes: Any) -> TensorData:
    images = torch.arange(40.0 * 64).reshape(40, 1, 8, 8).remainder(7) + shift
    return replace(TensorData("mine", 10, images, torch.arange(40) % 10, images[:30], torch.arange(30) % 10), **changes)


def flipped(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return images.flip(3)


def test_they_are_one_experiment_with_the_energies(tmp_path: Path) -> None:
    data = mine()
    found = tqhw.run_experiment(tqhw.load_experiment(SMALL, data=data), tmp_path / "out")
    assert {(row.samples, row.runs) for row in found.accuracy} == {(30, 2)} and found.accuracy[0].verified
    assert found.layers[0].instance["P"] == 4, "the hardware side is that of these pictures"
    recorded = {"name": "memory", "options": {"name": "mine", "shape": [1, 8, 8], "digest": data.digest}}
    shown = {key: value for key, value in found.experiment["data"].items() if value is not None}
    assert shown == recorded, "and not the tensors themselves"
    assert tqhw.read_results(tmp_path / "out") == found
    assert tqhw.run_experiment(tqhw.load_experiment(SMALL, data=mine()), jobs=2).accuracy == found.accuracy


def test_the_digest_is_of_all_that_is_held() -> None:
    data = mine()
    others = [mine(1.0), replace(data, classes=11), replace(data, train_labels=data.train_labels.flip(0))]
    others += [replace(data, test_images=data.test_images.reshape(30, 1, 4, 16))]
    others += [replace(data, train_images=data.train_images.double())]
    assert mine().digest == data.digest and len({data.digest, *(other.digest for other in others)}) == 6
    assert mine(train_images=data.train_images.flip(3).flip(3)).digest == data.digest, "however they lie in memory"


def test_what_was_trained_is_joined_and_gone_on_from_with_the_same_alone(tmp_path: Path) -> None:
    data = mine(augment=flipped)
    paths = tqhw.train_experiment(tqhw.load_experiment(SMALL, data=data), tmp_path / "runs")
    assert [path.parent.name for path in paths] == ["seed0", "seed1"]
    with pytest.raises(TqhwError, match=r"runs: holds a checkpoint already \(add --resume \(Python: resume=True\)"):
        tqhw.train_experiment(tqhw.load_experiment(SMALL, data=data), tmp_path / "runs")
    assert tqhw.train_experiment(tqhw.load_experiment(SMALL, data=data), tmp_path / "runs", resume=True) == paths
    other = rf"data.options.digest is {data.digest} in the checkpoint, {mine(1.0).digest} here"
    with pytest.raises(TqhwError, match=f"is of another run: {other}"):
        changed = mine(1.0, augment=flipped)
        tqhw.train_experiment(tqhw.load_experiment(SMALL, data=changed), tmp_path / "runs", resume=True)
    with pytest.raises(TqhwError, match=r"data.options.augment is tests\S+flipped in the checkpoint, not given here"):
        tqhw.train_experiment(tqhw.load_experiment(SMALL, data=mine()), tmp_path / "runs", resume=True)
    joined = {**JOINED, "training": {"from": [str(tmp_path / "runs")]}}
    found = tqhw.run_experiment(tqhw.load_experiment(joined, data=data))
    assert {(row.samples, row.runs) for row in found.accuracy} == {(30, 2)}
    with pytest.raises(TqhwError, match=rf"is of another data set: data.options.digest is {data.digest} there"):
        tqhw.run_experiment(tqhw.load_experiment(joined, data=mine(1.0, augment=flipped)))
    gone = (
        rf"data: 'mine' were tensors in memory, which are gone \(SHA-256 {data.digest[:12]}\.\.\.\) \(give them again"
    )
    with pytest.raises(TqhwError, match=gone):
        tqhw.run_experiment(joined)


def test_what_no_file_can_say_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("training: {epochs: 1}\ndata: {name: memory, options: {digest: abcdef}}\n")
    assert "data: 'data' were tensors in memory, which are gone" in refused("run", tmp_path / "e.yaml")
    (tmp_path / "e.yaml").write_text("training: {epochs: 1}\ndata: {name: digits, held: 3}\n")
    assert "e.yaml:2: data.held: unknown key 'held' (Python gives data in memory" in refused("run", tmp_path / "e.yaml")
    with pytest.raises(
        TqhwError, match=r"data: a list is neither a section nor tensors \(give a tqhw.datasets.TensorD"
    ):
        tqhw.load_experiment(SMALL, data=[1, 2])
    sized = tqhw.load_experiment(SMALL, ["data.size=4"], data=mine())
    with pytest.raises(TqhwError, match=r"data.size: memory has no option 'size'"):
        tqhw.run_experiment(sized)
    unnamed = mine(augment=lambda images, generator: images)
    with pytest.raises(
        TqhwError, match=r"cannot be sent to other processes: .*lambda.* \(define it at the top of a mod"
    ):
        tqhw.run_experiment(tqhw.load_experiment(SMALL, data=unnamed), jobs=2)


def test_pairs_of_images_and_labels_become_one() -> None:
    class Pairs:
        classes = ("even", "odd")

        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            return torch.full((1, 8, 8), index, dtype=torch.uint8), index % 2

    experiment = tqhw.load_experiment(SMALL, ["training.seeds=1"], data=from_items("pairs", Pairs(), Pairs()))
    assert {row.samples for row in tqhw.run_experiment(experiment).accuracy} == {20}


def test_both_doors_of_an_export_have_the_same_options(tmp_path: Path) -> None:
    (checkpoint,) = tqhw.train_experiment(
        tqhw.load_experiment(SMALL, ["training.seeds=1"], data=mine()), tmp_path / "runs"
    )
    from tqhw.train import load_run

    model, _ = load_run(checkpoint, model=SMALL["model"]["name"])
    whole, folded = (tqhw.export(model, tmp_path / f"{fold}.tqhw", fold=fold) for fold in (False, True))
    assert folded < whole
    with pytest.raises(TqhwError, match=r"fold: an ONNX file holds batch norms whole \(leave it out\)"):
        tqhw.export(model, tmp_path / "m.onnx", input=(1, 8, 8), fold=True)
    with pytest.raises(TqhwError, match=r"integers: m.tqhw holds codes, which are integers as they are"):
        tqhw.export(model, tmp_path / "m.tqhw", integers=True)
    named = ("export", checkpoint, "--model", SMALL["model"]["name"], "--out")
    told = refused(*named, tmp_path / "m.tqhw", "--integers")
    assert "integers: m.tqhw holds codes, which are integers as they are" in told
    assert tqhw_command(*named, tmp_path / "m.tqhw", "--fold").exit_code == 0, "which needs no data"
    assert "'mine' were tensors in memory" in refused(*named, tmp_path / "m.onnx")
