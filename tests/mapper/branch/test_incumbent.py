from __future__ import annotations

import math

import numpy as np
import pytest

from tests.mapper.tables import small
from tqhw.mapper.branch import incumbent as module
from tqhw.mapper.branch.incumbent import GRACE_S, Clock, Incumbent, OutOfTimeError
from tqhw.mapper.branch.stack import make_leaves
from tqhw.objectives import OBJECTIVES


class Time:
    now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_a_clock_rings_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time()
    monkeypatch.setattr(module, "time", time)
    clock = Clock(4.0)
    quarter = clock.part(0.25)
    clock.armed = quarter.armed = True
    time.now = 1.0
    clock.check()
    with pytest.raises(OutOfTimeError):
        quarter.check()
    time.now = 4.0
    with pytest.raises(OutOfTimeError):
        clock.check()
    clock.armed = False  # nothing to show yet: a little longer
    clock.check()
    time.now += GRACE_S
    with pytest.raises(OutOfTimeError):
        clock.check()
    Clock(None).check()


def test_a_part_is_of_the_time_that_is_left_and_no_grace_outlasts_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time()
    monkeypatch.setattr(module, "time", time)
    monkeypatch.setattr(module, "compiling_s", lambda: 0.0)
    clock = Clock(4.0)
    time.now = 2.0
    assert (clock.part(0.5).end, clock.part(0.5, most_s=0.25).end) == (3.0, 2.25)
    assert (Clock(None).part(0.5).endless, Clock(None).part(0.5, most_s=5.0).end) == (True, 7.0)
    time.now = 4.0 + GRACE_S / 2
    late = clock.part(0.5)
    assert late.over
    late.check()
    time.now = 4.0 + GRACE_S
    with pytest.raises(OutOfTimeError):
        late.check()


def test_the_first_of_equals_stays_and_an_invalid_mapping_never_wins() -> None:
    case = small("two_level", C=2)
    n_levels, n_dims = len(case.model.mesh_x), len(case.model.bounds)
    leaves = make_leaves(4, n_levels, n_dims)
    leaves.temporal_order[:] = leaves.spatial_order[:] = np.arange(n_dims)
    c = case.space.problem.shape.dimensions.index("C")
    leaves.temporal[1:3, n_levels - 1, c] = 2  # rows 0 and 3 miss the bound
    keep = case.search.prices.keep
    best = Incumbent(case.space, case.model, OBJECTIVES["energy"])
    assert not best.price(leaves, 1, keep)
    assert not best.found
    assert best.price(leaves, 4, keep)
    assert best.found
    assert best.batch is not None
    assert best.batch.temporal[0].tolist() == leaves.temporal[1].tolist()
    assert not best.price(leaves, 4, keep)  # no better than what is known
    assert best.evaluated == 9
    leaves.bound[:] = 2 * best.value
    best.price(leaves, 2, keep)
    assert best.tightness == pytest.approx(0.5)  # a bound above the cost shows
    assert math.isfinite(best.value)
    assert np.shares_memory(best.batch.temporal, leaves.temporal) is False
