"""A search that the clock stops, wherever it does, says no more than it knows."""

from __future__ import annotations

import json
import math
import os
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import takewhile
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from tests.mapper.brute import best_of_all
from tests.mapper.custom import MACHINES, build, problem_of
from tests.mapper.places import conv, machine
from tests.sampling import EVERY
from tqhw.engine import build_model
from tqhw.errors import TqhwError
from tqhw.mapper import MappingCache, NoMappingError, diagnosis, search
from tqhw.mapper.bound.prices import compulsory
from tqhw.mapper.branch import front, incumbent
from tqhw.mapper.branch import solve as solving
from tqhw.mapper.branch.bypass_search import Subproblem
from tqhw.mapper.branch.incumbent import GRACE_S, Clock
from tqhw.mapper.branch.solve import RISING, Outcome, solve
from tqhw.mapper.space import orders
from tqhw.mapper.space.factors import divisors
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.mapper.space.subspace import count_pairs, narrowed, whole
from tqhw.spec import ERT, Hardware, Problem

PLACES = [
    ("eyeriss_like", "edp", conv(C=4, M=4, R=3, P=6)),
    ("two_level_array", "energy", conv(C=8, M=8, P=8, R=3)),
    ("simba_like", "edp", conv(C=8, M=8, P=4, R=3)),
    ("eyeriss_like_free", "energy", conv(C=3, P=4)),
]

# A dimension in two ranks of Inputs: what every mapping needs was once claimed too high.
TANGLED = [
    ("row", "energy", "diagonal", (2, 24, 2), (1, 1)),
    ("stacked", "edp", "diagonal", (4, 12, 2), (1, 1)),
    ("behind_buffer", "edp", "diagonal", (3, 8, 3), (1, 2)),
    ("line", "latency", "two_diagonals", (3, 6, 6), (2, 1)),
    ("private_buffers", "energy", "two_diagonals", (12, 2, 2), (1, 1)),
]


FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="copies of a process need fork")


@pytest.fixture(scope="module")
def small() -> Iterator[ProcessPoolExecutor]:
    """A process with little in it: hundreds of copies of one that holds all tests and PyTorch would take a minute."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        yield process


@FORKS
@pytest.mark.parametrize("architecture, objective, problem", PLACES)
def test_stopped_at_any_look(architecture, objective, problem, small):
    assert small.submit(stop_everywhere, machine(architecture), objective, problem).result() > 1


@FORKS
@pytest.mark.parametrize("name, objective, shape, bounds, coefficients", TANGLED)
def test_stopped_at_any_look_on_tangled_shapes(name, objective, shape, bounds, coefficients, small):
    problem = problem_of(shape, bounds, coefficients)
    small.submit(stop_everywhere, build(MACHINES[name]), objective, problem).result()


def stop_everywhere(architecture: tuple[Hardware, ERT], objective: str, problem: Problem) -> int:
    """The time is over at the n-th look at the clock, for every n up to the last; how often there was no proof."""
    hardware, ert = architecture
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    truth = solve(space, model, objective)
    outcomes = stopped_outcomes(lambda: solve(space, model, objective, Clock(1.0)), EVERY)
    for value, lower_bound, proved in outcomes:
        assert lower_bound <= truth.value * (1 + 1e-11)
        assert value >= truth.value * (1 - 1e-11)
        assert not proved or value == pytest.approx(truth.value, rel=1e-11)
        assert proved or lower_bound < value
    assert outcomes[-1][2], "the last is of the whole search"
    return sum(not proved for *_, proved in outcomes)


def stopped_outcomes(search: Callable[[], Outcome], every: int = 1) -> list[tuple[float, float, bool]]:
    """Value, lower bound and proof of a search that is stopped at its first look, its second (or every so-many-th), and
    so on; last, of one that is not."""
    clock, ours = ForkingClock(every), os.getpid()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(incumbent, "time", clock)
            found = search()
        outcome = found.value, found.lower_bound, found.proved
        if os.getpid() != ours:
            os.write(clock.answer, json.dumps(outcome).encode())
            os._exit(0)
    finally:
        if os.getpid() != ours:
            traceback.print_exc()
            os._exit(1)
    return [*clock.outcomes, outcome]


class ForkingClock:
    """A stand-in for the module ``time``, for which the budget is over at every look (or so-many-th) of one search.

    A copy of the process goes on from there without time and says what came of it; it itself goes on as if nothing had
    been. So no search has to be done again up to its stop.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.looks, self.now = -1, 0.0  # the first look starts the clock
        self.outcomes: list[tuple[float, float, bool]] = []
        self.answer = -1

    def perf_counter(self) -> float:
        self.looks += 1
        if self.now == 0.0 and self.looks > 0 and (self.looks - 1) % self.every == 0:
            self._fork()
        return self.now

    def _fork(self) -> None:
        reading, self.answer = os.pipe()
        copy = os.fork()
        if copy == 0:
            self.now = float("inf")
            return
        os.close(self.answer)
        with os.fdopen(reading) as pipe:
            told = pipe.read()
        assert os.waitpid(copy, 0)[1] == 0, f"the search that is stopped at look {self.looks} fails"
        self.outcomes.append(tuple(json.loads(told)))


