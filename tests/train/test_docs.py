"""docs/quantization.md is true: its commands are commands, its example runs, its recipes load."""

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import typer

pytest.importorskip("torch")

from tests.cli.test_app import refused, tqhw
from tqhw import experiment
from tqhw.cli import app
from tqhw.datasets import TensorData
from tqhw.pipeline import accuracy
from tqhw.quant import QuantConfig
from tqhw.system.progress import unwatched

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "quantization.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(?:torchrun \S+ -m )?tqhw (.*?)(?: +#.*)?$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_can_be_given(line: str) -> None:
    name, *arguments = shlex.split(line)
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    given = command.make_context(name, arguments).params
    path = given.get("experiment")
    if path is not None:
        assert accuracy.recipe(experiment.load(ROOT / path), "truncquant").training.epochs > 1
        assert not experiment.hints(ROOT / path)


def test_it_shows_every_command_of_training() -> None:
    assert {line.split()[0] for line in COMMANDS} == {"train", "eval", "export", "table", "quantize"}


@pytest.mark.slow
def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    exec(compile(code.replace("epochs=2", "epochs=1"), "quantization.md", "exec"), scope)
    assert "bytes read" in capsys.readouterr().out
    assert (tmp_path / "digits.tqhw").exists()


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the README's network and the page's two files, to be in."""
    (code,) = re.findall(r"```python\n(# mynet.py.*?)```", (ROOT / "README.md").read_text("utf-8"), flags=re.DOTALL)
    (tmp_path / "mynet.py").write_text(code)
    for text, name in re.findall(r"```yaml\n(# (\S+),.*?)```", PAGE, flags=re.DOTALL):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("mynet", None)


def test_its_experiment_measures_a_model_of_ones_own(mine: Path) -> None:
    settings = ["training.epochs=1", "training.schemes=[truncquant]"]
    loaded = experiment.load(mine / "mine.yaml", settings)
    assert accuracy.model_input(loaded) == (1, 1, 16, 16)
    with accuracy.measuring(loaded, None, 1) as pending:
        rows = pending.rows(unwatched)
    assert [(row.bits, row.samples) for row in rows] == [(2, 450), (8, 450)] * 2


def test_its_recipe_trains_a_model_of_ones_own_on_pictures_of_ones_own(mine: Path) -> None:
    pictures = pytest.importorskip("PIL.Image")
    for part in ("train", "val"):
        for number in range(10):
            folder = mine / "pictures" / part / f"class{number}"
            folder.mkdir(parents=True)
            pictures.new("RGB", (40, 32), (25 * number, 10, 10)).save(folder / "a.png")
    settings = ("--set", "training.epochs=1", "--set", "training.batch_size=5")
    found = tqhw("train", "recipe.yaml", "--out", "runs/mine", *settings)
    assert found.exit_code == 0, found.output
    assert "TruncQuant, truncated" in tqhw("eval", "runs/mine", "--model", "mynet:net").stdout
    assert "`--model mynet:net`" in PAGE and refused("eval", "runs/mine")


def test_any_other_data_are_tensors_in_the_order_it_says() -> None:
    (arguments,) = re.findall(r"`datasets\.TensorData\((.*?)\)`", PAGE, flags=re.DOTALL)
    assert arguments.replace("\n", " ").split(", ") == [field.name for field in fields(TensorData)][:6]


def test_every_option_it_names_is_there() -> None:
    for option in ("first", "last", "layers", "granularity"):
        assert hasattr(QuantConfig(), option) and f"`{option}" in PAGE
