import pytest

from tests.energy.reference import COMMON, DATA, accelergy_components, accelergy_tables, close
from tqhw.energy.build import build
from tqhw.energy.components import Components, load_components, parse_components
from tqhw.energy.part import Part
from tqhw.errors import TqhwError
from tqhw.spec import yamlio

CLASSES = """\
components:
  version: 0.4
  classes:
  - name: inner
    attributes: {bits: "must_specify", kind: 'row', double: bits * 2}
    subcomponents:
    - {name: 'cell[1..double]', class: reg, attributes: {width: bits}}
    actions:
    - {name: read, subcomponents: [{name: 'cell[1..bits]', actions: [{name: read}]}]}
  - name: outer
    attributes: {rows: 2}
    subcomponents:
    - {name: one, class: inner, energy_scale: rows, attributes: {bits: rows}}
    - {name: add, class: intadder, attributes: {width: rows}}
    actions:
    - {name: read, subcomponents: [{name: one, actions: [{name: read}]}, {name: add, actions: [{name: add}]}]}
"""
REG, ADDER = 0.009, 0.21 / 32


def classes(old: str = "", new: str = "") -> Components:
    assert old in CLASSES
    return parse_components(yamlio.parse(CLASSES.replace(old, new, 1) if old else CLASSES, "c.yaml"), "c.yaml")


def part(attributes: dict[str, object] | None = None, components: Components | None = None) -> Part:
    return build("outer", {**COMMON, **(attributes or {})}, components or classes(), "a.yaml:9")


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_every_rule_of_inheritance_range_scale_and_argument_as_accelergy_has_it(name: str) -> None:
    folder = DATA / "quirks"
    energies, areas = accelergy_tables(folder)
    own = load_components(folder / "components.yaml")
    (item,) = [c for c in accelergy_components(folder / "architecture.yaml") if c["name"] == name]
    scales = (item.get("energy_scale", 1.0), item.get("area_scale", 1.0))
    built = build(item["class"], item["attributes"], own, "a", *scales)
    for action, energy in energies[name].items():
        assert built.highest_energy_pj(action, "a") == close(energy, 1e-10), action
    assert built.area_um2() == close(areas[name], 1e-10)


def test_energies_add_up_from_the_primitives() -> None:
    # 2 cells of 2 bits read, twice over by the scale, and a 2-bit add.
    assert part().energy_pj("read", "a") == close(2 * 2 * 2 * REG + 2 * ADDER)
    assert part({"rows": 4}).energy_pj("read", "a") == close(4 * 4 * 4 * REG + 4 * ADDER)


def test_areas_count_whole_ranges() -> None:
    assert part().area_um2() == close(4 * 2 * 5.98 + 278 * 2 / 32)


def test_scales_of_the_architecture_multiply_everything() -> None:
    scaled = build("outer", COMMON, classes(), "a", energy_scale=3, area_scale=0.5)
    assert scaled.energy_pj("read", "a") == close(3 * part().energy_pj("read", "a"))
    assert scaled.area_um2() == close(part().area_um2() / 2)


