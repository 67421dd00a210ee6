"""The mapper's public verb: the best mapping of a problem on constrained hardware."""

from __future__ import annotations

import time
from dataclasses import replace

from tqhw.errors import TqhwError
from tqhw.mapper.cache import MappingCache, cache_key
from tqhw.mapper.kept import payload, recalled
from tqhw.mapper.result import NoMappingError, SearchResult
from tqhw.objectives import Objective, objective_of
from tqhw.spec import ERT, Hardware, Problem


def check_options(objective: str | Objective, budget_s: float | None) -> Objective:
    """The objective. Raises TqhwError for an unknown one or a budget that leaves no time."""
    found = objective_of(objective)
    if budget_s is not None and not budget_s > 0:
        raise TqhwError(f"a budget of {budget_s} s leaves no time", place="budget", lever="give more than 0 seconds")
    return found


def search(
    problem: Problem,
    hardware: Hardware,
    ert: ERT,
    objective: str | Objective = "energy",
    budget_s: float | None = None,
    cache: MappingCache | None = None,
) -> SearchResult:
    """The best mapping of the whole mapspace.

    Without a budget the search runs until the answer is proved; with one it returns the best so far and a bound.
    Raises TqhwError for an unknown objective, a budget of 0 or less, one that ended without any mapping, bad
    constraints, and outputs with so many holes that a mapping would cost less than nothing; NoMappingError, with a
    diagnosis, where no mapping fits.
    """
    objective = check_options(objective, budget_s)
    if cache is None:
        return _searched(problem, hardware, ert, objective, budget_s)
    key = cache_key(problem, hardware, ert, objective.key)
    kept = recalled(cache.get(key), cache, problem, hardware, ert, objective, budget_s)
    if kept is not None:
        return kept
    result = _searched(problem, hardware, ert, objective, budget_s)
    cache.put(key, payload(result, budget_s))
    if cache.warning is not None:
        result = replace(result, warnings=(*result.warnings, cache.warning))
    return result


def _searched(
    problem: Problem, hardware: Hardware, ert: ERT, objective: Objective, budget_s: float | None
) -> SearchResult:
    from tqhw.engine import build_model, decode
    from tqhw.engine.evaluation import run_batch, statistics
    from tqhw.mapper.branch.solve import solve
    from tqhw.mapper.diagnosis import diagnose
    from tqhw.mapper.space.mapspace import build_mapspace

    start = time.perf_counter()
    space = build_mapspace(problem, hardware)
    model = build_model(problem, hardware, ert)
    found = solve(space, model, objective, budget_s)
    if found.batch is None:
        if not found.proved:
            raise TqhwError(
                f"no mapping of {problem.name} found within the budget of {budget_s} s",
                place=hardware.name,
                lever="give more seconds, or no budget: only a search to the end tells whether there is one",
            )
        raise NoMappingError(diagnose(space, model, budget_s), hardware.name)
    if found.value < 0.0:
        raise TqhwError(
            f"a mapping of {problem.shape.name} costs less than nothing: Outputs leaves words of its box unwritten, "
            "and Timeloop's count credits a first visit of each of them",
            place=problem.name,
            lever="give Outputs a projection without holes; `tqhw evaluate` prices single mappings as they are",
        )
    return SearchResult(
        mapping=decode(problem, hardware, found.batch, 0),
        stats=statistics(problem, hardware, model, found.batch, run_batch(model, found.batch, detail=True)),
        objective=objective.name,
        proved_optimal=found.proved,
        lower_bound=found.lower_bound,
        gap=0.0 if found.proved else 1.0 - found.lower_bound / found.value,
        space_size=space.size,
        evaluated=found.evaluated,
        seconds=time.perf_counter() - start,
        warnings=space.warnings,
    )
