from __future__ import annotations

import math

import numpy as np
import pytest

from tests.mapper.custom import MACHINES, build
from tests.mapper.places import conv
from tests.mapper.tables import small
from tqhw.engine import build_model
from tqhw.mapper.space.arrays import problem_pj, rounding_pj, tile_words


def test_tiles_are_numbered_with_their_words_and_iterations() -> None:
    _, model, search = small("two_level", C=4, P=6, R=3, Wstride=2)
    tables = search.tables
    assert len(tables.digits) == np.prod(tables.n_divisors)
    for t in range(len(tables.digits)):
        sizes = tables.divisor[np.arange(len(model.bounds)), tables.digits[t]]
        assert tables.words[:, t].tolist() == tile_words(model, sizes)
        assert tables.iterations[t] == sizes.prod()
        assert (tables.digits[t] * tables.radix).sum() == t


def test_a_word_passes_from_its_parent_to_the_level_that_keeps_it() -> None:
    """By hand: Buffer keeps Inputs and Outputs in blocks of 3; Weights come from DRAM, 100 pJ a read, 110 a write."""
    hardware, ert = build(MACHINES["holes"])
    problem = conv(C=2, M=2)
    from tqhw.mapper.space.arrays import build_prices
    from tqhw.mapper.space.mapspace import build_mapspace

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
