from pathlib import Path

import pytest

from tests.energy.reference import DATA, TIMELOOP
from tqhw.energy.components import load_components, packaged_components, parse_components
from tqhw.errors import TqhwError
from tqhw.spec import yamlio

ONE = """\
components:
  version: 0.4
  classes:
  - name: store
    attributes: {technology: "must_specify", bits: 8}
    subcomponents:
    - {name: 'cell[1..bits]', class: reg, area_scale: 0.5, attributes: {width: 1, energy_scale: bits/2}}
    actions:
    - name: read
      arguments: {n: 0..1}
      subcomponents: [{name: 'cell[1..bits]', actions: [{name: read, repeat: 2, arguments: {n: n}}]}]
    - {name: write, subcomponents: []}
"""


def parse(text: str) -> object:
    return parse_components(yamlio.parse(text, "c.yaml"), "c.yaml")


def test_a_class_read() -> None:
    store = parse_components(yamlio.parse(ONE, "c.yaml"), "c.yaml")["store"]
    assert list(store.actions) == ["read", "write"]
    (cell,) = store.subcomponents
    assert (cell.name, cell.class_, cell.area_scale, cell.energy_scale) == ("cell[1..bits]", "reg", 0.5, "bits/2")
    (step,) = store.actions["read"].steps
    assert (step.calls[0].name, step.calls[0].energy_scale, step.calls[0].arguments) == ("read", 2, {"n": "n"})
    assert store.place == "c.yaml:4"
    assert store.actions["write"].steps == ()


@pytest.mark.parametrize("path", [TIMELOOP / "components.yaml", DATA / "accelergy" / "components.yaml"])
def test_the_reference_files_load(path: Path) -> None:
    assert {"int_mac", "register_file", "sram_buffer"} <= set(load_components(path))


def test_the_packaged_classes() -> None:
    assert {"dram_channel", "sram_buffer", "int_mac", "smartbuffer_RF"} <= set(packaged_components())
    for class_ in packaged_components().values():
        needed = {"compute", "leak"} if "mac" in class_.name else {"read", "write", "update", "leak"}
        assert set(class_.actions) == needed, class_.name


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("components:", "component:", r"c.yaml: there is no 'components' in the file"),
        ("0.4", "0.3", "c.yaml:2: version: version 0.3 is not read"),
        ("classes:", "clases:", "c.yaml:2: unknown key 'clases' .*did you mean 'classes'"),
        ("area_scale", "area_share", "c.yaml:7: unknown key 'area_share' .*did you mean 'area_scale'"),
        ("repeat", "action_share", "unknown key 'action_share'"),
        ("repeat: 2", "repeat: 2, energy_scale: 3", "'energy_scale' and 'repeat' are the same"),
        ("    subcomponents:\n", "    primitive_type: SRAM\n    subcomponents:\n", "'primitive_type' is not modelled"),
        ("name: store", "nam: store", "unknown key 'nam'"),
        ("name: store", "name: 3", "c.yaml:4: an entry needs 'name', found '3'"),
        ("class: reg, ", "", "c.yaml:7: an entry needs 'class', found 'None'"),
        ("subcomponents: []", "subcomponents: ", "'subcomponents' must be a list .*if it is empty"),
        ("{name: write", "{name: read", "two actions are named 'read', of which Accelergy would take the last"),
        (
            "    actions:\n",
            "    - {name: cell, class: reg}\n    actions:\n",
            "c.yaml:8: two subcomponents are named 'cell', .*the other is at c.yaml:7",
        ),
        (
            "subcomponents: []",
            "subcomponents: [{name: cell, actions: []}, {name: cell, actions: []}]",
            "two entries of one action are named 'cell'",
        ),
        ('{technology: "must_specify", bits: 8}', "8", "'attributes' must be a mapping, found '8'"),
    ],
)
def test_refused(old: str, new: str, message: str) -> None:
    assert old in ONE
    with pytest.raises(TqhwError, match=message):
        parse(ONE.replace(old, new, 1))


def test_two_classes_of_one_name() -> None:
    text = ONE + ONE.partition("classes:\n")[2]
    with pytest.raises(TqhwError, match=r"c.yaml:13: two classes are named 'store' .*the other is at c.yaml:4"):
        parse(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match="no such file"):
        load_components(tmp_path / "components.yaml")


def test_an_empty_and_a_wrong_document() -> None:
    with pytest.raises(TqhwError, match="the file is empty"):
        parse("")
    with pytest.raises(TqhwError, match="a component file must be a mapping"):
        parse("- 1")
