import pytest

from tests.spec.documents import ARCHITECTURE, ARCHITECTURES, DATA, message
from tqhw.errors import TqhwError
from tqhw.spec import (
    Architecture,
    Component,
    Constraints,
    Container,
    Nothing,
    Parallel,
    flatten,
    load_architecture,
    parse_architecture,
    without_constraints,
    yamlio,
)


def load(text: str) -> Architecture:
    return parse_architecture(yamlio.parse(text, "a.yaml"), "a.yaml")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_reference_architectures_load(name: str) -> None:
    architecture = load_architecture(DATA / "arch" / f"{name}.yaml")
    assert architecture.name == name
    assert architecture.variables["global_cycle_seconds"] == 1e-9
    assert all(c.attributes["technology"] == "45nm" for c in architecture.components())


def test_the_tree() -> None:
    text = ARCHITECTURE.replace(
        "  - !Container\n    name: PE\n",
        "  - !Parallel\n    nodes: [!Component {name: side, class: SRAM}, !Nothing {}]\n  - !Container\n    name: PE\n",
    )
    nodes = load(text).nodes
    assert [type(n) for n in nodes] == [Container, Component, Component, Parallel, Container, Component]
    parallel = nodes[3]
    assert isinstance(parallel, Parallel)
    assert [type(n) for n in parallel.nodes] == [Component, Nothing]
    assert [c.name for c in load(text).components()] == ["DRAM", "buffer", "side", "mac"]


def test_attributes_are_inherited_and_expressions_resolved() -> None:
    text = ARCHITECTURE.replace('{technology: "45nm"}', '{technology: "45nm", rows: 8 * lanes, mode: "lanes"}')
    text = text.replace("depth: 1024", "depth: rows * 2, type: LPDDR4, extra: ceil(log2(rows))")
    text = text.replace("{meshX: 4}", "{meshX: lanes}")
    architecture = load(text)
    buffer = architecture.component("buffer")
    assert buffer.own == {"width": 64, "depth": 64, "datawidth": 8, "type": "LPDDR4", "extra": 5}
    assert buffer.attributes["rows"] == 32
    assert buffer.attributes["mode"] == "lanes"  # quoted: a text, not an expression
    assert flatten(architecture).compute.instances == 4


def test_siblings_of_a_parallel_do_not_inherit_from_each_other() -> None:
    text = ARCHITECTURE.replace(
        "  - !Container\n    name: PE\n",
        "  - !Parallel\n    nodes:\n    - !Hierarchical\n      nodes:\n"
        "      - !Container {name: left, attributes: {side: 1}}\n"
        "      - !Component {name: a, class: SRAM}\n"
        "    - !Component {name: b, class: SRAM}\n  - !Container\n    name: PE\n",
    )
    architecture = load(text)
    assert architecture.component("a").attributes["side"] == 1
    assert "side" not in architecture.component("b").attributes


def test_without_constraints() -> None:
    constrained = load_architecture(DATA / "arch" / "eyeriss_like.yaml")
    free = without_constraints(constrained)
    assert any(c.constraints != Constraints() for c in constrained.components())
    assert all(c.constraints == Constraints() for c in free.components())
    assert [c.name for c in free.components()] == [c.name for c in constrained.components()]


