"""What the commands compute with: architectures, problems and mappings of the field's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.frontend.files import ARCHITECTURE, PROBLEM, arch, with_attribute, write
from tqhw.errors import TqhwError
from tqhw.frontend import load_machine, load_mapping, load_problem, sources
from tqhw.spec import Problem, flatten, load_art, load_ert, parse_art, parse_ert

SPARSE = (
    "    sparse_optimizations: {action_optimization: [{type: gating, options: [{target: A, condition_on: [B]}]}]}\n"
)
MESH = """\
  - !Container
    name: pe
    spatial: {meshX: 4}
    constraints: {spatial: {maximize_dims: [[M, K]]}}
"""


def files(folder: Path, **texts: str) -> list[Path]:
    write(folder, **texts)
    return [folder / f"{name}.yaml" for name in texts]


def problem(folder: Path) -> Problem:
    return load_problem(sources(files(folder, zz_problem=PROBLEM)))


def message(folder: Path, **texts: str) -> str:
    with pytest.raises(TqhwError) as refusal:
        load_machine(sources(files(folder, **texts)))
    return str(refusal.value)


def test_expressions_constraints_and_components_of_several_files(tmp_path: Path) -> None:
    given = files(
        tmp_path,
        a=with_attribute("n_banks: BANKS * 2").replace("class: storage", "class: my_storage"),
        v="variables: {version: 0.4, BANKS: 4}\n",
        c="mapspace_constraints: {targets: [{target: buf, type: dataspace, keep_only: [A]}]}\n",
        m="extra_components: {version: 0.4, classes: [{name: my_storage, attributes: {technology: '45nm'}}]}\n",
    )
    found = load_machine(sources(given))
    buf = found.architecture.component("buf")
    assert buf.attributes["n_banks"] == 8
    assert (buf.class_, buf.subclass) == ("storage", "my_storage")
    assert buf.constraints.kept(("A", "B", "Z"), "") == {"A": True, "B": False, "Z": False}
    assert "my_storage" in found.components
    assert [level.name for level in flatten(found.architecture).levels] == ["buf", "DRAM"]
    assert found.architecture.notes == ()


def test_the_text_reads_back(tmp_path: Path) -> None:
    first = load_machine(sources(files(tmp_path, a=with_attribute("n_banks: 4 * 2"))))
    again = load_machine(sources(files(tmp_path / "again", a=first.text)))
    assert flatten(again.architecture) == flatten(first.architecture)
    assert again.text == first.text


def test_macros_of_sizes_need_the_problem(tmp_path: Path) -> None:
    text = ARCHITECTURE.replace("  - !Component\n    name: buf", MESH + "  - !Component\n    name: buf")
    given = sources(files(tmp_path, a=text))
    found = load_machine(given, problem(tmp_path))
    container = next(node for node in found.architecture.nodes if getattr(node, "name", "") == "pe")
    assert container.constraints.spatial.factors == {"M": 4, "K": 1}  # type: ignore[union-attr]
    with pytest.raises(TqhwError, match="'maximize_dims' is not modelled"):
        load_machine(given)


@pytest.mark.parametrize(
    "expression", ["len(spec.problem.instance)", "spec.problem['instance']['M'] // 2", "len(spec['problem'].instance)"]
)
def test_expressions_that_look_at_the_problem(expression: str, tmp_path: Path) -> None:
    text = with_attribute(f"n_banks: {expression}")
    layer = problem(tmp_path)
    found = load_machine(sources(files(tmp_path, a=text)), layer, per_problem=True)
    assert found.sized
    counted = len(layer.bounds) + len(layer.coefficients) + 1  # the front end's instance has its densities, too
    wanted = layer.bounds["M"] // 2 if "M" in expression else counted
    assert found.architecture.component("buf").attributes["n_banks"] == wanted
    beside = load_machine(sources(files(tmp_path, a=text, p=PROBLEM)))  # one among the files, where none is given
    assert beside.architecture.component("buf").attributes["n_banks"] == wanted
    assert not load_machine(sources(files(tmp_path, a=with_attribute("n_banks: 2"))), layer, per_problem=True).sized
    with pytest.raises(
        TqhwError, match=r"a.yaml:\d+: n_banks: cannot evaluate '.*': no problem is given \(.*--problem"
    ):
        load_machine(sources(files(tmp_path / "alone", a=text)))


def test_a_disabled_node_and_a_nested_branch(tmp_path: Path) -> None:
    nested = "  - !Pipelined\n    nodes:\n    - !Container {name: inner, attributes: {word: 8}, spatial: {meshY: 2}}\n"
    gone = "  - !Component {name: gone, class: storage, enabled: 1 > 2, attributes: {datawidth: 8}}\n"
    text = ARCHITECTURE.replace("  - !Component\n    name: buf", nested + gone + "  - !Component\n    name: buf")
    found = load_machine(sources(files(tmp_path, a=text)))
    hardware = flatten(found.architecture)
    assert [level.name for level in hardware.levels] == ["buf", "inter_inner_spatial", "DRAM"]
    assert found.architecture.component("buf").attributes["word"] == 8  # the scope of a branch does not end


@pytest.mark.parametrize(
    ("more", "found"),
    [
        (
            {
                "s": "sparse_optimizations: {targets: [{target: buf, representation_format: "
                "{data_spaces: [{name: A, ranks: [{format: UOP}]}]}}]}\n"
            },
            "not modelled: sparse_optimizations",
        ),
        ({"g": "globals: {version: 0.4, environment_variables: {LD_PRELOAD: x}}\n"}, "variable LD_PRELOAD = x"),
        ({"g": "globals: {version: 0.4, expression_custom_functions: [f.py]}\n"}, "asks for functions in Python: f.py"),
        ({"g": "globals: {version: 0.4, accelergy_plug_ins: [p.py]}\n"}, "asks for Python: p.py"),
        ({"b": ARCHITECTURE}, "two architectures are given, at"),
        (
            {"c": "constraints: {targets: [{target: bug, type: temporal, factors: [M=1]}]}\n"},
            "unknown target 'bug' (did",
        ),
    ],
)
def test_refused_by_name(more: dict[str, str], found: str, tmp_path: Path) -> None:
    assert found in message(tmp_path, a=ARCHITECTURE, **more)


def test_what_a_node_asks_for_is_refused_by_name(tmp_path: Path) -> None:
    sparse = ARCHITECTURE.replace(
        "      datawidth: 8\n  - !Component\n    name: mac",
        f"      datawidth: 8\n{SPARSE}  - !Component\n    name: mac",
    )
    assert "a.yaml:18: sparse_optimizations: not modelled: sparse_optimizations of 'buf'" in message(tmp_path, a=sparse)
    network = ARCHITECTURE.replace("class: storage", "class: XY_NoC")
    assert "not modelled: the network of 'buf'" in message(tmp_path, a=network)


def test_variables_that_change_nothing_are_passed_over(tmp_path: Path) -> None:
    text = "globals: {version: 0.4, environment_variables: {TIMELOOP_HIDE_INCONSEQUENTIAL_STATS: 1}}\n"
    assert load_machine(sources(files(tmp_path, a=ARCHITECTURE, g=text))).architecture.component("buf")


def test_a_doubtful_class_is_a_warning(tmp_path: Path) -> None:
    text = arch(**{"class: storage": "class: mystorage2"})
    (warning,) = load_machine(sources(files(tmp_path, a=text))).architecture.notes
    assert "'buf' is read as storage, for such a word is in its class 'mystorage2'" in warning


def test_a_width_that_is_passed_over_is_a_warning(tmp_path: Path) -> None:
    words = 'datawidth: 8\n      word-bits: 16\n      memory_width: "32"'
    text = arch(**{"width: 64\n      datawidth: 8": words})
    found = load_machine(sources(files(tmp_path, a=text))).architecture
    assert any("by its word_bits, its datawidth is passed over" in note for note in found.notes)
    assert (flatten(found).levels[0].word_bits, flatten(found).levels[0].block_size) == (16, 2)


def test_a_problem_with_sizes_that_nobody_reads(tmp_path: Path) -> None:
    text = PROBLEM.replace("N: 10}", "N: 5 * 2, H: 3, Hpad: 1}")
    assert load_problem(sources(files(tmp_path, p=text))).bounds == {"M": 8, "K": 24, "N": 10}


def test_densities(tmp_path: Path) -> None:
    dense = PROBLEM.replace("N: 10}", "N: 10, densities: {A: {distribution: hypergeometric, density: 1}}}")
    assert load_problem(sources(files(tmp_path, p=dense))).bounds["M"] == 8
    with pytest.raises(TqhwError, match=r"not modelled: a density of 0\.5 of A"):
        load_problem(sources(files(tmp_path, p=dense.replace("density: 1", "density: 0.5"))))


@pytest.mark.parametrize("factors", ["[M=2, K=0, N=1]", "M=2 K=0 N=1", "M2,K0,N1", "M2 K0,0 N1"])
def test_a_zero_is_what_the_others_leave(factors: str, tmp_path: Path) -> None:
    text = (
        (
            f'mapping:\n- {{target: buf, type: temporal, factors: "{factors}"}}\n'
            "- {target: DRAM, type: temporal, factors: M=4 K=3 N=10}\n"
        )
        .replace('"[', "[")
        .replace(']"', "]")
    )
    loops = load_mapping(sources(files(tmp_path, m=text)), problem(tmp_path)).level("buf").temporal
    assert loops.factors == {"M": 2, "K": 8, "N": 1}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "mapping:\n- {target: buf, type: temporal, factors: [M=3,4]}\n",
            "factor 'M=3,4' has a remainder of 4",
        ),
        ("mapping: {a: 1}\n", "a mapping is a list of directives"),
        ("x: 1\n", "no file has 'mapping'"),
    ],
)
def test_bad_mappings(text: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match=found.replace("[", "\\[")):
        load_mapping(sources(files(tmp_path, m=text)), problem(tmp_path))


def test_a_name_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match="there is no such file"):
        sources(tmp_path / "no.yaml")


def test_no_problem_and_no_architecture(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match="no file has 'problem'"):
        load_problem(sources(files(tmp_path, a=ARCHITECTURE)))
    any_: dict[str, Any] = {"p": PROBLEM}
    assert "no file has 'architecture'" in message(tmp_path, **any_)


def test_a_lone_word_that_names_nothing_is_a_text_and_is_told(tmp_path: Path) -> None:
    """The front end refuses it without quotes, and so does `convert-spec --json`."""
    text = """\
