"""The mapper's public verb: the best mapping of a problem on constrained hardware."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tqhw.errors import TqhwError
from tqhw.mapper.cache import MappingCache, cache_key
from tqhw.mapper.kept import payload, recalled
from tqhw.mapper.result import FrontPoint, NoMappingError, SearchResult, front_of
from tqhw.objectives import Goal, Objective, Tradeoff, goal_of
from tqhw.spec import ERT, Hardware, Problem

if TYPE_CHECKING:
    from tqhw.engine import Batch, Model
    from tqhw.mapper.space.mapspace import Mapspace


def check_options(objective: str | Goal, budget_s: float | None) -> Goal:
    """What to search for. Raises TqhwError for an unknown objective or a budget that leaves no time."""
    found = goal_of(objective)
    if budget_s is not None and not budget_s > 0:
        raise TqhwError(f"a budget of {budget_s} s leaves no time", place="budget", lever="give more than 0 seconds")
    return found


def search(
    problem: Problem,
    hardware: Hardware,
    ert: ERT,
    objective: str | Goal = "energy",
    budget_s: float | None = None,
    cache: MappingCache | None = None,
) -> SearchResult:
    """The best mapping of the whole mapspace; of several objectives (``"energy,latency"``), their Pareto front.

    Without a budget the search runs until the answer is proved; with one it returns the best so far and a bound.
    Raises TqhwError for an unknown objective, several that make no front, a budget of 0 or less, one that ended without
    any mapping, bad constraints, and outputs with so many holes that a mapping would cost less than nothing;
    NoMappingError, with a diagnosis, where no mapping fits.
    """
    goal = check_options(objective, budget_s)
    if cache is None:
        return _searched(problem, hardware, ert, goal, budget_s)
    key = cache_key(problem, hardware, ert, goal.key)
    kept = recalled(cache.get(key), cache, problem, hardware, ert, goal, budget_s)
    if kept is not None:
        return kept
    result = _searched(problem, hardware, ert, goal, budget_s)
    cache.put(key, payload(result, budget_s))
    if cache.warning is not None:
        result = replace(result, warnings=(*result.warnings, cache.warning))
    return result


def _searched(problem: Problem, hardware: Hardware, ert: ERT, goal: Goal, budget_s: float | None) -> SearchResult:
    from tqhw.engine import build_model
    from tqhw.mapper.space.mapspace import build_mapspace

    start = time.perf_counter()
    space = build_mapspace(problem, hardware)
    model = build_model(problem, hardware, ert)
    found = _front(space, model, goal, budget_s) if isinstance(goal, Tradeoff) else _best(space, model, goal, budget_s)
    return replace(found, seconds=time.perf_counter() - start)


def _best(space: Mapspace, model: Model, objective: Objective, budget_s: float | None) -> SearchResult:
    from tqhw.mapper.branch.solve import solve

    found = solve(space, model, objective, budget_s)
    if found.batch is None:
        raise _without_mapping(space, model, found.proved, budget_s)
    _check_credit(space, found.value)
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


def _front(space: Mapspace, model: Model, tradeoff: Tradeoff, budget_s: float | None) -> SearchResult:
    from tqhw.mapper.branch.front import solve_front

    found = solve_front(space, model, budget_s)
    if not found.stairs:
        raise _without_mapping(space, model, found.proved, budget_s)
    _check_credit(space, min(stair.energy_pj for stair in found.stairs))
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


def _without_mapping(space: Mapspace, model: Model, proved: bool, budget_s: float | None) -> TqhwError:
    from tqhw.mapper.diagnosis import diagnose

    if proved:
        return NoMappingError(diagnose(space, model, budget_s), space.hardware.name)
    return TqhwError(
        f"no mapping of {space.problem.name} found within the budget of {budget_s} s",
        place=space.hardware.name,
        lever="give more seconds, or no budget: only a search to the end tells whether there is one",
    )


def _check_credit(space: Mapspace, value: float) -> None:
    if value < 0.0:
        raise TqhwError(
            f"a mapping of {space.problem.shape.name} costs less than nothing: Outputs leaves words of its box "
            "unwritten, and Timeloop's count credits a first visit of each of them",
            place=space.problem.name,
            lever="give Outputs a projection without holes; `tqhw evaluate` prices single mappings as they are",
        )


def _point(space: Mapspace, model: Model, batch: Batch) -> FrontPoint:
    from tqhw.engine import decode
    from tqhw.engine.evaluation import run_batch, statistics

    counts = run_batch(model, batch, detail=True)
    problem, hardware = space.problem, space.hardware
    return FrontPoint(decode(problem, hardware, batch, 0), statistics(problem, hardware, model, batch, counts))
