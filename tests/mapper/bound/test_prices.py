"""What words cost, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.mapper.custom import MACHINES, build, problem_of
from tests.mapper.places import conv
from tests.mapper.tables import small
from tqhw.engine import build_model
from tqhw.mapper.bound.prices import build_prices, compulsory, fits_level, problem_pj, rounding_pj
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.spec import MATMUL, make_problem


def test_a_word_passes_from_its_parent_to_the_level_that_keeps_it() -> None:
    """By hand: Buffer keeps Inputs and Outputs in blocks of 3; Weights come from DRAM, 100 pJ a read, 110 a write."""
    hardware, ert = build(MACHINES["holes"])
    problem = conv(C=2, M=2)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    names = problem.shape.data_space_names
    w, i, o = (names.index(name) for name in ("Weights", "Inputs", "Outputs"))
    buffer, dram = (index for index, level in enumerate(hardware.levels) if level.kind == "storage")
    prices = build_prices(space, model, next(space.masks()))
    assert prices.parent_pj[0, w] == 100.0
    assert prices.parent_pj[0, i] == pytest.approx(10 / 3)
    assert prices.parent_pj[0, o] == pytest.approx(20 / 3)  # a partial sum is read and updated
    assert prices.parent_pj[buffer + 1, i] == 100.0
    assert prices.fill_pj[buffer, i] == pytest.approx(10 / 3)
    assert prices.fill_pj[dram].tolist() == [0.0, 0.0, 0.0]  # nobody fills the outermost level
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
