"""The search over mappings with remainders equals the enumeration of all of them, and its bounds are bounds."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.mapper.brute import costs_of_all, front_of_costs
from tests.mapper.custom import MACHINES, build
from tests.mapper.places import conv, machine
from tests.mapper.test_bandwidths import draw_throttled
from tests.sampling import fewer
from tqhw.engine import Batch, decode, evaluate
from tqhw.mapper import MappingCache, NoMappingError, cache_key, search
from tqhw.mapper.branch.incumbent import Clock
from tqhw.mapper.branch.uneven import solve_uneven, with_remainders
from tqhw.mapper.branch.uneven_front import solve_uneven_front
from tqhw.mapper.search import key_part
from tqhw.objectives import goal_of, objective_of
from tqhw.spec import ERT, MATMUL, Hardware, Problem, Stats, directives, make_problem, parse_mapping
from tqhw.spec.mapping import has_remainders


def check(problem: Problem, hardware: Hardware, ert: ERT, objective: str, most: int = 20_000) -> bool:
    """Compares the search with the enumeration; False where there are more than ``most`` mappings."""
    costs = costs_of_all(problem, hardware, ert, "imperfect", most)
    if costs is None:
        return False
    least = float(objective_of(objective).value(costs[0], costs[1].astype(np.float64)).min(initial=math.inf))
    found = solve_uneven(problem, hardware, ert, objective_of(objective), "imperfect", Clock(None))
    assert found.proved
    assert found.value == pytest.approx(least, rel=1e-11)
    assert (found.batch is None) == math.isinf(least)
    assert found.tightness >= 1 - 1e-11
    return True


@pytest.mark.parametrize(
    ("architecture", "objective", "given"),
    [
        ("two_level_array", "energy", {"M": 7, "C": 5}),
        ("two_level_array", "edp", {"P": 7, "R": 3}),
        ("two_level_array", "latency", {"M": 13}),
        ("single_level_array", "energy", {"S": 3, "P": 7, "Wstride": 2}),
        ("clustered", "latency", {"S": 7, "P": 5, "Wdilation": 2}),  # cycles that a bandwidth sets are whole
        ("clustered", "energy", {"M": 7, "C": 3}),
        ("weight_stationary", "energy", {"R": 3, "P": 7}),
        ("output_stationary", "edp", {"M": 11, "C": 3}),
        ("eyeriss_like", "energy", {"M": 5, "Q": 7, "S": 3}),
        ("eyeriss_like", "latency", {"C": 5, "Q": 17}),
    ],
)
def test_equals_enumeration(architecture: str, objective: str, given: dict[str, int]) -> None:
    assert check(conv(**given), *machine(architecture), objective)


@settings(max_examples=fewer(60), derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(
        ["two_level", "two_level_array", "single_level_array", "clustered", "weight_stationary", "eyeriss_like"]
    ),
    st.sampled_from(["energy", "energy", "edp", "latency"]),
    st.dictionaries(st.sampled_from("CMRSNPQG"), st.sampled_from([2, 3, 5, 7, 11, 13]), min_size=1, max_size=2),
    st.fixed_dictionaries({name: st.sampled_from([1, 1, 2]) for name in ("Wstride", "Hstride", "Wdilation")}),
)
def test_equals_enumeration_on_drawn_layers(architecture, objective, dimensions, coefficients):
    assume(check(conv(**dimensions, **coefficients), *machine(architecture), objective, 4_000))


@settings(max_examples=fewer(30), derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(sorted(MACHINES)),
    st.sampled_from(["energy", "edp", "latency"]),
    st.dictionaries(st.sampled_from("CMRSPQ"), st.sampled_from([2, 3, 5, 7]), min_size=1, max_size=2),
)
def test_equals_enumeration_on_machines_of_several_chips(name, objective, dimensions):
    assume(check(conv(**dimensions), *build(MACHINES[name]), objective, 4_000))


def memory(name: str, kept: Sequence[str], loops: str = "") -> str:
    """A level that keeps these data spaces and bypasses the others."""
    bypassed = ", ".join(space for space in ("Weights", "Inputs", "Outputs") if space not in kept)
    return (
        f"- !Component {{name: {name}, class: SRAM, attributes: {{datawidth: 8}}, constraints: {{dataspace: "
        f"{{keep: [{', '.join(kept)}], bypass: [{bypassed}]}}, temporal: {{{loops}}}}}}}"
    )


def units(name: str, columns: int) -> str:
    return f"- !Container {{name: {name}, spatial: {{meshX: {columns}, meshY: 1}}}}"


ALL = ("Weights", "Inputs", "Outputs")
MAC = "- !Component {name: mac, class: compute}"


@pytest.mark.parametrize("objective", ["energy", "edp"])
@pytest.mark.parametrize(
    ("nodes", "given"),
    [
        # The order of P and Q matters where one of them has a remainder: the words of the inner one's last pass.
        (
            [memory("DRAM", ALL), memory("Buffer", ["Inputs"]), units("U", 2), MAC],
            {"P": 7, "Q": 5, "Wstride": 2, "Hstride": 2},
        ),
        (
            [memory("DRAM", ALL), memory("Buffer", ["Inputs"]), units("U", 2), MAC],
            {"P": 11, "Q": 5, "Wstride": 2, "Hstride": 2},
        ),
        # A loop that is not there in the last pass leaves its data space in place over the next ones, too.
        (
            [
                memory("DRAM", ALL, "factors: [M=1, P<=2]"),
                memory("Buffer", ALL, "permutation: [P, M]"),
                memory("Buffer2", ["Inputs"], "factors: [M=1, P=1]"),
                MAC,
            ],
            {"P": 3, "M": 4},
        ),
        (
            [
                memory("DRAM", ALL, "factors: [Q=1, C<=2]"),
                memory("Buffer", ["Weights"], "permutation: [C, Q]"),
                memory("Buffer2", ["Weights"], "factors: [Q=1, C=1]"),
                MAC,
            ],
            {"C": 3, "Q": 3},
        ),
        # The first element of a unit is short where it is the only one, and is counted for the mean of all.
        ([memory("DRAM", ALL), units("V", 2), memory("Buffer", ["Inputs"]), units("U", 3), MAC], {"P": 13}),
        (
            [memory("DRAM", ALL), units("V", 3), memory("Buffer", ["Inputs", "Outputs"]), units("U", 2), MAC],
            {"P": 13, "M": 3, "Wstride": 2},
        ),
    ],
)
def test_what_last_passes_lack_is_missed_nowhere(nodes: list[str], given: dict[str, int], objective: str) -> None:
    hardware, _ = build(nodes)
    for far, near in ((1.0, 1.0), (10.0, 1.0), (0.0, 1.0)):
        memories = {name: {"read": near, "write": near} for name in ("Buffer", "Buffer2")}
        ert = ERT({"DRAM": {"read": far, "write": 0.0}, **memories, "mac": {"compute": 0.0}})
        assert check(conv(**given), hardware, ert, objective)


@pytest.mark.parametrize("port", ["read_bandwidth: 1", "write_bandwidth: 1"])
@pytest.mark.parametrize("given", [{"M": 5, "C": 4, "P": 3}, {"C": 5, "R": 4}])
def test_leakage_shrinks_with_instances_and_with_throttled_cycles(given: dict[str, int], port: str) -> None:
    for columns in (2, 3):
        hardware, _ = build(
            (
                "- !Component {name: DRAM, class: DRAM, attributes: {datawidth: 8}}",
                f"- !Container {{name: PE, spatial: {{meshX: {columns}}}}}",
                f"- !Component {{name: Buffer, class: SRAM, attributes: {{datawidth: 8, {port}}}, "
                "constraints: {dataspace: {keep: [Weights, Outputs], bypass: [Inputs]}}}",
                "- !Component {name: mac, class: compute}",
            )
        )
        ert = ERT(
            {
                "DRAM": {"read": 1.0, "write": 1.0},
                "Buffer": {"read": 0.0, "write": 0.0, "leak": 3.0},
                "mac": {"compute": 1.0},
            }
        )
        assert check(conv(**given), hardware, ert, "edp")
        assert check_front(conv(**given), hardware, ert, "imperfect")


def check_front(problem: Problem, hardware: Hardware, ert: ERT, way: str, most: int = 20_000) -> int:
    """Compares the front with the enumeration; its points, 0 where there are more than ``most`` mappings, or none."""
    costs = costs_of_all(problem, hardware, ert, way, most)
    if costs is None or not len(costs[0]) or costs[0].min() < 0.0:
        return 0
    truth = front_of_costs(*costs)
    found = solve_uneven_front(problem, hardware, ert, way, Clock(None))
    assert found.proved
    assert [stair.cycles for stair in found.stairs] == [cycles for _, cycles in truth]
    assert [stair.energy_pj for stair in found.stairs] == pytest.approx([energy for energy, _ in truth], rel=1e-11)
    assert found.tightness >= 1 - 1e-11
    assert (found.least_pj, found.least_cycles) == (found.stairs[-1].energy_pj, found.stairs[0].cycles)
    return len(truth)


@pytest.mark.parametrize(
    ("architecture", "way", "given", "points"),
    [
        ("two_level_array", "imperfect", {"M": 7, "C": 5}, 5),
        ("clustered", "padded", {"M": 7, "C": 3}, 1),
        ("clustered", "imperfect", {"S": 7, "P": 5, "Wdilation": 2}, 4),
        ("single_level_array", "padded", {"S": 3, "P": 7, "Wstride": 2}, 1),
        ("eyeriss_like", "imperfect", {"M": 5, "Q": 7, "S": 3}, 4),
        ("eyeriss_like", "padded", {"C": 5, "Q": 17}, 2),
    ],
)
def test_fronts_equal_enumeration(architecture: str, way: str, given: dict[str, int], points: int) -> None:
    assert check_front(conv(**given), *machine(architecture), way) == points


@pytest.mark.parametrize("way", ["imperfect", "padded"])
def test_fronts_equal_enumeration_on_narrow_ports(way: str) -> None:
    r = random.Random(5)
    sizes: list[int] = []
    while len(sizes) < 12:
        hardware, ert, problem, _ = draw_throttled(r, False)
        odd = {name: bound + (bound > 1) * r.choice([0, 1]) for name, bound in problem.bounds.items()}
        if points := check_front(replace(problem, bounds=odd), hardware, ert, way, 1_000):
            sizes.append(points)
    assert max(sizes) > 1


@pytest.mark.parametrize("way", ["imperfect", "padded"])
def test_points_are_what_the_engine_says_of_their_mappings(way: str) -> None:
    hardware, ert = machine("clustered")
    problem = conv(M=13, P=7, C=5)
    found = search(problem, hardware, ert, "energy,latency", way=way)
    assert found.front is not None and found.proved_optimal and found.gap == 0.0
    values = found.front.values()
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in itertools.pairwise(values))
    for point, value in zip(found.front.points, values, strict=True):
        mapped = problem if point.padded is None else replace(problem, bounds=dict(point.padded))
        assert evaluate(mapped, hardware, ert, point.mapping) == point.stats
        assert (point.energy_pj, point.cycles) == value
        assert (point.whole is None) == (way == "padded" or not has_remainders(point.mapping))
    assert [search(problem, hardware, ert, name, way=way).lower_bound for name in ("energy", "latency")] == [
        pytest.approx(values[0][0], rel=1e-11),
        values[-1][1],
    ]
    assert (found.mapping, found.padded, found.whole) == (
        found.front.points[0].mapping,
        found.front.points[0].padded,
        found.front.points[0].whole,
    )


def test_a_kept_front_is_held_against_the_engine(tmp_path: Path) -> None:
    hardware, ert = machine("clustered")
    problem, cache = conv(M=13, P=7, C=5), MappingCache(tmp_path / "mappings.sqlite")
    for way in ("padded", "imperfect"):
        one, two = (search(problem, hardware, ert, "energy,latency", cache=cache, way=way) for _ in range(2))
        assert (one.cached, two.cached) == (False, True)
        assert replace(two, cached=False) == one
    assert cache.warning is None
    key = cache_key(problem, hardware, ert, key_part(goal_of("energy,latency"), "padded"))
    kept = cache.get(key)
    assert kept is not None
    kept["front"]["points"][-1]["padded"]["M"] += 1
    cache.put(key, kept)
    again = search(problem, hardware, ert, "energy,latency", cache=cache, way="padded")
    assert not again.cached and "it is searched anew" in again.warnings[-1]


def test_a_budget_leaves_a_front_and_where_better_mappings_may_be() -> None:
    hardware, ert = machine("eyeriss_like")
    problem = conv(C=13, M=31, R=3, S=3, P=13, Q=17)
    found = search(problem, hardware, ert, "energy,latency", budget_s=0.5, way="imperfect")
    assert found.front is not None and not found.proved_optimal and 0.0 < found.front.share < 1.0
    assert found.front.open_region()
    columns = zip(*found.front.values(), strict=True)
    assert all(low <= min(column) for low, column in zip(found.front.least, columns, strict=True))


@pytest.mark.parametrize("way", ["imperfect", "padded"])
def test_what_words_take_at_bandwidths_is_known_of_sizes_for_which_there_is_no_time(way: str) -> None:
    """DRAM reads 16 words a cycle, here every weight once."""
    problem = conv(C=512, M=100)
    found = search(problem, *machine("weight_stationary"), "energy,latency", budget_s=1e-9, way=way)
    assert found.front is not None and not found.proved_optimal and len(found.sizes) > 1
    assert 0.98 * 512 * 100 / 16 < found.front.least[1] <= found.front.points[-1].cycles


@pytest.mark.parametrize("way", ["imperfect", "padded"])
def test_an_answer_is_what_the_engine_says_of_its_mapping(way: str) -> None:
    hardware, ert = machine("two_level_array")
    problem = conv(M=7, C=5)
    plain, found = search(problem, hardware, ert), search(problem, hardware, ert, way=way)
    mapped = make_problem(problem.shape, {**problem.coefficients, **(found.padded or problem.bounds)})
    again = parse_mapping(directives(found.mapping, problem.shape.dimensions))
    stats = evaluate(mapped, hardware, ert, again)
    assert isinstance(stats, Stats) and stats == found.stats
    assert found.proved_optimal and found.gap == 0.0 and len(found.sizes) > 1
    cost = found.stats.energy_pj if found.whole is None else found.whole.energy_pj
    assert cost == found.lower_bound <= plain.stats.energy_pj
    if way == "imperfect":
        assert has_remainders(found.mapping) and found.padded is None and found.whole is not None
        assert cost < plain.stats.energy_pj


def test_a_budget_leaves_a_bound_below_what_is_best() -> None:
    hardware, ert = machine("eyeriss_like")
    problem = conv(C=13, M=31, R=3, S=3, P=13, Q=17)
    found = search(problem, hardware, ert, budget_s=0.5, way="imperfect")
    assert found.lower_bound <= (found.whole or found.stats).energy_pj
    assert found.seconds < 60  # what compiles on the way is not counted


def test_no_mapping_is_diagnosed() -> None:
    hardware, ert = machine("two_level_array")
    problem = make_problem(MATMUL, {"M": 7, "K": 3, "N": 5})
    tiny = replace(hardware, levels=tuple(replace(level, effective_size=1) for level in hardware.levels))
    with pytest.raises(NoMappingError, match="no mapping of"):
        search(problem, tiny, ert, way="imperfect")


def test_remainders_are_the_digits_of_the_last_iteration() -> None:
    """By hand: 197 is 14 columns, 15 passes of them, the last of one column; and what would be another size."""
    hardware, _ = machine("two_level_array")
    problem = make_problem(MATMUL, {"M": 197, "K": 1, "N": 1})
    n_levels = len(hardware.levels)
    temporal = np.ones((2, n_levels, 3), np.int64)
    spatial = np.ones_like(temporal)
    spatial[:, 1, 0] = 14
    temporal[0, 2, 0], temporal[1, 2, 0] = 15, 16
    order = np.broadcast_to(np.arange(3), temporal.shape).copy()
    batch = Batch(temporal, order, spatial, order, np.full((2, n_levels), 3), np.ones((2, n_levels, 3), np.bool_))
    levels = [(0, False), (1, True), (2, False)]
    uneven, fits = with_remainders(batch, levels, np.array([197, 1, 1]))
    assert fits.tolist() == [True, False]
    assert uneven.spatial_rest[0, 1, 0] == 1 and uneven.temporal_rest[0, 2, 0] == 15
    found = decode(problem, hardware, uneven, 0)
    loops = found.level(hardware.levels[1].name).spatial
    assert loops is not None and (loops.factors["M"], loops.remainders) == (14, {"M": 1})
