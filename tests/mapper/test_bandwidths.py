"""Drawn machines whose levels have narrow ports: the search equals the enumeration, whatever throttles it."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from tests.mapper.brute import best_of_all
from tests.mapper.places import conv, machine
from tests.mapper.test_properties import MOST, draw_case
from tests.mapper.test_solve import check
from tests.sampling import some
from tqhw.engine import build_model
from tqhw.mapper.bound.prices import compulsory, port_prices
from tqhw.mapper.branch.solve import solve
from tqhw.mapper.space.mapspace import build_mapspace, most_units
from tqhw.spec import ERT, Hardware, Problem

CASES = 20  # machines per seed
PORTS = ("read_bandwidth", "write_bandwidth", "shared_bandwidth")


def draw_throttled(r: random.Random, nested: bool) -> tuple[Hardware, ERT, Problem, str]:
    """A machine of test_properties with ports of up to some words per cycle, a layer and an objective."""
    hardware, ert, problem, _ = draw_case(r, nested)
    return narrowed(r, hardware), ert, problem, r.choice(["latency", "latency", "edp", "energy"])


def narrowed(r: random.Random, hardware: Hardware) -> Hardware:
    """A machine with such ports."""
    wide = r.choice([(0.5, 1, 1.5), (1, 2, 3), (0.25, 4)])
    often = r.choice([0.2, 0.6])
    levels = tuple(
        replace(level, **{port: float(r.choice(wide)) for port in PORTS if r.random() < often})
        if level.kind == "storage"
        else level
        for level in hardware.levels
    )
    return replace(hardware, levels=levels)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("seed", some(range(3)))
def test_equals_enumeration(seed: int, nested: bool) -> None:
    r = random.Random(seed)
    checked = 0
    while checked < CASES:
        hardware, ert, problem, objective = draw_throttled(r, nested)
        checked += check((hardware, ert), objective, problem, MOST)


@pytest.mark.parametrize("nested", [False, True])
def test_no_mapping_takes_less_than_what_its_words_take_at_ports(nested: bool) -> None:
    r = random.Random(7)
    checked = ports = 0
    while checked < 3 * CASES:
        hardware, ert, problem, _ = draw_throttled(r, nested)
        space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
        truth = best_of_all(space, model, "latency", MOST)
        if truth is None or truth[0] == math.inf:
            continue
        checked += 1
        found = compulsory(space, model, "latency")
        assert found <= truth[0]
        ports += found > problem.computes / math.prod(map(most_units, space.slots))
    assert ports > CASES / 2


def test_a_layer_without_reuse_is_proved_by_what_its_ports_take() -> None:
    """Depthwise: few units have work, and the buffer throttles most mappings that use them."""
    hardware, ert = machine("eyeriss_like")
    problem = conv(G=16, R=3, S=3, P=8, Q=8)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    found = solve(space, model, "latency")
    assert found.proved
    assert found.nodes < 20_000
    assert found.tightness >= 1.0
    assert found.value > problem.computes / hardware.compute.instances


def test_ports_that_serve_all_units_below_them_throttle_nothing() -> None:
    """By hand: a level of one word per cycle and unit is no port, one of half a word is."""
    hardware, ert = machine("eyeriss_like")
    problem = conv(C=4, M=4, P=4)
    names = [level.name for level in hardware.levels]
    inner = names.index("weights_spad")
    for bandwidth, number in ((1.0, 0), (0.5, 1)):
        levels = tuple(
            replace(level, read_bandwidth=bandwidth if i == inner else None, write_bandwidth=None)
            for i, level in enumerate(hardware.levels)
        )
        narrow = replace(hardware, levels=levels)
        space, model = build_mapspace(problem, narrow), build_model(problem, narrow, ert)
        found = port_prices(space, model, next(space.masks()))
        assert len(found.cut_pj) == number
        assert found.per_instance
        weights = problem.shape.data_space_names.index("Weights")
        assert found.parent_pj[:, 0, weights].tolist() == [2.0] * number  # cycles per word that the unit asks for


@pytest.mark.parametrize("objective", ["latency", "edp"])
def test_a_machine_of_one_level_is_searched_below_its_port(objective: str) -> None:
    hardware, ert = machine("single_level_array")
    levels = tuple(
        replace(level, read_bandwidth=0.5) if level.kind == "storage" else level
        for level in hardware.levels
        if level.kind != "fanout"
    )
    one = replace(hardware, levels=levels)
    assert len(build_mapspace(conv(C=4, M=2), one).slots) == 1
    assert check((one, ert), objective, conv(C=4, M=2), MOST)