class Stopwatch:
    """A stand-in for the module ``time``: the budget is over after so many looks."""

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, last: int) -> None:
        self.last, self.looks = last, -1  # the first look starts the clock

    def perf_counter(self) -> float:
        self.looks += 1
        return float("inf") if self.looks > self.last else 0.0


@FORKS
def test_a_stopped_search_has_proved_what_it_could_before_it_went_deeper(small):
    """Limits rise towards the mapping that is known; each that is done with is a bound."""
    known = small.submit(known_shares).result()
    first = next(i for i, share in enumerate(known) if share == pytest.approx(RISING[0]))
    assert all(share >= RISING[0] * (1 - 1e-12) for share in known[first:])
    assert any(share == pytest.approx(RISING[1]) for share in known)


def known_shares() -> list[float]:
    """Lower bounds of a search that is stopped at any look before it has a proof, as shares of what it has found."""
    hardware, ert = machine("two_level_array")
    problem = conv(C=8, M=8, P=8, R=3)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    outcomes = stopped_outcomes(lambda: solve(space, model, "energy", Clock(1.0)))
    return [lower_bound / value for value, lower_bound, _ in takewhile(lambda outcome: not outcome[2], outcomes)]


HUGE = conv(C=720, M=720, R=3, S=3, P=120, Q=120, N=8)


def test_a_huge_space_is_never_swept_before_there_is_an_answer(monkeypatch):
    """Its 3.7 million tiles are more than the budget holds: parts of the space are searched, and no table is made."""
    hardware, ert = machine("eyeriss_like")
    space, model = build_mapspace(HUGE, hardware), build_model(HUGE, hardware, ert)
    monkeypatch.setattr(incumbent, "time", Stopwatch())
    values = []
    for last in (0, 400):
        incumbent.time.reset(last)
        found = solve(space, model, "energy", Clock(1.0))
        assert found.batch is not None
        assert (found.lower_bound, found.proved) == (compulsory(space, model, "energy"), False)
        values.append(found.value)
    assert values[1] < values[0]


