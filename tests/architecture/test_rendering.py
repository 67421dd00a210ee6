"""From a folder or a file to an architecture, and what is refused on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import folder
from tests.architecture.regenerate import DATA, GOLDEN
from tqhw import energy
from tqhw.architecture import load, render
from tqhw.errors import TqhwError


@pytest.mark.parametrize("name", GOLDEN)
def test_renderings_are_the_golden_ones(name: str) -> None:
    template, params = GOLDEN[name]
    assert render(template, params).text == (DATA / f"{name}.yaml").read_text()


@pytest.mark.parametrize("name", GOLDEN)
def test_a_rendered_file_is_the_same_hardware_as_its_template(name: str) -> None:
    template, params = GOLDEN[name]
    ours, theirs = load(template, params).hardware, load(DATA / f"{name}.yaml").hardware
    assert ours.levels == theirs.levels
    assert ours.compute == theirs.compute


def test_what_a_template_renders_is_complete(tmp_path: Path) -> None:
    rendered = load(folder.make(tmp_path), {"weight_bits": "3", "packing": "ideal"})
    assert rendered.name == rendered.architecture.name == rendered.hardware.name == "tiny"
    assert rendered.params["fetch_bits"] == 3
    assert rendered.groups == {"memory": "DRAM", "mac": "MAC & spad"}
    assert rendered.components_text == ""
    assert [(p.component, p.words_per_row) for p in rendered.packings] == [("memory", 21)]
    assert rendered.text.startswith("# Rendered by tqhw from the template tiny, with\n#   weight_bits: 3\n")
    assert "speed: none" in rendered.text
    assert "wide_bits" not in rendered.text  # nothing reads it while `wide` is false


def test_packing_is_noted_and_ideal_packing_says_that_it_is_no_timeloop_result(tmp_path: Path) -> None:
    path = folder.make(tmp_path)
    packed, ideal = render(path, {"weight_bits": 3}), render(path, {"weight_bits": 3, "packing": "ideal"})
    assert (packed.ideal_packing, ideal.ideal_packing) == (False, True)
    assert packed.notes == ("memory: 21 words of 3 bits in a row of 64 bits, 1 bits of padding (1.6%)",)
    assert ideal.notes == (
        "memory: 21 words of 3 bits in a row of 64 bits, counted after the fact as 21.33 "
        "(packing: ideal; accesses and energy x 0.9844; not a Timeloop result)",
    )
    assert render(path, {"weight_bits": 2}).notes == ()


def test_the_folders_own_components_come_along(tmp_path: Path) -> None:
    path = folder.make(tmp_path)
    (path / "components.yaml").write_text("components: {version: 0.4, classes: []}\n")
    assert render(path).components_text == "components: {version: 0.4, classes: []}\n"


def test_a_yaml_file_takes_no_parameters(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(render(folder.make(tmp_path)).text)
    assert load(path).hardware.level_names == ("memory",)
    with pytest.raises(TqhwError, match=r"mine.yaml: a rendered architecture takes no parameters, found weight_bits"):
        load(path, {"weight_bits": "2"})


def test_a_component_in_no_group_is_refused(tmp_path: Path) -> None:
    params = folder.PARAMS.replace("  DRAM: [memory]\n", "")
    with pytest.raises(TqhwError, match=r"params.yaml: groups: the component 'memory' is in no group .*add it to one"):
        render(folder.make(tmp_path, params=params))


COMPUTE = folder.TEMPLATE[folder.TEMPLATE.index("  - !Component\n    name: mac") :]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (COMPUTE, "", r"needs exactly one compute component, found 0 \(give one component a class of compute"),
        ("name: mac", "name: memory", r"\(rendered\):\d+: two nodes are named 'memory' .*; the line is `- !Component`"),
        ("class: DRAM", "class: DRAMM", r"\(rendered\):\d+: .*unknown component class 'DRAMM' \(did you mean 'DRAM'"),
        (
            "{{- row(wide_bits if wide else 64, fetch_bits) }}",
            "width: 64, datawidth: {{ fetch_bits }}",
            r"memory: width 64 is no multiple of cluster_size \* datawidth = 3 \(give `block_size`",
        ),
        ("version: 0.4", "version: 0.4\n    x: 1: 2", r"arch.yaml.j2 \(rendered\):\d+:\d+: not valid YAML"),
        ("a_bits: {{ weight_bits }}", "a_bits: {{ weight_bit }}", r"arch.yaml.j2:13: .*'weight_bit' is undefined"),
        ("{{- row(", "{{- row(row_bits=2, ", r"arch.yaml.j2:8: template error: "),
        (folder.TEMPLATE, "", r"\(rendered\): the file is empty"),
    ],
)
def test_what_unmodified_timeloop_could_not_take_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in folder.TEMPLATE
    path = folder.make(tmp_path, template=folder.TEMPLATE.replace(old, new, 1))
    with pytest.raises(TqhwError, match=message):
        load(path, {"weight_bits": "3"})


CLASSES = """\
components:
  version: '0.4'
  classes:
  - name: sram_buffer
    attributes: {technology: "must_specify", rows: "must_specify"}
    subcomponents: []
    actions: []
"""


WHOLE = (DATA / "weight_stationary_w8.yaml").read_text()


@pytest.mark.parametrize("first", [True, False])
def test_the_classes_in_an_architecture_file_come_along(tmp_path: Path, first: bool) -> None:
    (tmp_path / "a.yaml").write_text(CLASSES + WHOLE if first else WHOLE + CLASSES)
    own = energy.own_components(load(tmp_path / "a.yaml").components_text, "a")
    assert own is not None and list(own) == ["sram_buffer"]
    assert load(DATA / "weight_stationary_w8.yaml").components_text == ""
