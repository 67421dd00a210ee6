"""What words cost, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.mapper.custom import MACHINES, build, problem_of
from tests.mapper.places import conv
from tests.mapper.tables import small
from tqhw.engine import Model, build_model
from tqhw.mapper.bound.prices import build_prices, compulsory, fits_level, port_prices, problem_pj, rounding_pj
from tqhw.mapper.space.mapspace import Mapspace, build_mapspace
from tqhw.spec import ERT, MATMUL, Problem, make_problem


def test_a_word_passes_from_its_parent_to_the_level_that_keeps_it() -> None:
    """By hand: Buffer keeps Inputs and Outputs in blocks of 3; Weights come from DRAM, 100 pJ a read, 110 a write."""
    hardware, ert = build(MACHINES["holes"])
    problem = conv(C=2, M=2)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    names = problem.shape.data_space_names
    w, i, o = (names.index(name) for name in ("Weights", "Inputs", "Outputs"))
    buffer, dram = (index for index, level in enumerate(hardware.levels) if level.kind == "storage")
    prices = build_prices(space, model, next(space.masks()))
    assert prices.parent_pj[0, 0, w] == 100.0
    assert prices.parent_pj[0, 0, i] == pytest.approx(10 / 3)
    assert prices.parent_pj[0, 0, o] == pytest.approx(20 / 3)  # a partial sum is read and updated
    assert prices.parent_pj[0, buffer + 1, i] == 100.0
    assert prices.fill_pj[0, buffer, i] == pytest.approx(10 / 3)
    assert prices.fill_pj[0, dram].tolist() == [0.0, 0.0, 0.0]  # nobody fills the outermost level
    free = build_prices(space, model, next(space.masks()), energy=False)
    assert not free.parent_pj.any()
    assert free.constant_pj == 0.0
    assert problem_pj(model) == 4.0


def test_rounding_is_unbounded_where_a_bandwidth_can_stretch_the_cycles() -> None:
    for name, bounded in (("row", True), ("throttled_chips", False)):
        model = build_model(conv(C=2), *build(MACHINES[name]))
        keep = np.ones((len(model.mesh_x), 3), np.bool_)
        found = rounding_pj(model, keep, 1.0, 1)
        assert math.isfinite(found) == bounded
        assert found > 0


def test_a_level_holds_what_it_keeps_up_to_its_capacity() -> None:
    _, _, search = small("two_level", C=4, M=6)
    tables, prices = search.tables, search.prices
    for level, capacity in enumerate(prices.capacity):
        for t in range(len(tables.digits)):
            words = sum(tables.words[s, t] for s in range(3) if prices.keep[level, s])
            assert fits_level(tables, prices, level, t) == (words <= capacity)
    full = prices._replace(capacity=np.full(len(prices.capacity), tables.words[prices.keep[0]].sum(axis=0)[-1]))
    assert fits_level(tables, full, 0, len(tables.digits) - 1)
    assert not fits_level(tables, full._replace(capacity=full.capacity - 1), 0, len(tables.digits) - 1)


def test_what_no_mapping_can_do_without():
    """By hand: 4 x 3 operations at 1 pJ, 12 and 3 words read and 4 written at 100 and 110 pJ; 12 of 15 units."""
    hardware, ert = build(MACHINES["row"])
    problem = make_problem(MATMUL, {"M": 4, "K": 3, "N": 1})
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    energy = 12 + 100 * (12 + 3) + 110 * 4
    assert compulsory(space, model, "energy") == energy
    assert compulsory(space, model, "latency") == 12 / 12
    assert compulsory(space, model, "edp") == energy * 12 / 12
    holes = problem_of("transposed", [1, 4, 1], [3, 1, 1])
    assert compulsory(build_mapspace(holes, hardware), build_model(holes, hardware, ert), "energy") == 0.0


@pytest.mark.parametrize(
    ("level", "ports", "cycles"),
    [
        ("DRAM", {}, 96 / 6),  # operations on all PEs
        ("DRAM", {"read_bandwidth": 2.0}, (12 + 24) / 2),
        ("DRAM", {"write_bandwidth": 0.5}, 32 / 0.5),
        ("DRAM", {"shared_bandwidth": 1.0}, 12 + 24 + 32),
        ("Buffer", {"read_bandwidth": 0.0625}, 12 / 6 / 0.0625),  # Inputs alone, a sixth of them in each PE
        ("Buffer", {"write_bandwidth": 0.125}, (12 + 32) / 6 / 0.125),  # filled, and updated
    ],
)
def test_every_word_passes_the_ports_of_levels_that_keep_it(level: str, ports: dict[str, float], cycles: float) -> None:
    """By hand, of a product of 4 x 3 by 3 x 8: Weights pass by the Buffer that each of 6 PEs has."""
    space, model = ported("stacked", make_problem(MATMUL, {"M": 4, "K": 3, "N": 8}), level, ports)
    assert compulsory(space, model, "latency") == pytest.approx(cycles)


def test_of_a_halo_a_word_may_be_cut_and_outputs_with_credit_are_not_counted() -> None:
    space, model = ported("stacked", conv(R=3, P=4), "DRAM", {"read_bandwidth": 0.5})
    assert compulsory(space, model, "latency") == (3 + 4 - 1) / 0.5  # inputs as many as the longest of both
    space, model = ported("stacked", problem_of("transposed", [1, 1, 2], [3, 3]), "DRAM", {"shared_bandwidth": 0.25})
    assert compulsory(space, model, "latency") == 2 / 4


def ported(name: str, problem: Problem, level: str, ports: dict[str, float]) -> tuple[Mapspace, Model]:
    """Space and model on a machine with these ports at one level."""
    hardware, ert = build(MACHINES[name])
    levels = tuple(replace(one, **ports) if one.name == level else one for one in hardware.levels)  # type: ignore[arg-type]
    hardware = replace(hardware, levels=levels)
    return build_mapspace(problem, hardware), build_model(problem, hardware, ert)


def cut(kept: str, over: str, links: bool = True, bandwidth: str = "", **sizes: int) -> tuple[float, list[float]]:
    """What may be cut of energies and of every port's cycles: 6 PEs over the dimensions ``over``, a Buffer in each.

    2 pJ a word filled and 5 pJ a word read in Buffer, 3 and 7 pJ in DRAM.
    """
    names = ("Weights", "Inputs", "Outputs")
    fixed = ", ".join(f"{d}=1" for d in "CMRSNPQG" if d not in over)
    no_links = "" if links else ", no_link_transfer: [Inputs, Outputs]"
    hardware, _ = build(
        [
            "- !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}}",
            "- !Container {name: PE, spatial: {meshX: 6}, constraints: "
            f"{{spatial: {{factors: [{fixed}]{no_links}}}}}}}",
            f"- !Component {{name: Buffer, class: SRAM, attributes: {{datawidth: 8{bandwidth}}}, constraints: "
            f"{{dataspace: {{keep: [{kept}], bypass: [{', '.join(name for name in names if name != kept)}]}}}}}}",
            "- !Component {name: mac, class: compute}",
        ]
    )
    prices = {"Buffer": {"read": 5.0, "write": 2.0}, "DRAM": {"read": 7.0, "write": 3.0}, "mac": {"compute": 1.0}}
    problem = conv(**sizes)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ERT(prices))
    mask = next(space.masks())
    (of_energy,) = build_prices(space, model, mask).cut_pj
    return of_energy, port_prices(space, model, mask).cut_pj.tolist()


def test_a_word_of_all_instances_may_be_cut_where_elements_share_words_unevenly() -> None:
    assert cut("Inputs", "RP", R=3, P=2) == (6 * 2.0, [])
    assert cut("Inputs", "RP", links=False, R=3, P=2) == (6 * 2.0, [])
    assert cut("Inputs", "P", R=3, P=3) == (3 * 2.0, [])  # by links alone,
    assert cut("Inputs", "P", links=False, R=3, P=3) == (0.0, [])  # for all elements share as many words
    assert cut("Inputs", "RP", R=4, P=2) == (0.0, [])  # halves add up exactly
    assert cut("Inputs", "CM", R=3, P=2, C=3, M=2) == (0.0, [])  # no element lies along a halo
    # Of a level that keeps other words, what DRAM sends is rounded, once.
    assert cut("Weights", "RP", R=3, P=2) == (7.0 / 2, [])
    assert cut("Weights", "RP", links=False, R=3, P=2) == (0.0, [])


def test_a_word_of_one_instance_may_be_cut_of_the_cycles_of_a_port() -> None:
    energy, cycles = cut("Inputs", "RP", bandwidth=", read_bandwidth: 0.5, write_bandwidth: 0.25", R=3, P=2)
    assert energy == 6 * 2.0
    assert cycles == [0.0, 4.0]  # what is read for a compute unit is whole


def test_links_divide_by_the_units_further_out_and_outputs_are_read_and_updated() -> None:
    """Sums over 3 rows of 2 PEs, which alone would divide without a rest; then halves of DRAM's words of outputs."""
    pe = "- !Container {{name: PE, spatial: {{meshX: 2}}, constraints: {{spatial: {{factors: [{}]}}}}}}"
    row = "- !Container {name: Row, spatial: {meshX: 3}, constraints: {spatial: {factors: [R=1, P=1, M=1]}}}"
    dram = "- !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}}"
    mac = "- !Component {name: mac, class: compute}"
    table = ERT({"Buffer": {"read": 5.0, "write": 2.0}, "DRAM": {"read": 7.0, "write": 3.0}, "mac": {"compute": 1.0}})
    buffer = (
        "- !Component {name: Buffer, class: SRAM, attributes: {datawidth: 8}, "
        "constraints: {dataspace: {keep: [Inputs], bypass: [Weights, Outputs]}}}"
    )
    hardware, _ = build([dram, row, pe.format("R=1, C=1, M=1"), buffer, mac])
    problem = conv(R=2, P=2, C=3)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, table)
    assert build_prices(space, model, next(space.masks())).cut_pj == 3 * 2 * 2.0
    hardware, _ = build([dram, pe.format("K=1, R=1"), buffer, mac])
    problem = problem_of("transposed", [1, 2, 3], [1, 1, 1])
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, table)
    assert build_prices(space, model, next(space.masks())).cut_pj == (7.0 + 3.0) / 2


def test_costs_with_remainders_are_not_of_whole_words() -> None:
    hardware, ert = build(MACHINES["private_buffers"])
    problem = conv(R=3, P=2)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    mask = next(space.masks())
    assert build_prices(space, model, mask).cut_pj > 0.0
    uneven = replace(space, actual=tuple(problem.bounds.values()))
    assert build_prices(uneven, model, mask).cut_pj == 0.0
