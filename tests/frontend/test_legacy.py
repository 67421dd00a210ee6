"""Trees of 0.2 and 0.3, and what the front end and the programs write."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontend.files import write
from tqhw.errors import TqhwError
from tqhw.frontend import convert, load_machine, load_mapping, load_problem, process, sources
from tqhw.spec import flatten, yamlio

TREE = """\
architecture:
  version: 0.3
  subtree:
  - name: system
    attributes: {technology: "45nm", global_cycle_seconds: 1e-9}
    local:
    - name: DRAM
      class: DRAM
      attributes: {width: 64, word-bits: 8, bandwidth: 4}
    subtree:
    - name: chip
      local:
      - name: glb
        class: my_SRAM
        attributes: {memory_depth: 1024, memory_width: 64, word_bits: 8}
      subtree:
      - name: PE[0..15]
        local:
        - {name: "spad[0..1]", class: smartbuffer_RF, attributes: {depth: 64, width: 16, datawidth: 8, meshX: 16}}
        - {name: "mac[0..1]", class: intmac, attributes: {datawidth: 8, meshX: 16}}
"""
PROBLEM = """\
problem:
  version: 0.3
  shape: cnn-layer
  instance: {R: 3, S: 3, P: 8, Q: 8, C: 16, K: 32, N: 1, Wstride: 2}
"""
CONSTRAINTS = """\
architecture_constraints:
  targets:
  - {target: glb, type: spatial, factors: C=16 K2, permutation: CK, split: 1}
  - {target: spad, type: bypassing, keep: [Weights], bypass: [Inputs]}
  - {target: spad, type: temporal, factors: "R3,S<=3", permutation: RS}
