"""docs/architecture.md and gallery.md against what they document: the parameter tables, the example walked through."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tqhw.architecture import available, parameters_of, render
from tqhw.cli import app

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
GALLERY = (ROOT / "docs" / "gallery.md").read_text()
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", available())
def test_the_parameter_tables_are_those_of_params_yaml(name: str) -> None:
    parameters = parameters_of(name)
    (page,) = [text for text in (TEXT, GALLERY) if f"\n## {name}\n" in text]
    assert parameters.table() in page
    assert " ".join(parameters.description.split()) in " ".join(page.split())


@pytest.mark.parametrize("name", available())
def test_the_pictures_are_those_of_show(name: str) -> None:
    picture = f"figures/gallery/{name}.svg"
    assert (ROOT / "docs" / picture).read_text() == render(name)._repr_html_()
    assert f"({picture})" in TEXT + GALLERY


def test_the_text_on_drawing_is_what_show_prints() -> None:
    (told,) = re.findall(r"```text\n(simba_like\n.*?)```", (ROOT / "docs/how-to/draw.md").read_text(), re.DOTALL)
    assert CliRunner().invoke(app, ["show", "simba_like"]).stdout.startswith(told)


def test_the_study_of_the_gallery_is_what_its_command_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    spec = importlib.util.spec_from_file_location("gallery_benchmark", ROOT / "benchmarks" / "gallery.py")
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    monkeypatch.setattr(benchmark.architecture, "available", lambda: ("bit_serial",))
    told = (ROOT / "docs" / "studies" / "gallery.md").read_text()
    assert benchmark.table(benchmark.encoder())[-1] in told
    monkeypatch.undo()
    assert "\n".join(benchmark.chips()) in told


def test_the_walked_through_accelerator_renders(tmp_path: Path) -> None:
    blocks = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", TEXT, re.DOTALL))
    assert set(blocks) == {"params.yaml", "arch.yaml.j2"}
    for name, text in blocks.items():
        (tmp_path / name).write_text(text)
    rendered = render(tmp_path, {"weight_bits": "3"})
    assert rendered.hardware.level_names == ("inter_lane_spatial", "buffer", "DRAM_activations", "DRAM_weights")
    assert rendered.hardware.levels[-1].block_size == 21


def test_the_readme_says_what_narrow_weights_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    arch, layer = re.findall(r"^arch=(\S+); layer=(\S+)$", README, re.MULTILINE)[0]
    told = re.findall(r"^tqhw map .*--word-bits (\S+) +#.* ([\d.]+) uJ$", README, re.MULTILINE)
    assert [words for words, _ in told] == ["Weights@DRAM=32", "Weights=8", "Weights=2"]
    for words, energy in told:
        arguments = ["map", "--arch", ROOT / arch, "--problem", ROOT / layer, "--word-bits", words, "--json", "-"]
        found = json.loads(CliRunner().invoke(app, [str(argument) for argument in arguments]).stdout)
        assert f"{found['energy_pj'] / 1e6:.1f}" == energy
        assert found["proved_optimal"]
