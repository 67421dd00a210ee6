"""Networks that were trained before stand beside the energies, where they are the experiment's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

pytest.importorskip("torch")

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.cli.test_app import refused, tqhw
from tqhw import report
from tqhw.experiment import Experiment
from tqhw.run import run
from tqhw.train import Recipe, read_recipe, train_run

NET = {"name": "tests.pipeline.tiny:net"}
PART: dict[str, Any] = {
    "model": NET,
    "data": {"name": "digits"},
    "bits": [2, 8],
    "quantization": {"first": None},
    "training": {"epochs": 1, "batch_size": 256},
}
HARDWARE = {"methods": ["truncquant"], "spad_models": ["sram"], "bits": [2]}


def recipe(**changes: Any) -> Recipe:
    return read_recipe({**PART, **changes})


def joining(*folders: Path, **changes: Any) -> dict[str, Any]:
    return {**PART, **HARDWARE, "training": {"from": [str(folder) for folder in folders]}, **changes}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        for method in ("truncquant", "dorefa"):
            training = {**PART["training"], "schemes": [method]}
            train_run(recipe(seed=seed, training=training), folder / method / f"seed{seed}", trust=True)
    return folder


def test_their_mean_deviation_and_interval_reach_every_table(runs: Path, tmp_path: Path) -> None:
    found = run(Experiment.model_validate(joining(runs)), tmp_path / "out")
    rows = {(row.scheme, row.weights): row for row in found.accuracy}
    assert set(rows) == {(s, w) for s in ("truncquant", "dorefa") for w in ("shifted", "requantized")}
    alone = [
        run(Experiment.model_validate(joining(runs / "truncquant" / f"seed{seed}"))).accuracy[0] for seed in (0, 1)
    ]
    row = rows["truncquant", "shifted"]
    tops = [one.top1 or 0.0 for one in alone]
    assert (row.top1, row.deviation, row.runs, row.verified) == (fmean(tops), stdev(tops), 2, True)
    assert row.low is not None and row.high is not None and row.low <= min(tops) <= max(tops) <= row.high
    assert row.by_seed == {"0": tops[0], "1": tops[1]} and not alone[0].by_seed
    assert any("over 2 seeds that both have" in note for note in found.notes)
    assert all(one.runs == 1 and one.deviation is None and one.low is not None for one in alone)
    assert report.load(tmp_path / "out") == found
    text = (tmp_path / "out" / "accuracy.csv").read_text().splitlines()
    assert text[0].endswith("verified,runs,deviation,low,high") and any(str(row.deviation) in line for line in text[1:])
    assert f"± {row.deviation:.1f}" in (tmp_path / "out" / "report.html").read_text()


def test_side_by_side_they_measure_the_same(runs: Path) -> None:
    experiment = Experiment.model_validate(joining(runs))
    assert run(experiment, jobs=2).accuracy == run(experiment).accuracy


def test_an_experiment_without_data_takes_theirs(runs: Path) -> None:
    document = joining(runs / "dorefa")
    del document["data"]
    assert {row.samples for row in run(Experiment.model_validate(document)).accuracy} == {450}


def test_a_training_that_stopped_is_told(runs: Path, tmp_path: Path) -> None:
    longer = recipe(training={**PART["training"], "epochs": 2})

    class Enough(Exception):
        pass

    def watch(bits: tuple[int, ...], progress: Any) -> None:
        if progress.epoch == 1:
            raise Enough

    with pytest.raises(Enough):
        train_run(longer, tmp_path / "half", watch=watch, trust=True)
    found = run(Experiment.model_validate(joining(tmp_path / "half")))
    assert f"{tmp_path / 'half'} is not trained to its end: epoch 1 of 2" in found.notes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {**NET, "options": {"width": 2}}}, "is of another model: model.options.width is not given there, 2"),
        ({"model": {"name": "resnet20"}}, "is of another model: model.name is tests.pipeline.tiny:net there, resnet20"),
        ({"bits": [2, 4]}, "is of other bits: it was trained at 2, 8, not at 4 (ask for bits out of [2, 8], or train"),
        ({"quantization": {"first": 8}}, "is of another quantization: quantization.first is null there, 8 here"),
        (
            {"quantization": {"first": None, "layers": {"conv2": 4}}},
            "is of another quantization: quantization.layers.conv2 is not given there, 4 here",
        ),
        (
            {"quantization": {"first": None, "activations": "pact"}},
            "is of another quantization: quantization.activations is full there, pact here",
        ),
        ({"data": {"name": "digits", "size": 16}}, "is of another data set: data.size is 8 there, 16 here"),
        ({"data": {"name": "digits", "split": 1}}, "is of another data set: data.split is null there, 1 here"),
    ],
)
def test_a_folder_of_something_else_is_refused(
    runs: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    (tmp_path / "e.yaml").write_text(json.dumps(joining(runs, **changes)))
    told = refused("run", tmp_path / "e.yaml", "--out", tmp_path / "out")
    assert f"{runs / 'dorefa' / 'seed0' / 'checkpoint.safetensors'}: {message}" in told
    assert not (tmp_path / "out" / "results.json").exists()


def test_seeds_that_differ_in_more_are_refused(runs: Path, tmp_path: Path) -> None:
    other = recipe(seed=2, training={**PART["training"], "epochs": 2})
    train_run(other, tmp_path / "other", trust=True)
    (tmp_path / "e.yaml").write_text(json.dumps(joining(runs / "truncquant", tmp_path / "other")))
    told = refused("run", tmp_path / "e.yaml", "--out", tmp_path / "out")
    assert "is no other seed of" in told and "training.epochs is 2, not 1 (measure them one by one)" in told
    (tmp_path / "e.yaml").write_text(json.dumps(joining(runs, runs / "dorefa" / "seed0")))
    assert "has seed 0, as" in refused("run", tmp_path / "e.yaml", "--out", tmp_path / "out")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    def told(folder: Path, make: Callable[[Path], object]) -> str:
        make(folder)
        (tmp_path / "e.yaml").write_text(json.dumps(joining(folder)))
        return refused("run", tmp_path / "e.yaml", "--out", tmp_path / "out")

    assert "nowhere: there is no such file" in told(tmp_path / "nowhere", lambda folder: None)
    assert "empty: holds no checkpoint" in told(tmp_path / "empty", lambda folder: folder.mkdir())
    damaged = told(tmp_path / "checkpoint.safetensors", lambda file: file.write_bytes(b"\x01" * 64))
    assert "checkpoint.safetensors: is not a whole safetensors file" in damaged


def test_the_command_says_what_it_measures(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(json.dumps(joining(runs)))
    found = tqhw("run", tmp_path / "e.yaml", "--out", tmp_path / "out", "--jobs", 1)
    assert found.exit_code == 0, found.output
    assert "measuring, dorefa, seed 1" in found.stderr and "±" in found.stdout


def damaged(runs: Path, out: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A checkpoint whose tensors were changed."""
    out.mkdir()
    source = runs / "truncquant" / "seed0" / "checkpoint.safetensors"
    with safe_open(source, "pt") as file:
        about = file.metadata()
    tensors = load_file(source)
    change(tensors)
    save_file(tensors, out / source.name, metadata=about)
    return out