"""
MAPPING = """\
mapping:
- {target: DRAM, type: temporal, factors: R=1 S=1 P=0 Q=8 C=1 K=1 N=1, permutation: RSPQCKN}
- {target: glb, type: temporal, factors: R1 S1 P1 Q1 C1 K16 N1, permutation: RSPQCKN}
- {target: glb, type: spatial, factors: C=16 K=2, permutation: CKNRSPQ, split: 1}
- {target: spad, type: temporal, factors: R=3 S=3, permutation: RSPQCKN}
- {target: spad, type: datatype, keep: [Weights, Inputs, Outputs], bypass: []}
"""


def machine(folder: Path, **texts: str):  # type: ignore[no-untyped-def]
    write(folder, **texts)
    return load_machine(sources([folder / f"{name}.yaml" for name in texts]))


def message(folder: Path, text: str) -> str:
    with pytest.raises(TqhwError) as refusal:
        machine(folder, t=text)
    return str(refusal.value)


def test_the_tree(tmp_path: Path) -> None:
    found = machine(tmp_path, t=TREE, c=CONSTRAINTS)
    hardware = flatten(found.architecture)
    spad, spread, glb, dram = hardware.levels
    assert [level.name for level in hardware.levels] == ["spad", "inter_PE_spatial", "glb", "DRAM"]
    assert (spad.meshX, spad.meshY, spad.instances) == (16, 2, 32)
    assert (spread.fanoutX, spread.fanoutY) == (16, 2)
    assert (glb.size, glb.block_size, glb.word_bits) == (8192, 8, 8)
    assert (dram.read_bandwidth, dram.write_bandwidth) == (2, 2)  # half of `bandwidth` each
    assert hardware.compute.instances == 32
    assert found.architecture.component("glb").subclass == "my_SRAM"
    assert found.architecture.variables["technology"] == "45nm"
    assert spread.constraints.spatial.factors == {"C": 16, "K": 2}
    assert spread.constraints.spatial.split == 1
    assert spad.constraints.bypass == ("Inputs",)
    assert (spad.constraints.temporal.factors, spad.constraints.temporal.at_most) == ({"R": 3}, {"S": 3})


def test_variables_beside_a_tree_say_what_its_root_does_not(tmp_path: Path) -> None:
    bare = TREE.replace(", global_cycle_seconds: 1e-9", "")
    found = machine(tmp_path, t=bare, v="variables: {version: 0.4, global_cycle_seconds: 2e-9, technology: 16nm}\n")
    variables = found.architecture.variables
    assert (variables["global_cycle_seconds"], variables["technology"]) == (2e-9, "45nm")
    assert "global_cycle_seconds" not in machine(tmp_path, t=bare).architecture.variables
    two = {"v": "variables: {global_cycle_seconds: 2e-9}\n", "w": "variables: {global_cycle_seconds: 3e-9}\n"}
    assert machine(tmp_path, t=bare, **two).architecture.variables["global_cycle_seconds"] == 3e-9
    with pytest.raises(TqhwError, match="variables"):
        machine(tmp_path, t=bare, v="variables: [1]\n")


def test_the_problem_by_name_and_with_hyphens(tmp_path: Path) -> None:
    write(
        tmp_path, p=PROBLEM, old="problem: {shape: cnn-layer, R: 3, S: 3, P: 8, Q: 8, C: 16, K: 32, N: 1, Wstride: 2}\n"
    )
    found = load_problem(sources(tmp_path / "p.yaml"))
    assert found.computes == 3 * 3 * 8 * 8 * 16 * 32
    assert found.coefficients == {"Wstride": 2, "Hstride": 1, "Wdilation": 1, "Hdilation": 1}
    assert load_problem(sources(tmp_path / "old.yaml")).bounds == found.bounds
    text = (
        "problem:\n  shape:\n    name: mm\n    dimensions: [M, K]\n    data-spaces:\n"
        "    - {name: A, projection: [[[M]], [[K]]]}\n    - {name: B, projection: [[[K]]]}\n"
        "    - {name: Z, projection: [[[M]]], read-write: True}\n  instance: {M: 2, K: 3}\n"
    )
    write(tmp_path, h=text)
    hyphens = load_problem(sources(tmp_path / "h.yaml"))
    assert [space.name for space in hyphens.shape.data_spaces if space.read_write] == ["Z"]


def test_the_mapping_gives_loops_over_space_to_the_fan_out(tmp_path: Path) -> None:
    write(tmp_path, p=PROBLEM, m=MAPPING)
    layer = load_problem(sources(tmp_path / "p.yaml"))
    found = load_mapping(sources(tmp_path / "m.yaml"), layer, flatten(machine(tmp_path, t=TREE).architecture))
    spatial = found.level("inter_PE_spatial").spatial
    assert spatial is not None
    assert spatial.factors == {"C": 16, "K": 2}
    assert found.level("DRAM").temporal.factors["P"] == 8


def test_links_that_a_mapping_forbids_live_on(tmp_path: Path) -> None:
    assert MAPPING.count("type: spatial,") == 1
    mapping = MAPPING.replace("type: spatial,", "type: spatial, no_link_transfer: [Inputs],")
    write(tmp_path, all=TREE + PROBLEM + mapping)
    document = convert(sources(tmp_path / "all.yaml"))["mapping.yaml"]
    (found,) = [entry for entry in document["mapping"] if "no_link_transfer" in entry]
    assert (found["target"], found["type"], found["no_link_transfer"]) == ("PE", "spatial", ["Inputs"])


def test_a_new_life(tmp_path: Path) -> None:
    write(tmp_path, all=TREE + PROBLEM + MAPPING)
    clean = tmp_path / "clean"
    for name, document in convert(sources(tmp_path / "all.yaml")).items():
        yamlio.write_text(clean / name, yamlio.dump(document))
    assert sorted(path.name for path in clean.iterdir()) == ["architecture.yaml", "mapping.yaml", "problem.yaml"]
    names = [level["name"] for level in process([clean]).levels]  # the front end takes them
    assert names == ["DRAM[1..1]", "glb[1..1]", "inter_PE_spatial[1..1]", "spad[1..32]", "mac[1..32]"]
    before, after = (load_machine(sources(path)) for path in (tmp_path / "all.yaml", clean / "architecture.yaml"))
    assert flatten(before.architecture).levels == flatten(after.architecture).levels
    layer = load_problem(sources(clean / "problem.yaml"))
    assert layer == load_problem(sources(tmp_path / "all.yaml")).__class__(
        layer.shape, "problem", layer.bounds, layer.coefficients
    )


def test_a_flat_tree_of_the_front_end(tmp_path: Path) -> None:
    text = """\