architecture:
  version: 0.4
  nodes:
  - !Container {name: system, attributes: {technology: "45nm", global_cycle_seconds: 1e-9}}
  - !Component {name: DRAM, class: DRAM, attributes: {type: LPDDR4, width: 64, datawidth: 8}}
  - !Component {name: mac, class: intmac, attributes: {width: 8}}
"""
    (tmp_path / "a.yaml").write_text(text)
    found = load_machine(sources([tmp_path / "a.yaml"]))
    assert found.architecture.component("DRAM").attributes["type"] == "LPDDR4"
    (note,) = [line for line in found.architecture.notes if "LPDDR4" in line]
    assert "a.yaml:5: type: 'LPDDR4' names nothing and is taken as a text; quote it for Timeloop" in note


ERT = """\
ERT:
  tables:
  - {name: chip.DRAM, actions: [{name: read, energy: 512}, {name: write, arguments: null, energy: 5e2, count: 1}]}
  - {name: chip.buf, unit: pJ, actions: [{name: read, arguments: {}, energy: 1.5}, {name: write, energy: 2}]}
  - {name: chip.mac, actions: [{name: compute, energy: 0.5}]}
"""
ART = "ART: {tables: [{name: DRAM, area: 0}, {name: buf, area: 7, unit: um^2}, {name: mac, area: 1.5}]}\n"


def test_tables_beside_an_architecture_are_read_as_those_of_the_options(tmp_path: Path) -> None:
    given = files(tmp_path, a=ARCHITECTURE, e=ERT, r=ART)
    document = load_machine(sources(given)).document
    assert parse_ert(document).energies == load_ert(given[1]).energies
    assert parse_art(document).areas == load_art(given[2]).areas
    assert parse_ert(document).energies["DRAM"] == {"read": 512.0, "write": 500.0}


@pytest.mark.parametrize("energy", ["-1", "'512'", "many"])
def test_a_number_that_is_none_is_told_alike(energy: str, tmp_path: Path) -> None:
    given = files(tmp_path, a=ARCHITECTURE, e=ERT.replace("512", energy))
    with pytest.raises(TqhwError) as beside:
        load_machine(sources(given))
    with pytest.raises(TqhwError) as option:
        load_ert(given[1])
    assert str(beside.value) == str(option.value)
    assert "e.yaml:3: energy of chip.DRAM: '" in str(option.value)


def test_two_tables(tmp_path: Path) -> None:
    said = message(tmp_path, a=ARCHITECTURE, e=ERT, f=ERT)
    assert said.startswith(f"{tmp_path}/e.yaml:1: ERT: two ERTs are given, at")
    assert f"{tmp_path}/f.yaml:1: ERT" in said


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a.b.yaml", "a.b"),
        ("10_layer4.0.conv2.yml", "10_layer4.0.conv2"),
        ("plain.yaml", "plain"),
        ("of.a.template.yaml.jinja2", "of.a.template"),
        (".yaml", ".yaml"),
        ("v0.4", "v0.4"),
        ("v0.4/*.yaml", "v0.4"),
    ],
)
def test_a_name_is_that_of_the_file_whatever_dots_it_has(given: str, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "v0.4"
    folder.mkdir()
    for file in (
        "a.b.yaml",
        "10_layer4.0.conv2.yml",
        "plain.yaml",
        "of.a.template.yaml.jinja2",
        ".yaml",
        "v0.4/p.yaml",
    ):
        (tmp_path / file).write_text(PROBLEM)
    found = sources(str(tmp_path / given))
    assert found.name == name
    assert load_problem(found).name == name


def test_the_name_of_the_folder_that_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.yaml").write_text(PROBLEM)
    monkeypatch.chdir(tmp_path)
    assert sources(".").name == sources("*.yaml").name == tmp_path.name
