"""The mapper's public verb: the best mapping of a problem on constrained hardware."""

from __future__ import annotations

import sys
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING

from tqhw.errors import TqhwError
from tqhw.mapper.cache import MappingCache, cache_key
from tqhw.mapper.kept import payload, recalled
from tqhw.mapper.refused import check_credit, without_mapping
from tqhw.mapper.result import FrontPoint, SearchResult, front_of
from tqhw.objectives import Goal, Objective, Tradeoff, goal_of
from tqhw.spec import ERT, Hardware, Problem

if TYPE_CHECKING:
    from tqhw.engine import Batch, Model
    from tqhw.mapper.branch.incumbent import Clock
    from tqhw.mapper.space.mapspace import Mapspace

PERFECT = "perfect"  # the way to search that all problems have: factors that divide


def budget_of(given: float | None) -> float | None:
    """Seconds, or None for no limit. Raises TqhwError for a budget that leaves no time, or is no number."""
    if given is None:
        return None
    number: object = given
    if not isinstance(number, Real):
        lever = "give seconds, or None for no limit"
        raise TqhwError(f"a budget of {number!r} is no number", place="budget", lever=lever)
    if not given > 0:
        raise TqhwError(f"a budget of {given} s leaves no time", place="budget", lever="give more than 0 seconds")
    return None if given > sys.float_info.max else float(given)


def search(
    problem: Problem,
    hardware: Hardware,
    ert: ERT,
    objective: str | Goal = "energy",
    budget_s: float | None = None,
    cache: MappingCache | None = None,
    way: str = PERFECT,
) -> SearchResult:
    """The best mapping of the whole mapspace; of several objectives (``"energy,latency"``), their Pareto front.

    ``way`` imperfect: with remainders, too; padded: of a larger problem, if that is better.

    Without a budget the search runs until the answer is proved; with one it returns the best so far and a bound.
    Raises TqhwError for an unknown objective, several that make no front, a budget of 0 or less, one that ended without
    any mapping, bad constraints, and outputs with so many holes that a mapping would cost less than nothing;
    NoMappingError, with a diagnosis, where no mapping fits.
    """
    goal, budget_s = goal_of(objective), budget_of(budget_s)
    if cache is None:
        return _searched(problem, hardware, ert, goal, budget_s, way)
    key = cache_key(problem, hardware, ert, key_part(goal, way))
    kept = recalled(cache.get(key), cache, problem, hardware, ert, goal, budget_s)
    if kept is not None:
        return kept
    result = _searched(problem, hardware, ert, goal, budget_s, way)
    cache.put(key, payload(result, budget_s))
    if cache.warning is not None:
        result = replace(result, warnings=(*result.warnings, cache.warning))
    return result


def key_part(goal: Goal, way: str) -> str:
    """What an objective and a way to search add to the key of an answer."""
    return goal.key if way == PERFECT else f"{goal.key} {way}"


def _searched(
    problem: Problem, hardware: Hardware, ert: ERT, goal: Goal, budget_s: float | None, way: str
) -> SearchResult:
    from tqhw.mapper.branch.incumbent import Clock

    if way != PERFECT:
        from tqhw.mapper.uneven import search_uneven, search_uneven_front

        clock = Clock(budget_s)
        if isinstance(goal, Tradeoff):
            return search_uneven_front(problem, hardware, ert, goal, way, clock)
        return search_uneven(problem, hardware, ert, goal, way, clock)
    from tqhw.engine import build_model
    from tqhw.engine.stopwatch import Stopwatch
    from tqhw.mapper.space.mapspace import build_mapspace

    watch, clock = Stopwatch(), Clock(budget_s)
    space = build_mapspace(problem, hardware)
    model = build_model(problem, hardware, ert)
    found = _front(space, model, goal, clock) if isinstance(goal, Tradeoff) else _best(space, model, goal, clock)
    return replace(found, seconds=watch.seconds())


def _best(space: Mapspace, model: Model, objective: Objective, clock: Clock) -> SearchResult:
    from tqhw.mapper.branch.solve import solve

    found = solve(space, model, objective, clock)
    if found.batch is None:
        raise without_mapping(space, model, found.proved, clock)
    check_credit(space, found.value)
    best = _point(space, model, found.batch)
    return SearchResult(
        mapping=best.mapping,
        stats=best.stats,
        objective=objective.name,
        proved_optimal=found.proved,
        lower_bound=found.lower_bound,
        gap=0.0 if found.proved else 1.0 - found.lower_bound / found.value,
        space_size=space.size,
        evaluated=found.evaluated,
        seconds=0.0,
        warnings=space.warnings,
    )


def _front(space: Mapspace, model: Model, tradeoff: Tradeoff, clock: Clock) -> SearchResult:
    from tqhw.mapper.branch.front import solve_front

    found = solve_front(space, model, clock)
    if not found.stairs:
        raise without_mapping(space, model, found.proved, clock)
    check_credit(space, min(stair.energy_pj for stair in found.stairs))
    points = tuple(_point(space, model, stair.batch) for stair in found.stairs)
    front = front_of(tradeoff, points, found.share, found.least_pj, found.least_cycles)
    return SearchResult(
        mapping=front.points[0].mapping,
        stats=front.points[0].stats,
        objective=tradeoff.name,
        proved_optimal=front.proved,
        lower_bound=front.least[0],
        gap=1.0 - front.share,
        space_size=space.size,
        evaluated=found.evaluated,
        seconds=0.0,
        warnings=space.warnings,
        front=front,
    )


def _point(space: Mapspace, model: Model, batch: Batch) -> FrontPoint:
    from tqhw.engine import decode
    from tqhw.engine.evaluation import run_batch, statistics

    counts = run_batch(model, batch, detail=True)
    problem, hardware = space.problem, space.hardware
    return FrontPoint(decode(problem, hardware, batch, 0), statistics(problem, hardware, model, batch, counts))