dumped_by_timeloop_front_end: true
architecture:
  version: '0.4'
  subtree:
  - name: system_top_level
    attributes: {version: '0.4', technology: "45nm", global_cycle_seconds: 1e-9}
    local:
    - {name: "DRAM[1..1]", class: DRAM, attributes: {width: 64, datawidth: 8, n_banks: 2, meshX: 1, meshY: 1}}
    - {name: "inter_col_spatial[1..1]", class: dummy_storage, attributes: {depth: 1, datawidth: 1, meshX: 1, meshY: 1}}
    - {name: "inter_buf_spatial[1..6]", class: dummy_storage, attributes: {depth: 1, datawidth: 1, meshX: 6, meshY: 1}}
    - name: buf[1..18]
      class: storage
      attributes: {depth: 64, width: 64, datawidth: 8, meshX: 6, meshY: 3, power_gated_at: null}
    - {name: "mac[1..18]", class: intmac, attributes: {meshX: 6, meshY: 3}}
architecture_constraints:
  targets:
  - {type: spatial, factors: "K=3", permutation: KMN, target: inter_buf_spatial}
  - {type: temporal, factors: "M=1,K=1,N=1", permutation: MKN, target: inter_buf_spatial}
  - {type: bypass, bypass: [A], target: buf}
"""
    found = machine(tmp_path, t=text)
    hardware = flatten(found.architecture)
    assert [level.name for level in hardware.levels] == ["buf", "inter_buf_spatial", "inter_col_spatial", "DRAM"]
    assert [(level.fanoutX, level.fanoutY) for level in hardware.levels[1:3]] == [(1, 3), (6, 1)]
    assert hardware.levels[1].constraints.spatial.factors == {"K": 3}
    assert hardware.levels[0].constraints.bypass == ("A",)


def test_the_form_before_trees(tmp_path: Path) -> None:
    text = """\
arch:
  arithmetic: {instances: 64, word-bits: 8}
  storage:
  - {name: Registers, entries: 1, instances: 64, word-bits: 8}
  - {name: Buffer, depth: 64, width: 64, entries: 512, instances: 16, word-bits: 8, block-size: 8}
  - {name: DRAM, technology: "DRAM", word-bits: 8, block-size: 64, bandwidth: 20.0}
mapspace:
  constraints:
  - {target: Registers, type: datatype, keep: [Weights], bypass: [Inputs, Outputs]}
