"""docs/quantization.md is true: its commands are commands, its example runs, its recipes load."""

import re
import shlex
from pathlib import Path

import pytest
import typer

pytest.importorskip("torch")

from tqhw.cli import app
from tqhw.quant import QuantConfig
from tqhw.spec import yamlio
from tqhw.train import read_recipe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "quantization.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(?:torchrun \S+ -m )?tqhw (.*?)(?: +#.*)?$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_can_be_given(line: str) -> None:
    name, *arguments = shlex.split(line)
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    given = command.make_context(name, arguments).params
    recipe = given.get("recipe")
    if recipe is not None:
        read_recipe(yamlio.as_map(yamlio.load(ROOT / recipe), str(recipe), "a recipe"))


def test_it_shows_every_command_of_training() -> None:
    assert {line.split()[0] for line in COMMANDS} == {"train", "eval", "export", "table"}


@pytest.mark.slow
def test_its_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    exec(compile(code.replace("epochs=2", "epochs=1"), "quantization.md", "exec"), scope)
    assert "bytes read" in capsys.readouterr().out
    assert (tmp_path / "digits.tqhw").exists()


def test_every_option_it_names_is_there() -> None:
    for option in ("first", "last", "layers", "granularity"):
        assert hasattr(QuantConfig(), option) and f"`{option}" in PAGE
