"""The README is true: its files exist, its commands are the commands, its examples load."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from tqhw import experiment
from tqhw.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_file_it_names_exists() -> None:
    linked = [path for path in re.findall(r"\]\(([^)#]*)[^)]*\)", README) if "://" not in path]
    assert linked
    named = re.findall(r"`?((?:arch|docs|experiments|tests)/[\w./-]*\w)", README)
    for path in {*linked, *named}:
        assert (ROOT / path).exists(), path


def test_the_commands_are_all_there() -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"(?:^|`)tqhw ([a-z-]+)", README, flags=re.MULTILINE)) == known


def test_the_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(re.findall(r"^make ([a-z]+)", README, flags=re.MULTILINE)) == set(targets)
    assert {"run", "test"} <= set(targets)


def test_the_example_is_an_experiment(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "mine.yaml").write_text(text)
    settings = re.findall(r"--set (\S+)", README)
    found = experiment.load(tmp_path / "mine.yaml", settings)
    assert (found.name, found.bits) == ("mine", tuple(yaml.safe_load(text)["bits"]))
    assert found.architecture.params == {"activation_bits": 16}


def test_the_example_model_has_layers_to_quantize() -> None:
    torch = pytest.importorskip("torch")
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    scope: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), scope)
    net = scope["net"]
    assert callable(net)
    assert net()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_its_energies_of_one_layer_are_what_the_lines_print(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```\n(arch=.*?)```", README, flags=re.DOTALL)
    names, *lines = block.splitlines()
    values = dict(name.split("=", 1) for name in names.split("; "))
    monkeypatch.chdir(ROOT)
    for line in lines:
        command, _, comment = line.partition("#")
        given = shlex.split(re.sub(r"\$(\w+)", lambda found: values[found[1]], command))
        done = CliRunner().invoke(app, given[1:])
        assert done.exit_code == 0, done.output
        (picojoules,) = re.findall(r"^([\d,.]+) pJ \(leakage", done.stdout, flags=re.MULTILINE)
        told = f"{float(picojoules.replace(',', '')) / 1e6:.1f} uJ"
        assert comment.split()[-2:] == told.split(), line
    assert len(lines) == 3


def test_its_best_mappings_take_the_cycles_that_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```\n(layer=.*?)```", README, flags=re.DOTALL)
    name, *lines = block.splitlines()
    (tmp_path / "workloads").symlink_to(ROOT / "workloads")
    monkeypatch.chdir(tmp_path)
    seen = set()
    for line in lines:
        command, _, comment = line.partition("#")
        given = shlex.split(command.replace("$layer", name.removeprefix("layer=")))[1:]
        done = CliRunner().invoke(app, given)
        assert done.exit_code == 0, done.output
        cycles, *more = comment.split(",")
        assert f", {cycles.strip()}, " in done.stdout, line
        others = {
            "",
            *(f" and {int(number) - 1} others" for number in re.findall(r"^(\d) mappings: ", done.stdout, re.M)),
        }
        assert "".join(more) in others, line
        seen |= {option for option in given if option.startswith("--")}
    assert {"--budget", "--objective", "--factors", "--pad"} <= seen
    assert {file.name for file in tmp_path.iterdir()} == {"workloads", "front.svg", "best.yaml", "best.problem.yaml"}
