from dataclasses import fields

import pytest

from tests.spec.documents import ARCHITECTURE, ARCHITECTURES, DATA, message
from tqhw.spec import Hardware, Level, flatten, load_architecture, parse_architecture, yamlio


def load(text: str) -> Hardware:
    return flatten(parse_architecture(yamlio.parse(text, "a.yaml"), "a.yaml"))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_field_of_every_level_is_the_engines(name: str) -> None:
    reference = yamlio.load(DATA / "ert" / f"{name}.levels.yaml")
    hardware = flatten(load_architecture(DATA / "arch" / f"{name}.yaml"))
    compute = reference["compute"]
    assert (hardware.compute.name, hardware.compute.meshX, hardware.compute.meshY, hardware.compute.instances) == (
        compute["name"],
        compute["meshX"],
        compute["meshY"],
        compute["instances"],
    )
    ours = {f.name for f in fields(Level)} - {"constraints", "component"} | {"instances"}
    assert hardware.level_names == tuple(level["name"] for level in reference["levels"])
    for level, expected in zip(hardware.levels, reference["levels"], strict=True):
        energies = {key for key in expected if key.endswith("_energy")}  # of the ERT, see test_tables.py
        assert set(expected) - energies <= ours
        assert {key: getattr(level, key) for key in set(expected) - energies} == {
            key: value for key, value in expected.items() if key not in energies
        }


def test_a_fan_out_becomes_a_level_of_its_own() -> None:
    hardware = load(ARCHITECTURE)
    fanout = hardware.levels[0]
    assert (fanout.name, fanout.kind, fanout.node, fanout.fanout, fanout.instances) == (
        "inter_PE_spatial",
        "fanout",
        "PE",
        4,
        1,
    )
    assert fanout.constraints.bypass == ("*",)
    assert hardware.instances("mac") == 4
    assert hardware.instances("DRAM") == 1


def test_sizes() -> None:
    def buffer(attributes: str) -> Level:
        return load(ARCHITECTURE.replace("width: 64, depth: 1024, datawidth: 8", attributes)).levels[1]

    assert buffer("width: 64, depth: 1024, datawidth: 8").size == 8192
    assert buffer("width: 64, depth: 8 * 128, datawidth: 8").size == 8192
    assert buffer("entries: 100, datawidth: 6, block_size: 10").size == 100
    assert buffer("sizeKB: 2, datawidth: 6").size == 2 * 1024 * 8 // 6
    assert buffer("depth: 7, block_size: 3, multiple_buffering: 1.5, datawidth: 8").effective_size == 14
    assert buffer("datawidth: 8").size is None
    assert buffer("width: 64, cluster_size: 4, datawidth: 8}\n    spatial: {meshX: 4").block_size == 2


