from __future__ import annotations

import numpy as np
import pytest

from tests.mapper.brute import all_costs, mappings
from tests.mapper.places import conv, machine
from tqhw.engine import Batch, build_model, run_batch
from tqhw.errors import TqhwError
from tqhw.mapper import MappingCache, Objective, Tradeoff, search
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.objectives import OBJECTIVES, goal_of, objective_of

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


def test_units_follow_the_powers() -> None:
    assert {name: row.unit for name, row in OBJECTIVES.items()} == {
        "energy": "pJ",
        "edp": "pJ cycles",
        "latency": "cycles",
    }
    assert (ED2P.unit, Objective("e2", 2, 0).unit) == ("pJ cycles^2", "pJ^2")


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


def test_names_with_commas_between_are_a_tradeoff() -> None:
    assert goal_of("energy") is OBJECTIVES["energy"]
    assert goal_of(" energy, latency ") == Tradeoff((OBJECTIVES["energy"], OBJECTIVES["latency"]))
    keys = {goal_of(names).key for names in ("energy,latency", "latency,energy", "energy,edp", "energy")}
    assert len(keys) == 4


@pytest.mark.parametrize(
    "names, message",
    [
        ("energy,latency,energy", "energy is named twice.*name energy once"),
        ("energy,latency,edp", "edp adds nothing to a front of energy and latency.*give energy,latency"),
        ("latency,edp,energy", "edp adds nothing to a front of latency and energy.*give latency,energy"),
        ("energy,enregy", "unknown objective 'enregy'.*energy"),
        ("energy,", "unknown objective ''"),
    ],
)
def test_objectives_that_make_no_front_are_refused(names: str, message: str) -> None:
    with pytest.raises(TqhwError, match=message):
        goal_of(names)


def test_objectives_of_one_order_are_refused() -> None:
    with pytest.raises(TqhwError, match=r"edp and e2d2 put all mappings in one order.*leave e2d2 out"):
        Tradeoff((OBJECTIVES["edp"], Objective("e2d2", 2, 2)))


@pytest.mark.parametrize("objectives", [(), (ED2P,)])
def test_one_objective_makes_no_front(objectives: tuple[Objective, ...]) -> None:
    with pytest.raises(TqhwError, match="a front is of two objectives"):
        Tradeoff(objectives)


@pytest.mark.parametrize("names", ["energy,latency", "latency,energy", "energy,edp", "latency,edp"])
def test_the_front_of_any_two_objectives_is_that_of_all_mappings(names: str) -> None:
    hardware, ert = machine("eyeriss_like")
    problem = conv(C=2, M=4, R=3, Q=2)
    energies, cycles = all_costs(build_mapspace(problem, hardware), build_model(problem, hardware, ert))
    tradeoff = goal_of(names)
    first, second = (one.value(energies, cycles.astype(float)) for one in tradeoff.objectives)
    truth = []
    for i in np.lexsort((second, first)):
        if not truth or second[i] < truth[-1][1] * (1 - 1e-11):
            truth.append((first[i], second[i]))
    found = search(problem, hardware, ert, names)
    assert np.array(found.front.values()) == pytest.approx(np.array(truth), rel=1e-11)
    assert (found.mapping, found.stats) == (found.front.points[0].mapping, found.front.points[0].stats)
    assert found.proved_optimal
    assert found.lower_bound == pytest.approx(first.min(), rel=1e-11)
    assert found.front.open_region() == ()
