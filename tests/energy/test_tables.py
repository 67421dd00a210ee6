import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.energy.reference import COMMON, DATA, TIMELOOP, accelergy_components, accelergy_tables, close, rows
from tqhw import spec
from tqhw.energy import Components, component_costs, load_components, parse_components, tables
from tqhw.energy.tables import rounded
from tqhw.errors import TqhwError
from tqhw.spec import yamlio

ARCHITECTURES = sorted(path.stem for path in (TIMELOOP / "arch").glob("*.yaml"))

SMALL = """\
architecture:
  version: 0.4
  nodes:
  - !Container
    name: chip
    attributes: {technology: "45nm"}
  - !Component
    name: memory
    class: DRAM
    attributes: {width: 64, datawidth: 8}
  - !Component
    name: buffer
    class: storage
    subclass: sram_buffer
    spatial: {meshX: 3}
    attributes: {rows: 1024, row_bits: 64, width: 64, depth: 1024, datawidth: 8}
  - !Component
    name: mac
    class: compute
    subclass: int_mac
variables:
  version: 0.4
  global_cycle_seconds: 1e-9
"""


def architecture(old: str = "", new: str = "") -> spec.Architecture:
    assert old in SMALL
    return spec.parse_architecture(yamlio.parse(SMALL.replace(old, new, 1) if old else SMALL, "a.yaml"), "a.yaml")


def one_class(body: str) -> Components:
    text = f"components: {{version: 0.4, classes: [{{{body}}}]}}"
    return parse_components(yamlio.parse(text, "c.yaml"), "c.yaml")