def test_a_nested_default_sees_the_parents_attribute_of_a_name_set_further_down() -> None:
    reordered = classes("{bits: \"must_specify\", kind: 'row', double: bits * 2}", "{double: bits * 2, bits: 3}")
    # `double` comes before `bits` in the class: it takes the outer class's bits, as in Accelergy.
    outer = parse_components(yamlio.parse(CLASSES.replace("{rows: 2}", "{rows: 2, bits: 5}"), "c.yaml"), "c.yaml")[
        "outer"
    ]
    built = part(components={**reordered, "outer": outer})
    assert built.parts["one"].parts["cell"].count == 10


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "bits: rows",
            "bit: rows",
            r"c.yaml:13: attributes: class 'inner' needs the attribute 'bits' \(did you mean 'bit'",
        ),
        (
            "class: intadder",
            "class: inadder",
            r"c.yaml:14: unknown component class 'inadder' \(did you mean 'intadder'",
        ),
        ("class: intadder", "class: iner", r"unknown component class 'iner' \(did you mean 'inner'"),
        ("class: reg", "class: outer", "c.yaml:7: class 'outer' contains itself: outer > inner > outer"),
        ("width: rows", "width: rwos", "c.yaml:14: attributes: width: unknown name in the expression 'rwos'.*'rows'"),
        ("width: rows", "width: rows - 2", "c.yaml:14: intadder: width '0' must be a whole number"),
        ("width: rows", "width: log2(rows - 2)", "c.yaml:14: attributes: width: cannot evaluate"),
        ("double: bits * 2", "double: bits *", r"c.yaml:4: attributes: double: 'bits \*' is no expression"),
        ("cell[1..double]", "cell[1..0]", "c.yaml:7: name: the range '1..0' is 1..0, which ends before it starts"),
        ("cell[1..double]", "cell[1..2**30]", ""),
        ("cell[1..bits]", "cell[1..bits*3]", r"c.yaml:9: 'cell\[1..bits\*3\]' means cell 1..6, there are 1..4"),
        ("cell[1..bits]", "cell[0]", r"'cell\[0\]' means cell 0..0, there are 1..4"),
        ("cell[1..bits]", "cels", "c.yaml:9: unknown subcomponent of class 'inner' 'cels' .*did you mean 'cell'"),
        ("energy_scale: rows", "energy_scale: 0 - rows", "c.yaml:13: energy_scale: '0 - rows' gives '-2', it must be"),
        (
            "{name: one, actions: [{name: read}]}",
            "{name: one, actions: [{name: raed}]}",
            "c.yaml:16: unknown action of class 'inner' 'raed'",
        ),
        ("{name: add}", "{name: ad}", "c.yaml:14: unknown action of intadder 'ad'"),
        ("name: add,", "name: 'add[0]',", ""),
    ],
)
def test_refused(old: str, new: str, message: str) -> None:
    components = classes(old, new)
    if not message:  # large ranges and a single index are fine
        assert part(components=components).energy_pj("read", "a") > 0
        return
    with pytest.raises(TqhwError, match=message):
        part(components=components).energy_pj("read", "a")


def test_an_index_on_a_subcomponent_without_a_range() -> None:
    with pytest.raises(TqhwError, match=r"'add\[0\]' means add 0..0, there is one without a range"):
        part(components=classes("{name: add, actions", "{name: 'add[0]', actions")).energy_pj("read", "a")


def test_an_attribute_that_the_architecture_must_specify() -> None:
    with pytest.raises(TqhwError, match=r"a.yaml:9: class 'inner' needs the attribute 'bits' \(did you mean 'bit'\?"):
        build("inner", {**COMMON, "bit": 3}, classes(), "a.yaml:9")


def test_a_tree_that_explodes() -> None:
    bomb = "components:\n  version: 0.4\n  classes:\n"
    for i in range(20):
        inner = "reg" if i == 19 else f"c{i + 1}"
        attributes = "{width: 1}"
        bomb += f"  - {{name: c{i}, attributes: {{}}, actions: [], subcomponents: ["
        bomb += ", ".join(f"{{name: s{j}, class: {inner}, attributes: {attributes}}}" for j in range(3)) + "]}\n"
    with pytest.raises(TqhwError, match="class 'c0' has more than 10000 parts"):
        build("c0", COMMON, parse_components(yamlio.parse(bomb, "c.yaml"), "c.yaml"), "a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{n: 3}", "arguments: n: '3' is no range .*write first..last"),
        ("{n: 2..1}", "the range '2..1' is 2..1, which ends before it starts"),
        ("{n: 0..999, m: 0..999}", "the arguments have more than 10000 combinations"),
    ],
)
def test_bad_arguments(arguments: str, message: str) -> None:
    text = CLASSES.replace("    - {name: read,", f"    - {{name: read, arguments: {arguments},", 1)
    components = parse_components(yamlio.parse(text, "c.yaml"), "c.yaml")
    with pytest.raises(TqhwError, match=message):
        build("inner", {**COMMON, "bits": 2}, components, "a").highest_energy_pj("read", "a")