@pytest.mark.parametrize("budget_s", [1.0, 5.0])
def test_no_more_tiles_get_tables_than_there_is_time_for(budget_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with nothing else to do makes the tables of half a million tiles a second; 3.7 million take 8 s."""
    hardware, ert = machine("eyeriss_like")
    monkeypatch.setattr(incumbent, "time", Stopwatch())
    incumbent.time.reset(400)
    made, over = [], Subproblem.over

    def counted(*arguments: Any, **options: Any) -> Subproblem:
        made.append(math.prod(map(len, arguments[4])))
        return over(*arguments, **options)

    monkeypatch.setattr(Subproblem, "over", counted)
    solve(build_mapspace(HUGE, hardware), build_model(HUGE, hardware, ert), "energy", Clock(budget_s))
    assert len(made) > 1
    assert max(made) <= 500_000 * budget_s


WORK_S = 0.02


class Ticking:
    """A stand-in for the module ``time``: every look takes a little, and some work more."""

    now = 0.0

    def perf_counter(self) -> float:
        self.now += 1e-4
        return self.now


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Ticking:
    found = Ticking()
    monkeypatch.setattr(incumbent, "time", found)
    monkeypatch.setattr(incumbent, "compiling_s", lambda: 0.0)  # of the real clock
    return found


@pytest.mark.parametrize("way", ["perfect", "imperfect", "padded"])
@pytest.mark.parametrize("objective", ["energy", "latency", "energy,latency"])
def test_all_work_is_charged_to_the_budget(
    objective: str, way: str, ticking: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists of orders and tables take a tenth of the budget each, wherever they are made."""
    for owner, name in ((Subproblem, "over"), (solving, "build_orders"), (front, "build_orders")):
        monkeypatch.setattr(owner, name, slow(getattr(owner, name), ticking))
    found = search(conv(C=26, M=32, P=13, Q=13, R=3), *machine("simba_like"), objective, budget_s=0.2, way=way)
    assert found.proved_optimal or ticking.now >= 0.2
    assert ticking.now <= 0.2 + WORK_S + 0.01


def slow(work: Callable[..., Any], time: Ticking) -> Callable[..., Any]:
    """The same, a little later."""

    def later(*arguments: Any, **options: Any) -> Any:
        time.now += WORK_S
        return work(*arguments, **options)

    return later


def test_a_diagnosis_takes_what_is_left_of_the_budget(ticking: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many constraints are tried, and however long each of them takes."""
    hardware, ert = machine("eyeriss_like")
    levels = tuple(replace(v, effective_size=0) if v.name == "psum_spad" else v for v in hardware.levels)
    tries = []

    def late(*arguments: Any, **options: Any) -> Outcome:
        clock = next(one for one in arguments if isinstance(one, Clock))
        ticking.now = max(ticking.now, clock.latest)
        tries.append(clock)
        return Outcome(None, math.inf, 0.0, False, 0, 0, math.inf)

    monkeypatch.setattr(diagnosis, "solve", late)
    with pytest.raises(NoMappingError, match="psum_spad"):
        search(conv(C=4, M=4, R=3, P=4), replace(hardware, levels=levels), ert, budget_s=4.0)
    assert tries
    assert 4.0 <= ticking.now <= 4.0 + GRACE_S + 0.1


def test_lists_of_orders_look_at_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight loops have 40,320 orders, nine ten times as many."""
    monkeypatch.setattr(orders, "MANY", 100)
    monkeypatch.setattr(incumbent, "time", Stopwatch())
    incumbent.time.reset(3)
    with pytest.raises(TqhwError, match=r"no mapping of conv found within the budget of 1\.0 s"):
        search(conv(C=2, M=2, R=2, S=2, P=2, Q=2), *machine("eyeriss_like_free"), budget_s=1.0)
    incumbent.time.reset(3)
    with pytest.raises(TqhwError, match=r"no mapping of conv found within the budget of 1\.0 s"):
        search(conv(C=2, M=2, R=2, S=2, P=2, Q=2), *machine("eyeriss_like_free"), "energy,latency", budget_s=1.0)


def test_parts_keep_what_the_constraints_ask_for():
    hardware, _ = machine("eyeriss_like")
    space = build_mapspace(HUGE, hardware)
    assert whole(space)[0] == divisors(space.problem.bounds[space.problem.shape.dimensions[0]])
    sizes = []
    for most in (0, 50_000, 10_000_000):
        lists = narrowed(space, most)
        assert lists == narrowed(space, most)
        sizes.append(count_pairs(space, lists))
        for d, name in enumerate(space.problem.shape.dimensions):
            bound = space.problem.bounds[name]
            tiles = {bound}
            for slot in reversed(space.slots):
                tiles = {t // f for t in tiles for f in slot.factors[d] if t % f == 0 and t // f in lists[d]}
            assert 1 in tiles
    assert sizes[0] < sizes[1] <= 50_000 < sizes[2] <= 10_000_000 < count_pairs(space, whole(space))


def test_no_mapping_within_the_budget_is_told(monkeypatch):
    monkeypatch.setattr(incumbent, "time", Stopwatch())
    monkeypatch.setattr(solving, "WARM_BYPASSES", 0)
    with pytest.raises(TqhwError, match=r"no mapping of conv found within the budget of 1.0 s.*give more seconds") as e:
        search(HUGE, *machine("eyeriss_like"), budget_s=1.0)
    assert not isinstance(e.value, NoMappingError)


def demanding(name: str, least: float) -> tuple[Hardware, ERT]:
    hardware, ert = machine(name)
    inner = hardware.levels[0]
    levels = (replace(inner, constraints=replace(inner.constraints, min_utilization=least)), *hardware.levels[1:])
    return replace(hardware, levels=levels), ert


def test_an_unreachable_utilization_is_seen_at_once():
    """14 columns and 12 rows hold no more than 8 * 8 units of powers of two."""
    hardware, ert = demanding("eyeriss_like", 1.0)
    problem = conv(C=64, M=64, P=16, Q=16)
    found = solve(build_mapspace(problem, hardware), build_model(problem, hardware, ert), "energy", Clock(1.0))
    assert (found.batch, found.proved, found.nodes) == (None, True, 0)
    with pytest.raises(NoMappingError, match="at least 168 units must be used, the factors allow at most 64"):
        search(problem, hardware, ert, budget_s=1.0)


@pytest.mark.parametrize("objective", ["energy", "edp", "latency"])
def test_a_utilization_leaves_the_best_of_those_that_reach_it(objective):
    hardware, ert = demanding("two_level_array", 0.25)
    problem = conv(C=4, M=4, P=4)
    space, model = build_mapspace(problem, hardware), build_model(problem, hardware, ert)
    least, _ = best_of_all(space, model, objective)
    assert space.least_used > 1
    found = solve(space, model, objective)
    assert found.proved
    assert found.value == pytest.approx(least, rel=1e-11)


def test_a_stopped_answer_is_kept_as_what_it_is(monkeypatch, tmp_path):
    problem, cache = conv(C=8, M=8, P=8, R=3), MappingCache(tmp_path / "mappings.sqlite")
    with monkeypatch.context() as patch:
        patch.setattr(incumbent, "time", Stopwatch())
        stopped = search(problem, *machine("two_level_array"), budget_s=1.0, cache=cache)
    assert not stopped.proved_optimal
    again = search(problem, *machine("two_level_array"), budget_s=1.0, cache=cache)
    assert (again.cached, again.proved_optimal) == (True, False)
    longer = search(problem, *machine("two_level_array"), cache=cache)
    assert (longer.cached, longer.proved_optimal) == (False, True)
    assert 0.0 < stopped.lower_bound < longer.stats.energy_pj


@pytest.mark.parametrize("objective", ["energy", "latency", "edp", "energy,latency"])
def test_what_a_search_without_a_budget_answers_does_not_hang_on_the_cache(objective: str, tmp_path: Path) -> None:
    """Under a budget other mappings are looked at first; of those that cost the same another one is the answer."""
    problem, cache = conv(C=4, M=4, R=3, P=6), MappingCache(tmp_path / "mappings.sqlite")
    hurried = search(problem, *machine("eyeriss_like"), objective, budget_s=1e6, cache=cache)
    longer = search(problem, *machine("eyeriss_like"), objective, budget_s=2e6, cache=cache)
    assert hurried.proved_optimal
    assert (longer.cached, longer.mapping) == (True, hurried.mapping)
    first = search(problem, *machine("eyeriss_like"), objective)
    assert first.mapping != hurried.mapping
    for cached in (False, True):
        found = search(problem, *machine("eyeriss_like"), objective, cache=cache)
        assert (found.cached, found.mapping, found.front) == (cached, first.mapping, first.front)
    assert search(problem, *machine("eyeriss_like"), objective, budget_s=1.0, cache=cache).mapping == first.mapping
