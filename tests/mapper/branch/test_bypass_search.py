from __future__ import annotations

import math
from typing import Any

import pytest

from tests.mapper.tables import small
from tqhw.engine.jit import python
from tqhw.mapper.bound.lookahead import offer, take_kind, take_pairs
from tqhw.mapper.bound.pareto import sweep
from tqhw.mapper.branch import bypass_search, dominance
from tqhw.mapper.branch.bypass_search import BypassSearch, Subproblem
from tqhw.mapper.branch.explore import explore
from tqhw.mapper.branch.incumbent import Clock, Incumbent, limits
from tqhw.mapper.branch.solve import solve
from tqhw.mapper.space.orders import build_orders
from tqhw.mapper.space.subspace import whole
from tqhw.objectives import objective_of

CASES = [("two_level_array", "energy"), ("eyeriss_like_free", "edp"), ("simba_like", "latency")]


@pytest.mark.parametrize("glance", [False, True])
@pytest.mark.parametrize(("architecture", "name"), CASES)
def test_the_root_bounds_every_choice_and_the_best_of_all_is_the_answer(
    architecture: str, name: str, glance: bool
) -> None:
    space, model, _ = small(architecture, name, C=4, P=4)
    objective = objective_of(name)
    subproblem = Subproblem.over(space, model, objective, build_orders(space, model), whole(space))
    clock, values = Clock(None), []
    for mask in space.masks():
        incumbent, one = Incumbent(space, model, objective), BypassSearch(subproblem, mask)
        one.bound_root(clock, glance=glance)
        root = one.lower_bound
        one.sweep_below(math.inf, clock)
        assert one.ports.rows.size == len(one.port_prices) * one.fronts.rows.size  # a glance has none
        one.search(incumbent, math.inf, clock)
        assert root <= incumbent.value * (1 + 1e-12)
        assert one.lower_bound == pytest.approx(incumbent.value, rel=1e-11)
        values.append(incumbent.value)
    assert min(values) == pytest.approx(solve(space, model, name).value, rel=1e-11)


def test_ports_have_fronts_only_where_energy_has_some_and_below_the_limit() -> None:
    space, model, _ = small("weight_stationary", "edp", C=4, P=4, M=4)
    objective, clock = objective_of("edp"), Clock(None)
    subproblem = Subproblem.over(space, model, objective, build_orders(space, model), whole(space))
    limit = solve(space, model, "edp").value * 1.05
    swept = {False: 0, True: 0}
    for mask in space.masks():
        one, free = BypassSearch(subproblem, mask), BypassSearch(subproblem, mask)
        one.sweep_below(limit, clock)
        free.sweep_below(math.inf, clock)
        any_left = bool(one.fronts.rows[-2].any())
        swept[any_left] += 1
        assert (one.ports.rows.size > 0) == any_left
        for rows, all_rows in zip(one.ports.rows, free.ports.rows, strict=True) if any_left else ():
            assert not (rows[1:] > 0)[one.fronts.rows[1:] == 0].any()
            assert rows.sum() < all_rows.sum()
    assert min(swept.values()) > 0


@pytest.mark.parametrize("name", ["energy", "latency", "edp"])
def test_what_stands_outside_is_looked_at_once_for_energy_and_every_port(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = small("eyeriss_like", name, C=4, P=4, M=4).search
    clock, looked_ahead, calls = Clock(None), one._looked_ahead, [0]

    def counted(*arguments: Any) -> Any:
        calls[0] += 1
        return looked_ahead(*arguments)

    monkeypatch.setattr(one, "_looked_ahead", counted)
    once = 1 + len(one.port_prices)
    assert (once > 1) == (name != "energy")
    one.bound_root(clock)
    assert (one.least_pj > 0.0) == (name == "edp")  # latency asks for no energy
    for _ in range(2):
        one.sweep_below(math.inf, clock)
    assert calls[0] == once
    one.release()
    one.sweep_below(math.inf, clock)
    assert calls[0] == 2 * once
    one.release()
    monkeypatch.setattr(bypass_search, "KEPT_LOOKAHEAD", 1)  # a large space
    for _ in range(2):
        one.sweep_below(math.inf, clock)
    assert calls[0] == 2 * once + 1 + 2 * len(one.port_prices)


def test_a_small_space_is_swept_at_once_and_ends_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    space, model, _ = small("eyeriss_like", "edp", C=4, P=4, M=4)
    answers = []
    for tiles, pairs in ((128, bypass_search.MANY_PAIRS), (3, 0)):
        monkeypatch.setattr(bypass_search, "TILES", tiles)
        monkeypatch.setattr(bypass_search, "MANY_PAIRS", pairs)
        found = solve(space, model, "edp")
        answers.append((found.value, found.evaluated, found.nodes, found.lower_bound))
    assert answers[0] == answers[1]


def test_room_that_grows_keeps_all_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    space, model, _ = small("eyeriss_like_free", "edp", C=4, P=4, M=4)
    monkeypatch.setattr(bypass_search, "STEPS", 2)
    nodes = []
    for room in (1, dominance.ROOM):
        monkeypatch.setattr(dominance, "FIRST_ROOM", room)
        nodes.append(solve(space, model, "edp").nodes)
    monkeypatch.setattr(bypass_search, "with_room", lambda contexts, _: contexts)
    monkeypatch.setattr(dominance, "FIRST_ROOM", 1)
    assert nodes[0] == nodes[1] < solve(space, model, "edp").nodes


def test_limits_grow_from_the_floor_to_none() -> None:
    assert limits(100.0) == [pytest.approx(115.0), 150.0, 250.0, math.inf]
    assert limits(0.0) == [math.inf]


@pytest.mark.parametrize(("architecture", "objective"), CASES)
def test_kernels_answer_the_same_as_python(architecture: str, objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    space, model, _ = small(architecture, objective, C=2, P=2, R=2)
    compiled = solve(space, model, objective)
    for kernel in (offer, take_kind, take_pairs, sweep, explore):
        monkeypatch.setattr(bypass_search, kernel.__name__, python(kernel))
    interpreted = solve(space, model, objective)
    assert (interpreted.value, interpreted.evaluated, interpreted.nodes, interpreted.lower_bound) == (
        compiled.value,
        compiled.evaluated,
        compiled.nodes,
        compiled.lower_bound,
    )