def test_an_unknown_component_offers_the_nearest() -> None:
    with pytest.raises(TqhwError, match=r"a.yaml: unknown component 'bufer' \(did you mean 'buffer'\?"):
        load(ARCHITECTURE).component("bufer")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("class: compute", "class: storage", ["a.yaml", "needs exactly one compute component, found 0"]),
        ("class: storage", "class: mac", ["needs exactly one compute component, found 2"]),
        ("name: buffer", "name: DRAM", ["a.yaml:11", "two nodes are named 'DRAM'", "the other is at a.yaml:7"]),
        ("name: PE", "name: mac", ["two nodes are named 'mac'"]),
        ("name: buffer", "name: 5", ["a.yaml:12: name", "a node's name must be a name, found '5'"]),
        ("name: buffer", "nam: buffer", ["a.yaml:11", "unknown key 'nam'", "did you mean 'name'?"]),
        ("name: buffer\n", "\n", ["a.yaml:11", "the node has no name", "add `name:`"]),
        ("class: storage", "class: storag", ["a.yaml:13: class", "unknown component class 'storag'", "'storage'"]),
        ("    class: storage\n", "", ["component 'buffer' has no class"]),
        ("class: storage", "class: storage\n    subclass: [a]", ["a subclass must be a name"]),
        ("class: storage", "class: storage\n    enabled: false", ["'enabled: false' is not modelled"]),
        ("class: storage", "class: storage\n    enabled: no", ["enabled must be true or false, found 'no'"]),
        (
            "class: storage",
            "class: storage\n    energy_scale: -1",
            ["energy_scale '-1' must be a number of at least 0"],
        ),
        ("class: storage", "class: storage\n    area_scale: .nan", ["area_scale 'nan' must be"]),
        ("class: storage", "class: storage\n    sparse_optimizations: {a: 1}", ["is not modelled", "remove it"]),
        ("{width: 64, datawidth: 8}", "[width, datawidth]", ["a.yaml:10: attributes", "attributes must be a mapping"]),
        ("{meshX: 4}", "{meshX: 0}", ["a.yaml:20: meshX", "meshX '0' must be a whole number of at least 1"]),
        ("{meshX: 4}", "{meshX: 2.5}", ["meshX '2.5' must be a whole number"]),
        ("{meshX: 4}", "{meshX: .inf}", ["meshX 'inf' must be a whole number"]),
        ("{meshX: 4}", "{meshX: lines}", ["meshX 'lines' must be a whole number"]),
        ("{meshX: 4}", "{meshX: lanes / 0}", ["a.yaml:20: meshX", "cannot evaluate 'lanes / 0'"]),
        ("{meshX: 4}", "{meshx: 4}", ["unknown key 'meshx'", "did you mean 'meshX'?"]),
        ("{meshX: 4}", "4", ["spatial must be a mapping, found '4'"]),
        ("!Container\n    name: PE", "\n    name: PE", ["a node needs a tag", "!Container, !Component, !Parallel"]),
        ("!Container\n    name: PE\n    spatial: {meshX: 4}", "PE", ["a node must be a mapping, found 'PE'"]),
        ("!Container\n    name: PE\n    spatial: {meshX: 4}", "!Parallel {nodes: []}", ["at least one node"]),
        ("!Container\n    name: PE\n    spatial: {meshX: 4}", "!Parallel {nodes: x}", ["nodes must be a list"]),
        ("  nodes:\n", "  nodez:\n", ["a.yaml:2", "unknown key 'nodez'", "did you mean 'nodes'?"]),
        ("architecture:", "architecture: 5\nx:", ["unknown section 'x'", "a.yaml:2: x"]),
        ("architecture:", "architectur:", ["there is no 'architecture' in the file"]),
        ("variables:\n", "variables: 5\ncomponents:\n", ["a.yaml:24: variables", "variables must be a mapping"]),
        ("lanes: 4", "lanes: 4\n  bad: lanes ** 9999", ["cannot evaluate 'lanes ** 9999'", "1024 bits"]),
    ],
)
def test_refused(old: str, new: str, parts: list[str]) -> None:
    found = message(load, ARCHITECTURE, old, new)
    for part in parts:
        assert part in found


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("  version: 0.4\n  nodes", "  version: 0.3\n  nodes", ["a.yaml:2: version", "version '0.3' does not fit"]),
        ("  nodes:", "  subtree:", ["a.yaml:3: subtree", "a tree of Timeloop v0.2 or v0.3", "v0.4", "`nodes`"]),
        ("variables:", "constraints: {targets: [a]}\nvariables:", ["'constraints' is not read", "at their nodes"]),
        ("variables:", "globals: {environment_variables: {A: 1}}\nvariables:", ["'globals' is not read"]),
        ("variables:", "sparse_optimizations: {targets: [a]}\nvariables:", ["sparse optimizations are not modelled"]),
        ("variables:", "variabels: {a: 1}\nvariables:", ["unknown section 'variabels' (did you mean 'variables'?"]),
    ],
)
def test_sections_and_versions_that_are_not_read(old: str, new: str, parts: list[str]) -> None:
    found = message(load, ARCHITECTURE, old, new)
    for part in parts:
        assert part in found


def test_sections_that_change_nothing_are_told_once() -> None:
    more = (
        "mapper: {algorithm: random}\nproblem: {}\nmy_ignored: 5\nmapspace_constraints: {version: 0.4, targets: []}\n"
    )
    found = load(ARCHITECTURE + more)
    assert found.notes == ("a.yaml: not read here: mapper, problem, mapspace_constraints",)
    assert found == load(ARCHITECTURE)
    assert load(ARCHITECTURE).notes == ()


def test_not_an_architecture_at_all() -> None:
    assert "a.yaml: an architecture file must be a mapping, found '[1]'" in message(load, "[1]")
    assert "there must be at least one node" in message(load, "architecture: {nodes: []}")
