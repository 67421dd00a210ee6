"""Validity with demand and bound, and cycles and energies that follow from the counts, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.machines import energies, hardware
from tqhw.engine import build_model, evaluate
from tqhw.errors import TqhwError
from tqhw.spec import ERT, MATMUL, Hardware, Invalid, LevelMapping, Loops, Mapping, Problem, Stats, make_problem

ALL = ("Weights", "Inputs", "Outputs")


def loops(factors: dict[str, int], split: int | None = None) -> Loops:
    return Loops(factors, tuple(factors), split)


def level(name: str, temporal: dict[str, int] | None = None, keep: tuple[str, ...] = ALL, **more: Any) -> LevelMapping:
    bypass = tuple(d for d in ALL if d not in keep)
    return LevelMapping(name, keep=keep, bypass=bypass, temporal=loops(temporal or {}), **more)


def answer(machine: Hardware, problem: Problem, *levels: LevelMapping, ert: ERT | None = None) -> Stats | Invalid:
    return evaluate(problem, machine, energies(machine) if ert is None else ert, Mapping(levels))


def stats(machine: Hardware, problem: Problem, *levels: LevelMapping, ert: ERT | None = None) -> Stats:
    found = answer(machine, problem, *levels, ert=ert)
    assert isinstance(found, Stats), found
    return found


def reasons(machine: Hardware, problem: Problem, *levels: LevelMapping) -> list[tuple[str, str, int, int]]:
    found = answer(machine, problem, *levels)
    assert isinstance(found, Invalid)
    assert found.as_json()["valid"] is False
    return [(r.level, r.rule, r.demand, r.bound) for r in found.reasons]


SMALL = make_problem(MATMUL, {"M": 4, "K": 2, "N": 8})
# Tiles of the whole problem: 16 weights, 8 inputs, 32 outputs; 64 computes.


def test_one_level_by_hand() -> None:
    machine = hardware({}, mesh=(1, 1))
    found = stats(machine, SMALL, level("L0", {"M": 4, "K": 2, "N": 8}))
    assert (found.cycles, found.computes, found.utilization) == (64, 64, 1.0)
    spaces = found.levels["L0"].dataspaces
    assert {n: (d.tile_words, d.reads, d.fills, d.updates) for n, d in spaces.items()} == {
        "Weights": (16, 64, 0, 0),
        "Inputs": (8, 64, 0, 0),
        "Outputs": (32, 32, 0, 64),  # the first update of each of the 32 words reads nothing
    }
    # reads 2 pJ, updates as writes 3 pJ, MACs 1 pJ
    assert [spaces[n].energy_pj for n in ALL] == [128.0, 128.0, 32 * 2 + 64 * 3]
    assert found.energy_pj == 128 + 128 + 256 + 64
    assert found.levels["mac"].kind == "compute"
    assert found.levels["mac"].energy_pj == 64.0


def test_an_access_moves_a_block_and_costs_a_whole_one() -> None:
    machine = hardware({"block_size": 5}, mesh=(1, 1))
    found = stats(machine, SMALL, level("L0", {"M": 4, "K": 2, "N": 8})).levels["L0"].dataspaces
    assert found["Weights"].reads == 64
    assert found["Weights"].energy_pj == 13 * 2.0  # ceil(64 / 5)
    assert found["Outputs"].energy_pj == 7 * 2.0 + 13 * 3.0


def test_a_cluster_of_instances_costs_one_access() -> None:
    spatial = {"spatial": loops({"N": 8}, 1)}
    machine = hardware(
        {"meshX": 8, "meshY": 1, "cluster_size": 4},
        {"kind": "fanout", "meshX": 1, "meshY": 1, "fanoutX": 8},
        {"meshX": 1, "meshY": 1},
        mesh=(8, 1),
    )
    found = stats(machine, SMALL, level("L0"), level("L1", keep=(), **spatial), level("L2", {"M": 4, "K": 2}))
    weights = found.levels["L0"].dataspaces["Weights"]
    assert (weights.utilized_instances, weights.reads, weights.fills) == (8, 8, 2)
    assert weights.energy_pj == pytest.approx((8 * 2.0 + 2 * 3.0) * 2, rel=1e-15)  # min(8, 8 / 4) clusters


@pytest.mark.parametrize(
    ("limits", "cycles"),
    [
        ({}, 64),
        ({"read_bandwidth": 1.25}, 128),  # 64 + 64 + 32 reads in 64 cycles: 2.5 words per cycle
        ({"write_bandwidth": 0.25}, 256),  # 64 updates
        ({"shared_bandwidth": 3.5}, 64),
        ({"shared_bandwidth": 3.0}, 75),  # ceil(64 * 3.5 / 3)
        ({"read_bandwidth": 1.25, "write_bandwidth": 0.25}, 256),
    ],
)
def test_bandwidth_stretches_the_cycles_and_the_leakage(limits: dict[str, float], cycles: int) -> None:
    machine = hardware(limits, mesh=(1, 1))
    found = stats(machine, SMALL, level("L0", {"M": 4, "K": 2, "N": 8}), ert=energies(machine, leak=0.5))
    assert found.cycles == cycles
    assert found.utilization == 64 / cycles
    assert found.levels["L0"].cycles == cycles
    assert found.levels["mac"].cycles == 64
    assert found.levels["L0"].leakage_pj == 0.5 * cycles
    assert found.energy_pj == 576 + 0.5 * cycles


def test_only_used_instances_leak_even_where_they_keep_nothing() -> None:
    machine = hardware(
        {"meshX": 8, "meshY": 1},
        {"kind": "fanout", "meshX": 1, "meshY": 1, "fanoutX": 8},
        {"meshX": 1, "meshY": 1},
        mesh=(8, 1),
    )
    ert = ERT({"L0": {"read": 2, "write": 3, "leak": 0.5}, "L2": {"read": 2, "write": 3}, "mac": {"compute": 1}})
    spatial = {"spatial": loops({"N": 4}, 1)}
    parts = level("L0", keep=()), level("L1", keep=(), **spatial), level("L2", {"M": 4, "K": 2, "N": 2})
    found = stats(machine, SMALL, *parts, ert=ert)
    assert found.levels["L0"].utilized_instances == 4
    assert found.levels["L0"].leakage_pj == 0.5 * 16 * 4
    assert found.levels["L0"].dataspaces == {}


def test_the_tiles_of_a_level_share_its_capacity() -> None:
    machine = hardware({"size": 55, "effective_size": 55}, {}, mesh=(1, 1))
    inside = level("L0", {"M": 4, "K": 2, "N": 8}), level("L1")
    assert reasons(machine, SMALL, *inside) == [("L0", "capacity", 56, 55)]
    assert stats(machine, SMALL, level("L0", {"M": 4, "K": 2, "N": 8}, keep=ALL[:2]), level("L1")).cycles == 64
    found = answer(machine, SMALL, *inside)
    assert isinstance(found, Invalid)
    assert found.reasons[0].message == "L0: the tiles need 56 words, the capacity is 55"


def test_multiple_buffering_divides_the_capacity() -> None:
    machine = hardware({"size": 60, "effective_size": 30, "multiple_buffering": 2}, {}, mesh=(1, 1))
    assert reasons(machine, SMALL, level("L0", {"M": 4, "K": 2, "N": 8}), level("L1")) == [("L0", "capacity", 56, 30)]


def array(**inner: Any) -> Hardware:
    return hardware(
        {"meshX": 4, "meshY": 2, **inner},
        {"kind": "fanout", "meshX": 1, "meshY": 1, "fanoutX": 4, "fanoutY": 2},
        {"meshX": 1, "meshY": 1},
        mesh=(4, 2),
    )


@pytest.mark.parametrize(
    ("spatial", "split", "reason"),
    [
        ({"N": 8, "M": 2}, 1, ("mac", "fanout", 16, 8)),
        ({"N": 8}, 1, ("mac", "fanout", 8, 4)),
        ({"N": 4}, 0, ("mac", "fanout", 4, 2)),
    ],
)
def test_the_array_has_so_many_columns_and_rows(spatial: dict[str, int], split: int, reason: Any) -> None:
    rest = {"M": 4 // spatial.get("M", 1), "K": 2, "N": 8 // spatial["N"]}
    parts = level("L0"), level("L1", keep=(), spatial=loops(spatial, split)), level("L2", rest)
    assert reasons(array(), SMALL, *parts) == [reason]
    found = answer(array(), SMALL, *parts)
    assert isinstance(found, Invalid)
    what = {16: "instances", 8: "columns (X)", 4: "rows (Y)"}[reason[2]]
    assert found.reasons[0].message == f"mac: the mapping uses {reason[2]} {what}, there are {reason[3]}"


def test_capacity_and_mesh_that_fail_in_one_level_are_both_told() -> None:
    # The MACs would take 4 x 2, the level above them has 2 x 2.
    machine = array(meshX=2, effective_size=1)
    parts = level("L0"), level("L1", keep=(), spatial=loops({"N": 4}, 1)), level("L2", {"M": 4, "K": 2, "N": 2})
    assert reasons(machine, SMALL, *parts) == [("L0", "capacity", 3, 1), ("L0", "fanout", 4, 2)]


def test_a_data_space_must_be_kept_somewhere() -> None:
    machine = hardware({}, {}, mesh=(1, 1))
    parts = level("L0", keep=ALL[:1]), level("L1", {"M": 4, "K": 2, "N": 8}, keep=())
    assert reasons(machine, SMALL, *parts) == [("mac", "bypass_all", 0, 1)] * 2
    found = answer(machine, SMALL, *parts)
    assert isinstance(found, Invalid)
    assert [r.message.split()[0] for r in found.reasons] == ["Inputs", "Outputs"]


def test_what_encoding_refuses_is_an_answer() -> None:
    machine = hardware({}, mesh=(1, 1))
    assert reasons(machine, SMALL, level("L0", {"M": 4, "K": 2, "N": 4})) == [("", "factors", 4, 8)]
    assert reasons(machine, SMALL, level("L9", {"M": 4, "K": 2, "N": 8})) == [("L9", "target", 0, 0)]


def test_an_ert_that_lacks_something_is_named() -> None:
    machine = hardware({}, mesh=(1, 1))
    with pytest.raises(TqhwError, match="the ERT has no action 'read' for 'L0'"):
        build_model(SMALL, machine, ERT({"L0": {"write": 1}, "mac": {"compute": 1}}))
    with pytest.raises(TqhwError, match="unknown component in the ERT 'mac'"):
        build_model(SMALL, machine, ERT({"L0": {"read": 1, "write": 1}}))


@pytest.mark.parametrize("bounds", [{"M": 2**31, "K": 2**22, "N": 1}, {"M": 2**31, "K": 1, "N": 2**21 + 1}])
def test_a_problem_beyond_exact_numbers_is_refused(bounds: dict[str, int]) -> None:
    machine = hardware({}, mesh=(1, 1))
    with pytest.raises(TqhwError, match=r"problem: .* more than .* can be counted exactly"):
        build_model(make_problem(MATMUL, bounds), machine, energies(machine))


def test_a_machine_too_large_to_lay_out_is_refused() -> None:
    machine = hardware({}, mesh=(1 << 11, (1 << 11) + 1))
    with pytest.raises(TqhwError, match="4196352 units side by side are more than the 4194304 that can be modelled"):
        build_model(SMALL, machine, energies(machine))


def test_a_large_layer_is_exact() -> None:
    problem = make_problem(MATMUL, {"M": 4096, "K": 4096, "N": 11008})
    machine = hardware({}, {}, mesh=(1, 1))
    found = stats(machine, problem, level("L0", {"K": 4096}), level("L1", {"N": 11008, "M": 4096}))
    assert found.cycles == 4096 * 4096 * 11008
    inner, outer = found.levels["L0"].dataspaces, found.levels["L1"].dataspaces
    assert inner["Weights"].fills == outer["Weights"].reads == 4096 * 4096 * 11008  # refetched for every M
    assert outer["Inputs"].reads == 4096 * 4096
    assert outer["Outputs"].updates == 4096 * 11008
    assert inner["Outputs"].fills == 0


def test_a_dimension_of_two_to_the_31_is_exact() -> None:
    problem = make_problem(MATMUL, {"M": 2**31, "K": 1, "N": 1})
    found = stats(hardware({}, mesh=(1, 1)), problem, level("L0", {"M": 2**31}))
    assert found.cycles == 2**31
    assert found.levels["L0"].dataspaces["Outputs"].tile_words == 2**31
    assert found.levels["L0"].dataspaces["Outputs"].updates == 2**31
