"""``tqhw show``: pictures and text of architectures, mappings and runs, and what it says to bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from tqhw.cli import app

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "workloads/resnet18/02_layer1.0.conv1.yaml"
MAPPING = ROOT / "mappings/eyeriss_like/resnet18/02_layer1.0.conv1.map.yaml"
ON = ("--arch", "eyeriss_like", "--problem", str(LAYER))


def show(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["show", *map(str, arguments)])


def refused(*arguments: object) -> str:
    found = show(*arguments)
    assert found.exit_code == 2, found.output
    assert found.stdout == "" and found.stderr.count("\n") == 1
    return str(found.stderr)


def test_a_template_by_its_name(tmp_path: Path) -> None:
    found = show("simba_like", "--param", "psum_bits=32", "--out", tmp_path / "simba.svg")
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("simba_like\nDRAM ")
    assert "PE: 4 along Y" in found.stdout and "128 rows of 32 bits" in found.stdout
    assert ElementTree.parse(tmp_path / "simba.svg").getroot().attrib["aria-label"] == "Architecture simba_like"


def test_words_of_several_widths() -> None:
    found = show("simba_like", "--word-bits", "Weights=2")
    assert "Weights: 32 words of 2 bits a row" in found.stdout
    assert "Outputs: 10 words of 24 bits a row" in found.stdout  # the template's own


def test_the_fields_own_files() -> None:
    found = show(ROOT / "tests/data/timeloop/arch/eyeriss_like.yaml")
    assert found.exit_code == 0 and "shared_glb" in found.stdout and "keeps (Weights)" in found.stdout


def test_a_mapping_with_its_architecture_and_problem(tmp_path: Path) -> None:
    found = show(MAPPING, *ON, "--out", tmp_path / "nest.svg")
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert lines[0].endswith("on eyeriss_like") and "utilization" in lines[1]
    assert any("parallel" in line for line in lines) and any("ifmap_spad (" in line for line in lines)
    assert "eyeriss_like" in ElementTree.parse(tmp_path / "nest.svg").getroot().attrib["aria-label"]


def test_a_component_that_nobody_can_cost_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "architecture:\n  version: 0.4\n  nodes:\n"
        "  - !Component {name: DRAM, class: DRAM, attributes: {width: 64, datawidth: 8}}\n"
        "  - !Component {name: core, class: compute, subclass: quantum, attributes: {}}\n"
    )
    (tmp_path / "m.yaml").write_text(
        "mapping:\n- {target: DRAM, type: temporal, factors: C=0 M=0 R=0 S=0 N=0 P=0 Q=0 G=0, permutation: CMRSNPQG}\n"
    )
    assert "quantum" not in refused(tmp_path / "none.yaml")
    assert show(tmp_path / "own.yaml").exit_code == 0
    found = show(tmp_path / "m.yaml", "--arch", tmp_path / "own.yaml", "--problem", LAYER)
    assert found.exit_code == 0 and "for C in 64" in found.stdout


def test_an_invalid_mapping_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MAPPING.read_text().replace("Q14", "Q7", 1))
    found = show(tmp_path / "m.yaml", *ON, "--out", tmp_path / "x.svg")
    assert found.exit_code == 1 and "the mapping is invalid:" in found.stdout
    assert "\n  (raise the factors of Q: a factor of 0 is what the others leave, and where none divides" in found.stdout
    assert not (tmp_path / "x.svg").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b: c\n", "broken.yaml:1:5: not valid YAML"),
        ("", "broken.yaml"),
        ("problem: {}\n", "broken.yaml"),
        ("architecture: {version: 0.4, nodes: []}\n", "broken.yaml"),
        ("\x00\x01", "broken.yaml"),
    ],
)
def test_a_broken_file_gives_one_message(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "broken.yaml").write_text(text)
    assert message in refused(tmp_path / "broken.yaml", "--out", tmp_path / "x.svg")
    assert not (tmp_path / "x.svg").exists()


def test_unknown_names_have_a_nearest_one(tmp_path: Path) -> None:
    assert "unknown architecture 'bit_seral' (did you mean 'bit_serial'?" in refused("bit_seral")
    assert "did you mean 'weight_bits'" in refused("bit_serial", "--param", "wieght_bits=2")
    assert "unknown data space 'Wieghts' (did you mean 'Weights'" in refused("simba_like", "--word-bits", "Wieghts=2")
    assert "unknown level 'DRM'" in refused("simba_like", "--word-bits", "Weights@DRM=2")


def test_a_mapping_needs_both_and_nothing_else_takes_them() -> None:
    assert "a mapping is drawn on its architecture and problem (give --arch and --problem, too)" in refused(MAPPING)
    assert "give --arch and --problem" in refused(MAPPING, "--arch", "eyeriss_like")
    assert "simba_like: --arch is that of a mapping (name a mapping)" in refused("simba_like", *ON)
    assert "gone/best.yaml: there is no such file" in refused("gone/best.yaml", *ON)


def test_an_architecture_that_depends_on_sizes(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "architecture:\n  version: 0.4\n  nodes:\n"
        "  - !Component {name: DRAM, class: DRAM, attributes: {width: 64, datawidth: 8}}\n"
        "  - !Container {name: PE, spatial: {meshX: 4, meshY: 2}, constraints: {spatial: "
        "{permutation: [C, M], split: len(spec.problem.instance) - 10}}}\n"
        "  - !Component {name: mac, class: compute, attributes: {}}\n"
    )
    assert "cannot evaluate 'len(spec.problem.instance) - 10'" in refused(tmp_path / "own.yaml")
    found = show(tmp_path / "own.yaml", "--problem", LAYER)
    assert found.exit_code == 0 and "PE: 4 along X, 2 along Y" in found.stdout, found.output


def test_weights_in_digits_have_no_words() -> None:
    assert "takes Weights in digits, whose width is its own (give --param" in refused(
        "bit_serial", "--word-bits", "Weights=2"
    )
    assert show("bit_serial", "--word-bits", "Inputs=4").exit_code == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    from tqhw.experiment import Experiment
    from tqhw.run import run

    folder = tmp_path_factory.mktemp("run") / "out"
    model = {"name": "tests.pipeline.tiny:net", "input": [1, 1, 8, 8]}
    given = {"name": "shown", "model": model, "bits": [2, 8], "methods": ["truncquant", "fixed"]}
    run(Experiment.model_validate({**given, "architecture": {"name": "simba_like"}}), folder)
    return folder


def test_all_architectures_and_mappings_of_a_run(folder: Path, tmp_path: Path) -> None:
    found = show(folder, "--out", tmp_path / "pictures")
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("default/fetch8_weights8\n")
    assert "on default/fetch8_weights8\n" in found.stdout and "fetch2_weights2" not in found.stdout
    drawn = {path.relative_to(tmp_path / "pictures").with_suffix("") for path in tmp_path.rglob("*.svg")}
    mappings = (folder / "hardware").rglob("mappings/*.yaml")
    renderings = (folder / "hardware").rglob("architecture.yaml")
    assert len(drawn) == len([*mappings]) + len([*renderings])
    assert (
        "Weights: 32 words of 2 bits a row"
        in (tmp_path / "pictures/default/fetch2_weights2/architecture.svg").read_text()
    )


def test_a_mapping_in_a_run_has_its_architecture_and_problem_there(folder: Path) -> None:
    mapping = next((folder / "hardware/default/fetch2_weights2/mappings").glob("*.yaml"))
    found = show(mapping)
    assert found.exit_code == 0, found.output
    assert "on fetch2_weights2" in found.stdout.splitlines()[0]


def test_a_folder_of_something_else_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "sweep.sqlite").touch()
    assert f"{tmp_path}: holds no .yaml, .yml, .jinja, .jinja2 file" in refused(tmp_path)
    assert "no such architecture file or template folder" in refused(tmp_path / "nothing")


def test_a_folder_that_only_looks_like_a_run(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{")
    assert "results.json: not valid JSON" in refused(tmp_path)
