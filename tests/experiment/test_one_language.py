"""Recipes and experiments are one language; what earlier versions wrote is read, and told how it is written today."""

from __future__ import annotations

from pathlib import Path

import pytest

from tqhw import experiment
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.options import DataOptions
from tqhw.spec import yamlio

RECIPE = """\
method: dorefa
bits: [2, 4]
model: {name: resnet20, options: {in_channels: 1}}
data: {name: digits}
quantization: {first: null}
training: {epochs: 3, seed: 5}
"""
OLD = """\
name: old
bits: [2]
training:
  data: cifar10
  path: there
  epochs: 3
"""


def parse(text: str, *settings: str) -> Experiment:
    return experiment.parse(yamlio.parse(text, "e.yaml"), "e.yaml", settings)


def told(tmp_path: Path, text: str, *settings: str) -> list[str]:
    (tmp_path / "e.yaml").write_text(text)
    return [hint.removeprefix(f"{tmp_path}/") for hint in experiment.hints(tmp_path / "e.yaml", settings)]


def test_a_recipe_of_earlier_versions_is_an_experiment(tmp_path: Path) -> None:
    found = parse(RECIPE)
    assert found.training is not None and found.training.schemes == ("dorefa",)
    assert (found.seed, found.precisions, found.data) == (5, (2, 4), DataOptions("digits"))
    assert told(tmp_path, RECIPE) == [
        "e.yaml:1: method: is written as training.schemes today",
        "e.yaml:6: training.seed: is written as seed today",
    ]


def test_an_experiment_of_earlier_versions_is_what_it_was(tmp_path: Path) -> None:
    found = parse(OLD)
    assert found.training is not None and found.training.schemes == ("truncquant", "dorefa")
    assert (found.data, found.precisions) == (DataOptions("cifar10", path="there"), (2, 8))
    bare = parse("training: {epochs: 1}")
    assert bare.data == DataOptions("digits", size=16)
    assert parse("training: {data: imagefolder, path: x}").data.size == 16
    assert parse("training: {size: 8}").data == DataOptions("digits", size=8)
    assert told(tmp_path, OLD) == [
        "e.yaml:4: training.data: is written as data.name today",
        "e.yaml:5: training.path: is written as data.path today",
        "e.yaml:3: training: trains truncquant and dorefa: say schemes: [truncquant, dorefa]",
    ]
    assert told(tmp_path, "training: {epochs: 1, schemes: [dorefa]}") == [
        "e.yaml:1: training: is of digits of 16x16 pixels: say data: {name: digits, size: 16}"
    ]


def test_todays_keys_need_no_hint(tmp_path: Path) -> None:
    text = "data: {name: digits}\nbits: [2, 32]\nseed: 1\ntraining: {schemes: [truncquant], seeds: 3}"
    assert told(tmp_path, text) == []
    found = parse(text)
    assert (found.bits, found.hardware_bits, found.precisions) == ((2, 32), (2,), (2, 8, 32))
    assert told(tmp_path, text, "training.seed=3") == ["--set training.seed: is written as seed today"]
    assert parse(text.replace("seed: 1\n", ""), "training.seed=3").seed == 3


def test_what_is_read_is_written_and_read_again() -> None:
    for text in (RECIPE, OLD, "name: a", "data: {name: digits}\ntraining: {from: [runs/a]}"):
        found = parse(text)
        assert Experiment.model_validate(found.model_dump(mode="json")) == found
    assert "data" not in Experiment().model_dump(mode="json"), "results without a training are as they were"


def test_a_method_brings_its_own_defaults_to_the_hardware_too() -> None:
    found = parse("data: {name: digits}\ntraining: {schemes: [truncquant, any_precision]}")
    assert (found.quantization.activations, found.quantization.activation_bits) == ("dorefa", None)
    own = parse("data: {name: digits}\nquantization: {activations: full}\ntraining: {schemes: [any_precision]}")
    assert own.quantization.activations == "full"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: dorefa\ntraining: {schemes: [dorefa]}", "e.yaml:1: method: says what training.schemes says, too"),
        ("data: {name: digits}\ntraining:\n  data: digits", "e.yaml:3: training.data: says what data.name says, too"),
        ("name: x\ntraining:\n  size: 0", "e.yaml:3: training.size: 0 must be at least 1"),
        ("data: {name: digits}\ntraining: {seeds: 0}", "training.seeds: 0 must be at least 1"),
        ("data: {split: sed}", "data.split: unknown value 'sed' (did you mean 'seed'?"),
        (
            "data: {name: digits}\ntraining:\n  from: [a]\n  epochs: 3",
            "e.yaml:4: training.epochs: epochs would train what `from` takes as it was trained (leave out one of",
        ),
        ("data: {name: digits}\ntraining: {form: [a]}", "unknown key 'form' (did you mean 'from'?"),
        ("data: {name: digits}\ntraining: {from: a}", "training.from: 'a' must be a list (Folders that tqhw train"),
        (
            "data: {name: digits}\nquantization: {first: 8}\ntraining: {schemes: [any_precision]}",
            "e.yaml:2: quantization.first: 8 contradicts method any_precision, which has 'full'",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(text: str, message: str) -> None:
    with pytest.raises(TqhwError) as caught:
        parse(text)
    assert message in str(caught.value)


@pytest.mark.torch
def test_a_recipe_reads_todays_keys_too() -> None:
    pytest.importorskip("torch")
    from tqhw.train import read_recipe

    new = {"bits": [2, 4], "seed": 5, "training": {"schemes": ["dorefa"], "epochs": 3}, "data": {"name": "digits"}}
    old = {"bits": [2, 4], "method": "dorefa", "training": {"seed": 5, "epochs": 3}, "data": {"name": "digits"}}
    assert read_recipe(new) == read_recipe(old)
    with pytest.raises(TqhwError, match=r"recipe: training: a recipe is of one network, this is of 2: truncquant, do"):
        read_recipe({"training": {"schemes": ["truncquant", "dorefa"]}})
