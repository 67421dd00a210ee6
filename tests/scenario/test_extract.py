"""From statistics to costs, by hand, on hardware with weight memories of their own."""

from __future__ import annotations

import pytest

from tqhw.errors import TqhwError
from tqhw.results import ARRAY, DRAM, GLB
from tqhw.scenario.extract import PricedHardware, default_groups, layer_cost, row_bits, weight_path
from tqhw.scenario.memory import Port, Traffic
from tqhw.spec import ERT, DataSpaceStats, Hardware, LevelStats, Stats, flatten, parse_architecture, yamlio

TEXT = """
architecture:
  version: 0.4
  nodes:
  - !Container {name: system, attributes: {technology: 45nm}}
  - !Parallel
    nodes:
    - !Component
      {name: DRAM_weights, class: DRAM, attributes: {row_bits: 64, block_size: 10, datawidth: 6},
       constraints: {dataspace: {keep: [Weights]}}}
    - !Component
      {name: DRAM_rest, class: DRAM, attributes: {width: 64, datawidth: 8},
       constraints: {dataspace: {keep: [Inputs, Outputs]}}}
  - !Parallel
    nodes:
    - !Component
      {name: weights_glb, class: storage, attributes: {row_bits: 64, block_size: 10, depth: 100, datawidth: 6},
       constraints: {dataspace: {keep: [Weights]}}}
    - !Component
      {name: act_glb, class: storage, attributes: {width: 64, depth: 100, datawidth: 8},
       constraints: {dataspace: {keep: [Inputs, Outputs]}}}
  - !Container {name: PE, spatial: {meshX: 4}}
  - !Component {name: spad, class: storage, attributes: {width: 16, depth: 8, datawidth: 8}}
  - !Component {name: mac, class: compute}
variables: {version: 0.4, global_cycle_seconds: 1e-9}
"""
ENERGIES = {
    "DRAM_weights": {"read": 512.0, "write": 512.0},
    "DRAM_rest": {"read": 512.0, "write": 512.0},
    "weights_glb": {"read": 20.0, "write": 30.0},
    "act_glb": {"read": 20.0, "write": 30.0},
    "spad": {"read": 1.0, "write": 1.0},
    "mac": {"compute": 1.0},
}


def hardware(text: str = TEXT) -> Hardware:
    return flatten(parse_architecture(yamlio.parse(text, "a.yaml"), "a.yaml", "a"))


def machine(ideal: bool = False) -> PricedHardware:
    found = hardware()
    return PricedHardware(found, ERT(ENERGIES), default_groups(found), ideal)


def space(energy_pj: float, reads: int = 0, fills: int = 0, updates: int = 0, used: int = 1) -> DataSpaceStats:
    return DataSpaceStats(1, used, reads, fills, updates, energy_pj)


def level(leakage_pj: float = 0.0, **spaces: DataSpaceStats) -> LevelStats:
    return LevelStats("storage", 1, sum(s.energy_pj for s in spaces.values()), leakage_pj, 1, 1, spaces)


# 95 weights: 10 rows of 10 words at 512 pJ; 8 inputs a row; 24 outputs: 3 rows.
STATS = Stats(
    cycles=10,
    computes=40,
    utilization=1.0,
    energy_pj=0.0,
    levels={
        "DRAM_weights": level(Weights=space(10 * 512.0, reads=95)),
        "DRAM_rest": level(Inputs=space(512.0, reads=8), Outputs=space(3 * 512.0, updates=24)),
        "weights_glb": level(leakage_pj=7.0, Weights=space(500.0, reads=95, fills=95)),
        "act_glb": level(Inputs=space(100.0)),
        "spad": level(Weights=space(10.0, used=4), Inputs=space(5.0, used=4)),
        "mac": LevelStats("compute", 4, 40.0, 0.0, 10, 4, {}),
    },
)


def test_groups_follow_from_class_and_place() -> None:
    assert default_groups(hardware()) == {
        "DRAM_weights": DRAM,
        "DRAM_rest": DRAM,
        "weights_glb": GLB,
        "act_glb": GLB,
        "spad": ARRAY,
        "mac": ARRAY,
    }


def test_energy_by_group_with_leakage_and_traffic_with_padding() -> None:
    found = layer_cost(STATS, machine())
    assert found.levels_pj.keys() == STATS.levels.keys()
    assert sum(found.levels_pj.values()) == pytest.approx(sum(found.cost.energy_pj.values()))
    assert found.cost.energy_pj == {DRAM: 14 * 512.0, GLB: 607.0, ARRAY: 55.0}
    assert found.cost.traffic == {
        "Weights": Traffic(640, 640 - 95 * 6, 10 * 512.0),
        "Inputs": Traffic(64, 0, 512.0),
        "Outputs": Traffic(192, 0, 3 * 512.0),
    }
    assert found.weight_words == 95
    assert found.buffer_fill_pj == 10 * 30.0


def test_ideal_packing_costs_the_share_of_a_row_that_words_use() -> None:
    found = layer_cost(STATS, machine(ideal=True))
    assert sum(found.levels_pj.values()) == pytest.approx(sum(found.cost.energy_pj.values()))
    assert found.cost.traffic["Weights"] == Traffic(95 * 6, 0, 10 * 512.0 * 60 / 64)
    assert found.cost.energy_pj[DRAM] == 10 * 512.0 * 60 / 64 + 4 * 512.0
    assert found.cost.energy_pj[GLB] == 500.0 * 60 / 64 + 7.0 + 100.0
    assert found.buffer_fill_pj == 10 * 30.0 * 60 / 64


def test_a_product_of_activations_delivers_no_weights() -> None:
    found = layer_cost(STATS, machine(), has_weights=False)
    assert found.cost.traffic["Inputs"].bits == 640 + 64
    assert (found.weight_words, found.buffer_fill_pj) == (0, 0.0)
    assert found.cost.energy_pj == layer_cost(STATS, machine()).cost.energy_pj


def test_the_way_of_the_weights() -> None:
    path = weight_path(machine())
    assert path.dram == Port(64, 512.0, 512.0)
    assert path.buffer == Port(64, 20.0, 30.0)
    assert path.buffer_rows == 100
    assert path.fits([(1000, 6)]) and not path.fits([(1001, 6)])


def test_weights_that_share_their_dram_are_refused() -> None:
    shared = hardware()
    groups = {**default_groups(shared), "weights_glb": DRAM}
    with pytest.raises(
        TqhwError, match=r"one DRAM that holds weights alone; weights are in: DRAM_weights, weights_glb"
    ):
        weight_path(PricedHardware(shared, ERT(ENERGIES), groups))


def test_a_row_is_what_the_attributes_say() -> None:
    found = {one.name: one for one in hardware().levels if one.kind == "storage"}
    assert [row_bits(found[name]) for name in ("DRAM_weights", "act_glb", "spad")] == [64, 64, 16]
