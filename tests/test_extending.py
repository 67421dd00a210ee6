"""docs/extending.md is true: its examples run, and what they add is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.report.sample import sample
from tqhw.backends import BACKENDS
from tqhw.datasets import DATASETS
from tqhw.experiment import Experiment
from tqhw.quant import SCHEMES, QuantConfig, convert
from tqhw.registry import Registry
from tqhw.report.figures import FIGURES, pictures
from tqhw.scenario import METHODS, Options, widths
from tqhw.scenario.network import Width
from tqhw.train import read_recipe, train

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^## (.*?)\n.*?```python\n(.*?)```", PAGE, flags=re.DOTALL | re.MULTILINE)
REGISTRIES: tuple[Registry, ...] = (DATASETS, SCHEMES, METHODS, BACKENDS, FIGURES)  # type: ignore[type-arg]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = [dict(registry._things) for registry in REGISTRIES]
    yield
    for registry, things in zip(REGISTRIES, before, strict=True):
        registry._things = things


def example(title: str) -> dict[str, object]:
    space: dict[str, object] = {"__name__": "example"}
    exec(compile(dict(EXAMPLES)[title], title, "exec"), space)
    return space


def test_every_registry_has_its_row_and_its_example() -> None:
    for registry in REGISTRIES:
        assert f"| `{registry.group}` |" in PAGE
    assert [title for title, _ in EXAMPLES] == [
        "A data set",
        "A quantizer",
        "A scenario method",
        "A backend",
        "A figure",
    ]


def test_a_data_set_is_trained_on() -> None:
    example("A data set")
    recipe = read_recipe(
        {
            "bits": [2, 8],
            "model": {"name": "tests.quant.nets:TinyNet"},
            "data": {"name": "stripes", "size": 8, "options": {"images": 32}},
            "training": {"epochs": 1, "batch_size": 16},
        }
    )
    data = recipe.data.open()
    assert (data.classes, data.train_size, data.input_shape) == (2, 32, (1, 8, 8))
    assert train(recipe.network((2, 8)), data, recipe.training).history


def test_a_quantizer_quantizes_and_is_a_method(capsys: pytest.CaptureFixture[str]) -> None:
    example("A quantizer")
    assert capsys.readouterr().out.startswith("[0, ")
    from tests.quant.nets import tiny

    assert convert(tiny(), QuantConfig("staircase", (2, 8))).quantization.scheme == "staircase"  # type: ignore[union-attr]
    assert read_recipe({"method": "staircase", "bits": [2]}).way.scheme == "staircase"


def test_a_scenario_method_stands_in_an_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    example("A scenario method")
    assert "8" in capsys.readouterr().out
    found = Experiment.model_validate({"methods": ["truncquant", "shift_in_array"], "bits": [2]})
    assert widths(found.methods, found.bits, Options()) == (Width(2, 2), Width(8, 8))
    assert METHODS["shift_in_array"].row().label == "Shift in the array"


def test_a_backend_answers_to_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    example("A backend")
    assert capsys.readouterr().out == "counting\n"
    assert Experiment(backend="counting").backend == "counting"


def test_a_figure_is_drawn_where_there_are_rows() -> None:
    example("A figure")
    only = replace(sample(), energy=(), traffic=(), amortised=(), accuracy=())
    assert "products" in [picture.name for picture in pictures(only)]
    assert "products" not in [picture.name for picture in pictures(replace(only, layers=()))]
