from __future__ import annotations

import numpy as np
import pytest

from tests.mapper.brute import mappings
from tests.mapper.places import conv, machine
from tqhw.engine import Batch, build_model, run_batch
from tqhw.errors import TqhwError
from tqhw.mapper import MappingCache, Objective, search
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.objectives import OBJECTIVES, objective_of

ED2P = Objective("ed2p", 1, 2)


def test_names_are_rows() -> None:
    assert {name: row.value(3.0, 5.0) for name, row in OBJECTIVES.items()} == {
        "energy": 3.0,
        "edp": 15.0,
        "latency": 5.0,
    }
    assert objective_of("edp") is OBJECTIVES["edp"]
    assert objective_of(ED2P) is ED2P
    with pytest.raises(TqhwError, match=r"unknown objective 'enregy'.*energy"):
        objective_of("enregy")


@pytest.mark.parametrize("powers", [(0, 0), (-1, 1), (1, 8), (1, 0.5)])
def test_powers_that_have_no_best_mapping_are_refused(powers: tuple[int, int]) -> None:
    with pytest.raises(TqhwError, match=r"has no best mapping.*whole powers from 0 to 7"):
        Objective("odd", *powers)


@pytest.mark.parametrize("objective", [ED2P, Objective("e2d", 2, 1)])
def test_an_objective_of_ones_own_is_proved_like_any(objective: Objective) -> None:
    hardware, ert = machine("two_level_array")
    problem = conv(C=4, P=3)
    model = build_model(problem, hardware, ert)
    rows = [np.array(column) for column in zip(*mappings(build_mapspace(problem, hardware)), strict=True)]
    counts = run_batch(model, Batch(*rows))
    costs = objective.value(counts.energy_pj, counts.cycles.astype(float))
    found = search(problem, hardware, ert, objective)
    assert found.proved_optimal
    assert found.objective == objective.name
    assert found.lower_bound == pytest.approx(costs[counts.rule == 0].min(), rel=1e-11)


def test_equal_names_of_different_objectives_are_kept_apart(tmp_path) -> None:
    cache = MappingCache(tmp_path / "mappings.sqlite")
    hardware, ert = machine("two_level_array")
    one = search(conv(C=4), hardware, ert, "edp", cache=cache)
    other = search(conv(C=4), hardware, ert, Objective("edp", 2, 1), cache=cache)
    assert not other.cached
    assert one.lower_bound < other.lower_bound
    assert search(conv(C=4), hardware, ert, Objective("edp", 1, 1), cache=cache).cached