WEIGHT = "model/conv2.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[WEIGHT].fill_(float("nan")), "is damaged: 'conv2.weight' holds NaN"),
        (lambda t: t["model/bn2.running_mean"].fill_(float("nan")), "'bn2.running_mean' holds NaN"),
        (
            lambda t: t.update({WEIGHT: t[WEIGHT].char()}),
            "has 'conv2.weight' as torch.int8, the model as torch.float32",
        ),
        (lambda t: t.pop(WEIGHT), "is of another model: it has nothing as 'conv2.weight', the model has"),
    ],
)
def test_a_damaged_checkpoint_is_refused(
    runs: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    folder = damaged(runs, tmp_path / "damaged", change)
    (tmp_path / "e.yaml").write_text(json.dumps(joining(folder)))
    assert message in refused("run", tmp_path / "e.yaml", "--out", tmp_path / "out", "--jobs", 1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("folders", "message"), [([], "names no folder"), ([""], "a folder without a name")])
def test_no_folder_is_no_training(tmp_path: Path, folders: list[str], message: str) -> None:
    (tmp_path / "e.yaml").write_text(json.dumps({**PART, **HARDWARE, "training": {"from": folders}}))
    told = refused("run", tmp_path / "e.yaml", "--out", tmp_path / "out")
    assert f"training.from: {message} (name folders that tqhw train wrote, or leave it out to train)" in told
    assert not (tmp_path / "out").exists()


def test_an_allocation_refuses_other_networks_before_it_searches(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(json.dumps(joining(runs / "dorefa", bits=[2, 8])))
    told = refused("allocate", tmp_path / "e.yaml", "--out", tmp_path / "out")
    assert "training.from: there is no network for truncation in" in told and "mapping" not in told