def test_branches_bypass_what_they_do_not_keep() -> None:
    hardware = flatten(load_architecture(DATA / "arch" / "eyeriss_split_w6a8.yaml"))
    spad = next(level for level in hardware.levels if level.name == "ifmap_spad")
    spaces = ("Weights", "Inputs", "Outputs")
    assert spad.constraints.kept(spaces, "here") == {"Weights": False, "Inputs": True, "Outputs": False}


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (
            "depth: 1024, datawidth: 8",
            "depth: 1024, datawidth: 6",
            ["a.yaml:11", "buffer: width 64 is no multiple of cluster_size * datawidth = 6", "give `block_size`"],
        ),
        (
            "depth: 1024, datawidth: 8",
            "depth: 1024, datawidth: 8, cluster_size: 3}\n    spatial: {meshX: 3",
            ["width 64 is no multiple of cluster_size * datawidth = 24"],
        ),
        (
            "depth: 1024, datawidth: 8",
            "depth: 1024, datawidth: 8, cluster_size: 4}\n    spatial: {meshX: 6",
            ["a.yaml:11: buffer: cluster_size 4 does not divide its 6 instances (give a divisor, or change the mesh)"],
        ),
        (
            "width: 64, datawidth: 8}",
            "width: 64, datawidth: 8, cluster_size: 2}\n    spatial: {meshX: 2}",
            ["a.yaml:7: DRAM: cluster_size 2 in a class or technology of DRAM", "remove it, or give another class"],
        ),
        (
            "depth: 1024, datawidth: 8",
            "depth: 1024, datawidth: 8, cluster_size: 2, technology: DRAM}\n    spatial: {meshX: 2",
            ["buffer: cluster_size 2 in a class or technology of DRAM"],
        ),
        ("class: compute", "class: compute\n    attributes: {instances: 7}", ["mac: 'instances: 7' is not modelled"]),
        ("depth: 1024", "depth: 1024, network_read: foo", ["'network_read: foo' is not modelled"]),
        ("depth: 1024", "depth: 1024, n_ports: 3", ["a.yaml:11: buffer: n_ports '3' must be 1 or 2", "n_rw_ports"]),
        ("depth: 1024", "depth: 1024, num_ports: 0", ["buffer: num_ports '0' must be 1 or 2"]),
        ("depth: 1024", "depth: 1024, n_ports: 2.0", ["buffer: n_ports '2.0' must be 1 or 2"]),
        ("depth: 1024", "depth: 1024, vector_access_energy: 4", ["'vector_access_energy: 4' is not modelled"]),
        ("depth: 1024", "depth: 1024, block_size: 4", ["block_size 4 is not width / (cluster_size * datawidth) = 8"]),
        ("depth: 1024", "depth: 1024, sizeKB: 2", ["buffer: depth and sizeKB are both given", "keep one"]),
        ("depth: 1024", "depth: 0", ["buffer: depth '0' must be a whole number of at least 1"]),
        ("depth: 1024", "depth: .nan", ["buffer: depth 'nan' must be a whole number of at least 1"]),
        ("depth: 1024", "depth: rows", ["buffer: depth 'rows' must be a whole number of at least 1"]),
        ("depth: 1024", "depth: 1024, multiple_buffering: 0", ["multiple_buffering '0' must be a number above 0"]),
        ("depth: 1024", "depth: 1024, read_bandwidth: -1", ["read_bandwidth '-1' must be a number above 0"]),
        ("depth: 1024", "depth: 1024, read_bandwidth: .inf", ["read_bandwidth 'inf' must be a number above 0"]),
        ("depth: 1024", "depth: 1024, power_gated_at: DRAM", ["'power_gated_at: DRAM' is not modelled", "remove it"]),
        (
            "depth: 1024",
            "depth: 1024, has_power_gating: true",
            ["'has_power_gating: True' is not modelled (a group below one gate leaks whole as soon as"],
        ),
        (
            "depth: 1024",
            "depth: 1024, per_dataspace_bandwidth_consumption_scale: {Weights: 2.0}",
            [
                "it weighs each data space's accesses before they are held against the bandwidth",
                "Timeloop's own programs",
            ],
        ),
        ("depth: 1024", "depth: 1024, reduction_supported: false", ["'reduction_supported: False' is not modelled"]),
        (
            "depth: 1024",
            "depth: 99999999999999999999",
            ["buffer: depth 99999999999999999999 is more than the 9"],
        ),
        (
            "depth: 1024",
            "depth: 9007199254740992",
            ["buffer: words 72057594037927936 is more than the 9007"],
        ),
        ("depth: 1024", "depth: 2, multiple_buffering: 1.0e-300", ["buffer: depth / multiple_buffering 1"]),
        (
            "datawidth: 8",
            "datawidth: 2**200",
            ["DRAM: datawidth 16069380442589", "is more than the 9007199"],
        ),
        (
            "name: buffer",
            "name: buffer\n    spatial: {meshX: 4294967296, meshY: 4294967296}",
            ["buffer: instances 18446744073709551616 is more than the 9007199254740992 that can be counted"],
        ),
        ("name: buffer", "name: inter_PE_spatial", ["two levels are named 'inter_PE_spatial'"]),
        ("class: DRAM", "class: compute", ["exactly one compute component, found 2"]),
    ],
)
def test_refused(old: str, new: str, parts: list[str]) -> None:
    found = message(load, ARCHITECTURE, old, new)
    for part in parts:
        assert part in found


def test_the_compute_component_comes_last() -> None:
    text = "architecture: {nodes: [!Component {name: mac, class: mac}, !Component {name: late, class: SRAM}]}"
    assert "'late' stands below the compute component 'mac'" in message(load, text)
    assert "has no storage component" in message(load, "architecture: {nodes: [!Component {name: mac, class: mac}]}")


def test_a_data_space_takes_one_branch() -> None:
    branch = "!Component {name: %s, class: SRAM, constraints: {dataspace: {keep: [Weights]}}}"
    text = f"architecture: {{nodes: [!Parallel {{nodes: [{branch % 'a'}, {branch % 'b'}]}}, {branch % 'c'}]}}"
    assert "Weights kept in two branches of a !Parallel (keep every data space in exactly one branch)" in message(
        load, text.replace("name: c, class: SRAM", "name: c, class: mac")
    )
