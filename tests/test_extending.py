"""docs/extending.md is true: its examples run, and what they add is used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import tqhw
from tests.cli.files import ARCH, ERT
from tests.report.sample import sample
from tqhw.backends import BACKENDS
from tqhw.backends.timeloop.render import Renderer
from tqhw.datasets import DATASETS
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.objectives import OBJECTIVES
from tqhw.options import TimeloopOptions
from tqhw.quant import SCHEMES, QuantConfig, convert
from tqhw.registry import Registry
from tqhw.report.figures import FIGURES, pictures
from tqhw.scenario import METHODS, Options, widths
from tqhw.scenario.network import Width
from tqhw.spec import MATMUL, Invalid, make_problem
from tqhw.train import read_recipe, train

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^## (.*?)\n.*?```python\n(.*?)```", PAGE, flags=re.DOTALL | re.MULTILINE)
REGISTRIES: tuple[Registry, ...] = (DATASETS, SCHEMES, OBJECTIVES, METHODS, BACKENDS, FIGURES)  # type: ignore[type-arg]


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
        "An objective",
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


def test_an_objective_is_searched_by() -> None:
    example("An objective")
    machine = tqhw.target(ARCH, ert=ERT)
    problem = make_problem(MATMUL, {"M": 4, "N": 4, "K": 4})
    by_name, by_object = (
        tqhw.search(machine, problem, objective=given, cache=False) for given in ("ed2p", OBJECTIVES["ed2p"])
    )
    assert not isinstance(by_name, Invalid) and not isinstance(by_object, Invalid)
    assert by_name.proved_optimal and by_name.mapping == by_object.mapping
    with pytest.raises(TqhwError, match=r"objective: Timeloop cannot search by ed2p \(use one of energy, edp, latency"):
        Renderer(False).mapper(problem, machine, "ed2p", TimeloopOptions())
    assert Experiment.model_validate({"search": {"objective": "ed2p"}}).search.objective == "ed2p"


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
    FIGURES._things = {}  # the page's alone
    example("A figure")
    assert [picture.name for picture in pictures(sample())] == ["products"]
    assert pictures(replace(sample(), layers=())) == ()


OFFERS = {
    "tqhw.datasets": ("A data set", "stripes"),
    "tqhw.schemes": ("A quantizer", "staircase"),
    "tqhw.objectives": ("An objective", "ed2p"),
    "tqhw.methods": ("A scenario method", "shift_in_array"),
    "tqhw.backends": ("A backend", "counting"),
    "tqhw.figures": ("A figure", "products"),
}


@pytest.mark.slow
def test_what_an_installed_package_offers_is_known_to_all_processes_of_a_run(tmp_path: Path) -> None:
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    points = []
    for group, (title, name) in OFFERS.items():
        # As a package has it: the thing under a name of the module, and no call of add().
        text = re.sub(r'^[A-Z]+\.add\("\w+", (.*)\)$', r"THING = \1", dict(EXAMPLES)[title], flags=re.M)
        (tmp_path / f"mine_{name}.py").write_text(re.sub(r"^print.*$", "", text, flags=re.M))
        points.append(f"[{group}]\n{name} = mine_{name}:THING\n")
    (info / "entry_points.txt").write_text("\n".join(points))
    document = {
        "name": "mine",
        "model": {"name": "tests.quant.nets:TinyNet"},
        "bits": [2, 8],
        "methods": ["truncquant", "shift_in_array"],
        "spad_models": ["sram"],
        "training": {
            "data": "stripes",
            "size": 8,
            "data_options": {"images": 32},
            "schemes": ["truncquant", "staircase"],
            "epochs": 1,
            "batch_size": 16,
        },
        "search": {"objective": "ed2p"},
        "backend": "counting",
    }
    (tmp_path / "mine.yaml").write_text(json.dumps(document))
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "tqhw", "run", "mine.yaml", "--out", "out", "--jobs", "2"]
    path = os.pathsep.join([str(tmp_path), str(root)])
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = tqhw.read_results(tmp_path / "out")
    assert {row.scheme for row in results.accuracy} == {"truncquant", "staircase"}
    assert {row.samples for row in results.accuracy} == {32}
    assert {row.method for row in results.energy} == {"truncquant", "shift_in_array"}
    assert results.provenance["backend"] == "counting"
    assert (tmp_path / "out" / "figures" / "products.svg").is_file()