"""
    found = machine(tmp_path, t=text)
    hardware = flatten(found.architecture)
    names = ["Registers", "inter_Registers_array_spatial", "Buffer", "inter_Buffer_array_spatial", "DRAM"]
    assert [level.name for level in hardware.levels] == names
    assert [level.instances for level in hardware.levels] == [64, 16, 16, 1, 1]
    assert (hardware.levels[2].size, hardware.levels[4].read_bandwidth) == (512, 10)
    assert found.architecture.component("DRAM").class_ == "DRAM"
    assert hardware.levels[0].constraints.bypass == ("Inputs", "Outputs")
    assert hardware.compute.instances == 64


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("PE[0..15]", "PE[0..x]", "'PE[0..x]' has a broken range"),
        ("PE[0..15]", "PE[15..0]", "'PE[15..0]' has a broken range"),
        ("PE[0..15]", "PE[0..15", "'PE[0..15' has a broken range"),
        ("meshX: 16}}\n        - {name", "meshX: 5}}\n        - {name", "the 32 instances of 'spad' are no mesh of 5"),
        ("class: intmac", "class: latch", "unknown component class 'latch'"),
        ("class: intmac", "class: XY_NoC", "not modelled: the network 'mac'"),
        ("      class: DRAM\n", "", "'DRAM' has no class"),
        (
            "architecture:\n",
            "sparse_optimizations: {targets: [{}]}\narchitecture:\n",
            "not modelled: sparse_optimizations",
        ),
    ],
)
def test_bad_trees(old: str, new: str, found: str, tmp_path: Path) -> None:
    assert old in TREE
    assert found in message(tmp_path, TREE.replace(old, new))


def test_constraints_on_nothing(tmp_path: Path) -> None:
    text = TREE + CONSTRAINTS.replace("target: glb", "target: glob")
    assert "unknown target 'glob' (did you mean 'glb'?" in message(tmp_path, text)
    text = TREE + CONSTRAINTS.replace("type: bypassing", "type: skew")
    assert "unknown constraint type 'skew'" in message(tmp_path, text)


def test_a_size_beside_a_shape_by_name_is_told_with_its_line(tmp_path: Path) -> None:
    text = "problem:\n  C: 1\n  K: 2\n  N: 1\n  P: 4\n  Q: 4\n  R: 3\n  S: 3\n  Wdilation: -1\n  shape: cnn-layer\n"
    write(tmp_path, p=text)
    with pytest.raises(TqhwError, match=rf"^{tmp_path}/p.yaml:\d+: instance: Wdilation: '-1' must be a whole number"):
        load_problem(sources([tmp_path / "p.yaml"]))


PRODUCTS = {  # what stands in Timeloop's problem-shapes: the ranks of each data space, the written one last
    "gemm_ABZ": {"A": "MK", "B": "NK", "Z": "MN"},
    "gemm": {"A": "MK", "B": "NK", "C": "MN", "D": "MN"},
}


@pytest.mark.parametrize("name", ["gemm_ABZ", "gemm-ABZ", "gemm_ABZ.yaml", "gemm"])
def test_products_by_name(name: str, tmp_path: Path) -> None:
    write(tmp_path, p=f"problem: {{shape: {name}, instance: {{M: 2, N: 3, K: 5}}}}\n")
    shape = load_problem(sources(tmp_path / "p.yaml")).shape
    ranks = PRODUCTS[name.partition(".")[0].replace("-", "_")]
    assert shape.dimensions == ("M", "N", "K")
    assert {d.name: "".join(term.dimension for (term,) in d.projection) for d in shape.data_spaces} == ranks
    assert [d.name for d in shape.data_spaces if d.read_write] == [list(ranks)[-1]]


@pytest.mark.parametrize("name", ["cnn_layer", "cnn-layer", "cnn-layer.yaml"])
def test_the_convolution_by_name(name: str, tmp_path: Path) -> None:
    write(tmp_path, p=PROBLEM.replace("cnn-layer", name))
    shape = load_problem(sources(tmp_path / "p.yaml")).shape
    assert shape.dimensions == tuple("RSPQCKN")
    assert shape.coefficients == dict.fromkeys(("Wstride", "Hstride", "Wdilation", "Hdilation"), 1)
    terms = {d.name: [[(t.dimension, t.coefficient) for t in rank] for rank in d.projection] for d in shape.data_spaces}
    assert terms == {
        "Weights": [[("C", None)], [("K", None)], [("R", None)], [("S", None)]],
        "Inputs": [
            [("N", None)],
            [("C", None)],
            [("R", "Wdilation"), ("P", "Wstride")],
            [("S", "Hdilation"), ("Q", "Hstride")],
        ],
        "Outputs": [[("N", None)], [("K", None)], [("Q", None)], [("P", None)]],
    }


@pytest.mark.parametrize(
    "text",
    [
        "problem: {R: 3, S: 3, P: 8, Q: 8, C: 16, K: 32, N: 1, Wdilation: 0}\n",
        "problem: {name: some-layer, instance: {R: 3, S: 3, P: 8, Q: 8, C: 16, K: 32, N: 1, Wdilation: 0}}\n",
    ],
)
def test_a_problem_without_a_shape_is_a_convolution_and_says_so(text: str, tmp_path: Path) -> None:
    write(tmp_path, p=text)
    found = load_problem(sources(tmp_path / "p.yaml"))
    assert found.shape.name == "cnn_layer"
    assert found.extents(found.shape.data_spaces[1]) == (1, 16, 8, 10)  # R does not move the first
    assert "no shape is given: cnn_layer, as in Timeloop" in found.notes[0]


def test_version_0_4_needs_a_shape(tmp_path: Path) -> None:
    write(tmp_path, p="problem: {version: 0.4, instance: {R: 3, S: 3, P: 8, Q: 8, C: 16, K: 32, N: 1}}\n")
    with pytest.raises(TqhwError, match="the problem has no 'shape'"):
        load_problem(sources(tmp_path / "p.yaml"))


DEPTHWISE = """\
shape:
  name: depthwise
  dimensions: [R, P, C]
  data-spaces:
  - {name: W, projection: [[[C]], [[R]]]}
  - {name: I, projection: [[[C]], [[R], [P]]]}
  - {name: O, projection: [[[C]], [[P]]], read-write: true}