@pytest.mark.parametrize("own_file", [True, False], ids=["its own components", "the packaged ones"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_equal_to_the_tables_that_timeloop_read(name: str, own_file: bool) -> None:
    assert len(ARCHITECTURES) == 13
    components = load_components(TIMELOOP / "components.yaml") if own_file else None
    found = tables(spec.load_architecture(TIMELOOP / "arch" / f"{name}.yaml"), components)
    ert = spec.load_ert(TIMELOOP / "ert" / f"{name}.ERT.yaml")
    art = spec.load_art(TIMELOOP / "ert" / f"{name}.ART.yaml")
    assert list(found.ert.energies) == list(ert.energies)
    assert found.ert.full_names == ert.full_names
    for component, actions in ert.energies.items():
        assert found.ert.energies[component] == close_each(actions)
    assert list(found.art.areas) == list(art.areas)
    assert found.art.areas == close_each(art.areas)
    assert found.art.full_names == art.full_names
    assert found.interpolated == ()  # every memory of these architectures is tabulated


def close_each(values: object) -> object:
    return pytest.approx(values, rel=1e-5, abs=0)


@pytest.mark.parametrize("name", ["w2a8", "w8a8"])
def test_equal_to_accelergys_own_examples(name: str) -> None:
    energies, areas = accelergy_tables(DATA / "accelergy" / name)
    own = load_components(DATA / "accelergy" / "components.yaml")
    for item in accelergy_components(DATA / "accelergy" / name / "architecture.yaml"):
        short = spec.tables.short_name(item["name"])
        costs = component_costs(item["class"], item["attributes"], tuple(item["required_actions"]), own)
        assert costs.energies_pj == close_each(energies[short]), short
        assert costs.area_um2 == close(areas[short]), short
        assert [note.kind for note in costs.notes] == (["caution"] if short == "shared_glb" else [])  # 1.65 ns


def test_equal_to_the_public_example_with_timeloops_buffers() -> None:
    energies, areas = accelergy_tables(DATA / "accelergy" / "w8a8_timeloop")
    for name, class_, attributes in (
        ("shared_glb", "smartbuffer_SRAM", {"width": 64, "depth": 16384, "n_banks": 32}),
        ("ifmap_spad", "smartbuffer_RF", {"width": 16, "depth": 12}),
        ("weights_spad", "smartbuffer_RF", {"width": 16, "depth": 192}),
        ("psum_spad", "smartbuffer_RF", {"width": 16, "depth": 16}),
        ("mac", "intmac", {"multiplier_width": 8, "adder_width": 16}),
    ):
        costs = component_costs(class_, {**attributes, **COMMON}, ("leak",))
        assert costs.energies_pj == close_each(energies[name])
        assert costs.area_um2 == close(areas[name])


def test_the_public_example_names_its_classes_without_a_subclass() -> None:
    found = tables(architecture("class: storage\n    subclass: sram_buffer", "class: smartbuffer_RF"))
    expected = component_costs("smartbuffer_RF", {"width": 64, "depth": 1024, **COMMON})
    assert found.ert.energies["buffer"] == expected.energies_pj
    mac = tables(
        architecture(
            "class: compute\n    subclass: int_mac",
            "class: intmac\n    attributes: {multiplier_width: 8, adder_width: 16}",
        )
    )
    assert mac.ert.energies["mac"]["compute"] == 1.13555


def test_every_tabulated_mac_and_sram_buffer() -> None:
    for row in rows("int_mac.csv"):
        bits = {"a_bits": "weight_bits", "b_bits": "activation_bits", "acc_bits": "psum_bits"}
        attributes = {ours: int(row[theirs]) for ours, theirs in bits.items()}
        costs = component_costs("int_mac", {**attributes, **COMMON}, ("compute",))
        assert costs.energies_pj["compute"] == close(float(row["compute_pj"]))
        assert costs.energies_pj["leak"] == close(float(row["leak_pj_per_cycle"]))
        assert costs.area_um2 == close(float(row["area_um2"]))
    for row in rows("sram_buffer.csv"):
        attributes = {"rows": int(row["depth"]), "row_bits": int(row["width"]), "banks": int(row["n_banks"])}
        costs = component_costs("sram_buffer", {**attributes, **COMMON})
        for action in ("read", "write", "update"):
            assert costs.energies_pj[action] == close(float(row[f"{action}_pj"]))
        assert costs.energies_pj["leak"] == close(float(row["leak_pj_per_cycle"]))
        assert costs.area_um2 == close(float(row["area_um2"]))


def test_names_order_and_the_dummy_area_of_a_fanout() -> None:
    found = tables(architecture())
    assert list(found.art.full_names.values()) == [
        "chip_top_level.memory[1..1]",
        "chip_top_level.inter_buffer_spatial[1..1]",
        "chip_top_level.buffer[1..3]",
        "chip_top_level.mac[1..3]",
    ]
    assert found.art.areas["inter_buffer_spatial"] == 1.0
    assert found.ert.energies["memory"] == {"read": 512, "write": 512, "update": 512, "leak": 0}
    assert set(found.ert.full_names) == set(found.ert.energies) == {"memory", "buffer", "mac"}
    container, memory, *others = architecture().nodes
    for nodes in ((memory, *others), (spec.Parallel((memory,)), *others)):
        nameless = replace(architecture(), nodes=tuple(nodes))
        assert tables(nameless).ert.full_names["mac"] == "top_level.mac[1..3]"
    nested = replace(architecture(), nodes=(spec.Hierarchical((container, memory)), *others))
    assert tables(nested).ert.full_names == tables(architecture()).ert.full_names


def test_the_tables_survive_a_round_trip(tmp_path: Path) -> None:
    found = tables(architecture())
    (tmp_path / "ERT.yaml").write_text(spec.dump_ert(found.ert))
    (tmp_path / "ART.yaml").write_text(spec.dump_art(found.art))
    assert spec.load_ert(tmp_path / "ERT.yaml").energies == found.ert.energies
    assert spec.load_art(tmp_path / "ART.yaml").areas == found.art.areas


def test_own_classes_go_over_packaged_ones() -> None:
    own = one_class("name: int_mac, subcomponents: [], actions: [{name: compute, subcomponents: []}]")
    assert tables(architecture(), own).ert.energies["mac"] == {"compute": 0.0}
    assert tables(architecture(), own).ert.energies["buffer"] == tables(architecture()).ert.energies["buffer"]


def test_scales_of_a_component() -> None:
    plain = tables(architecture())
    scaled = tables(architecture("name: buffer\n", "name: buffer\n    energy_scale: 2\n    area_scale: 0.5\n"))
    assert scaled.ert.energies["buffer"]["read"] == close(2 * plain.ert.energies["buffer"]["read"])
    assert scaled.art.areas["buffer"] == close(0.5 * plain.art.areas["buffer"])
    memory = tables(architecture("name: memory\n", "name: memory\n    energy_scale: 0.5\n"))
    assert memory.ert.energies["memory"]["read"] == 256


def test_timeloops_front_end_sets_two_banks_where_none_are_given() -> None:
    bare = "subclass: SRAM\n    attributes: {rows: 1024, row_bits: 64, "
    old = "subclass: sram_buffer\n    spatial: {meshX: 3}\n    attributes: {rows: 1024, row_bits: 64, "
    found = tables(architecture(old, bare)).ert.energies["buffer"]["read"]
    for banks, equal in ((2, True), (1, False)):
        given = tables(architecture(old, f"{bare}n_banks: {banks}, ")).ert.energies["buffer"]["read"]
        assert (given == found) is equal


def test_the_mesh_is_an_attribute() -> None:
    cells = "subcomponents: [{name: 'r[1..meshX]', class: reg, attributes: {width: 1}}]"
    own = one_class(f"name: int_mac, {cells}, actions: [{{name: compute, subcomponents: []}}]")
    assert tables(architecture(), own).art.areas["mac"] == close(3 * 5.98)


def test_an_interpolated_memory_is_marked() -> None:
    found = tables(architecture("rows: 1024", "rows: 1100"))
    assert found.interpolated == ("buffer",)
    (note,) = found.notes
    assert note.component == "buffer"
    assert re.search(r"interpolated between 10\d\d to 11\d\d rows of \d+ bits", note.text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "sram_buffer",
            "sram_bufer",
            r"a.yaml:\d+: component 'buffer': unknown component class 'sram_bufer' .*did you mean 'sram_buffer'",
        ),
        ("rows: 1024, ", "", "component 'buffer': class 'sram_buffer' needs the attribute 'rows'"),
        (
            "rows: 1024",
            "rows: 700000",
            r"a.yaml:\d+: component 'buffer': SRAM of 700000 rows x 64 bits, .* out of range",
        ),
        (
            '"45nm"',
            '"5nm"',
            r"a.yaml:\d+: component 'buffer': SRAM: technology '5nm' is no whole node from 7 to 180 nm",
        ),
        (
            "  global_cycle_seconds: 1e-9\n",
            "",
            r"component 'memory': 'global_cycle_seconds' is not given \(set it among the architecture's variables; a "
            "file of `variables: {global_cycle_seconds: 1e-9}` beside it adds variables",
        ),
        (
            "class: DRAM\n    attributes: {",
            'class: DRAM\n    attributes: {type: "DDR9", ',
            "component 'memory': unknown DRAM type 'DDR9'",
        ),
        (
            "subclass: int_mac",
            "subclass: sram_buffer\n    attributes: {rows: 64, row_bits: 32}",
            "component 'mac': unknown action of class 'sram_buffer' 'compute'",
        ),
    ],
)
def test_refused_with_the_component(old: str, new: str, message: str) -> None:
    with pytest.raises(TqhwError, match=message):
        tables(architecture(old, new))


def test_a_class_that_lacks_an_action_that_timeloop_needs() -> None:
    own = one_class("name: sram_buffer, subcomponents: [], actions: [{name: read, subcomponents: []}]")
    message = (
        r"component 'buffer': unknown action of class 'sram_buffer' 'write' \(Timeloop asks for read, write, update, "
        r"leak: give the class its own write, update, leak; known: read\)"
    )
    with pytest.raises(TqhwError, match=message):
        tables(architecture(), own)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, 0.0), (1.2345678, 1.23457), (123456789.0, 123457000.0), (1.2345678e-9, 1.23457e-9)]
)
def test_six_digits(value: float, expected: float) -> None:
    assert rounded(value) == expected