"""


def test_shapes_in_the_folders_that_timeloop_looks_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shapes").mkdir()
    write(tmp_path / "shapes", **{"own-layer": DEPTHWISE, "empty": "name: x\n"})
    write(tmp_path, p="problem: {shape: own-layer, instance: {R: 3, P: 8, C: 2}}\n", e="problem: {shape: empty}\n")
    with pytest.raises(TqhwError, match=r"unknown problem shape 'own-layer'.*own-layer.yaml into TIMELOOP_PROBLEM_SHA"):
        load_problem(sources(tmp_path / "p.yaml"))
    monkeypatch.setenv("TIMELOOP_PROBLEM_SHAPE_DIRS", f"{tmp_path}/nowhere:{tmp_path}/shapes")
    found = load_problem(sources(tmp_path / "p.yaml"))
    assert found.shape.name == "depthwise"
    assert found.shape.data_space_names == ("W", "I", "O")
    with pytest.raises(TqhwError, match=r"empty.yaml: no 'shape' in the file of a shape"):
        load_problem(sources(tmp_path / "e.yaml"))


def test_instances_of_an_entry_stand_for_its_ranges(tmp_path: Path) -> None:
    text = TREE.replace("depth: 64, width: 16,", "instances: 64, depth: 64, width: 16,").replace(
        "attributes: {datawidth: 8, meshX: 16}", "attributes: {instances: 64, datawidth: 8, meshX: 16}"
    )
    hardware = flatten(machine(tmp_path, t=text).architecture)
    assert (hardware.levels[0].meshX, hardware.levels[0].meshY) == (16, 4)
    assert (hardware.compute.meshX, hardware.compute.meshY) == (16, 4)
    plain = flatten(machine(tmp_path, t=text.replace("meshX: 16", "n_banks: 2")).architecture)
    assert (plain.levels[0].meshX, plain.levels[0].meshY) == (64, 1)
    assert "the mesh of 'spad', 0, must be a whole number" in message(
        tmp_path, text.replace("instances: 64", "instances: 0")
    )


def test_entries_count_and_the_depth_is_for_the_energies(tmp_path: Path) -> None:
    text = TREE.replace("memory_depth: 1024,", "memory_depth: 1024, entries: 100,")
    found = machine(tmp_path, t=text)
    assert flatten(found.architecture).levels[2].size == 100
    assert found.architecture.component("glb").attributes["depth"] == 1024


def test_two_widths_of_a_word_are_refused(tmp_path: Path) -> None:
    """Timeloop reads word_bits, then word_width, then datawidth (buffer.cpp)."""
    for words in ("word_width: 8", "word_bits: 8, datawidth: 8"):
        glb = machine(tmp_path, a=TREE.replace("word_bits: 8", words)).architecture.component("glb")
        assert glb.attributes["datawidth"] == 8
    for old in ("word-bits", "word_width"):
        found = message(tmp_path, TREE.replace("word_bits: 8", f"{old}: 16, datawidth: 8"))
        assert f"'glb' has {old.replace('-', '_')} 16 and datawidth 8 (keep one: Timeloop counts with" in found
        assert str(tmp_path / "t.yaml") in found


def test_a_row_of_several_blocks_is_of_several_instances(tmp_path: Path) -> None:
    """As ParseSpecs of buffer.cpp has it where no cluster_size is given."""
    text = TREE.replace("width: 16, datawidth: 8", "width: 32, block-size: 2, datawidth: 8")
    spad = flatten(machine(tmp_path, t=text).architecture).levels[0]
    assert (spad.cluster_size, spad.block_size, spad.size) == (2, 2, 128)


def test_a_memory_without_a_width_has_timeloops_words(tmp_path: Path) -> None:
    text = TREE.replace("depth: 64, width: 16, datawidth: 8,", "depth: 64,")
    spad = flatten(machine(tmp_path, t=text).architecture).levels[0]
    assert (spad.word_bits, spad.size) == (16, 64)
