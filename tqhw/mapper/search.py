"""The mapper's public verb: the best mapping of a problem on constrained hardware."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

from tqhw.engine import build_model, decode, encode, evaluate
from tqhw.engine.batch import BadMappingError
from tqhw.errors import TqhwError, unknown
from tqhw.mapper.cache import MappingCache, cache_key
from tqhw.mapper.diagnosis import NoMappingError, diagnose
from tqhw.mapper.mapspace import build_mapspace
from tqhw.mapper.solve import OBJECTIVES, solve
from tqhw.spec import ERT, Hardware, Mapping, Problem, Stats, directives, parse_mapping


@dataclass(frozen=True)
class SearchResult:
    """The best mapping found and its statistics.

    ``lower_bound`` bounds the objective of every mapping of the space (pJ, pJ*cycles or cycles); ``gap`` is
    (found - lower_bound) / found, 0 where ``proved_optimal``. ``evaluated``: mappings priced by the engine.
    ``seconds`` are those of the search, also where the answer comes from a cache (``cached``).
    """

    mapping: Mapping
    stats: Stats
    objective: str
    proved_optimal: bool
    lower_bound: float
    gap: float
    space_size: int
    evaluated: int
    seconds: float
    cached: bool = False
    warnings: tuple[str, ...] = ()


def check_options(objective: str, budget_s: float | None) -> None:
    """Raises TqhwError for an unknown objective or a budget that leaves no time."""
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES, "search")
    if budget_s is not None and not budget_s > 0:
        raise TqhwError(f"a budget of {budget_s} s leaves no time", place="budget", lever="give more than 0 seconds")


def search(
    problem: Problem,
    hardware: Hardware,
    ert: ERT,
    objective: str = "energy",
    budget_s: float | None = None,
    cache: MappingCache | None = None,
) -> SearchResult:
    """The best mapping of the whole mapspace.

    Without a budget the search runs until the answer is proved; with one it returns the best so far and a bound.
    Raises TqhwError for an unknown objective, a budget of 0 or less, and bad constraints; NoMappingError, with a
    diagnosis, where no mapping fits.
    """
    check_options(objective, budget_s)
    start = time.perf_counter()
    space = build_mapspace(problem, hardware)
    model = build_model(problem, hardware, ert)
    key = cache_key(problem, hardware, ert, objective) if cache is not None else ""
    kept = _kept(cache, key, budget_s, problem, hardware, ert, objective) if cache is not None else None
    if kept is not None:
        return replace(kept, space_size=space.size, warnings=space.warnings)
    found = solve(space, model, objective, budget_s)
    if found.batch is None:
        raise NoMappingError(diagnose(space, model), hardware.name)
    mapping = decode(problem, hardware, found.batch, 0)
    result = SearchResult(
        mapping=mapping,
        stats=_stats(problem, hardware, ert, mapping),
        objective=objective,
        proved_optimal=found.proved,
        lower_bound=found.lower_bound,
        gap=0.0 if found.proved else 1.0 - found.lower_bound / found.value,
        space_size=space.size,
        evaluated=found.evaluated,
        seconds=time.perf_counter() - start,
        warnings=space.warnings,
    )
    if cache is not None:
        cache.put(key, _payload(result, problem, budget_s))
        if cache.warning is not None:
            result = replace(result, warnings=(*result.warnings, cache.warning))
    return result


def _stats(problem: Problem, hardware: Hardware, ert: ERT, mapping: Mapping) -> Stats:
    stats = evaluate(problem, hardware, ert, mapping)
    if not isinstance(stats, Stats):
        raise TqhwError(f"the engine refuses a kept mapping of {problem.name}: {stats.reasons[0].message}")
    return stats


def _payload(result: SearchResult, problem: Problem, budget_s: float | None) -> dict[str, Any]:
    return {
        "mapping": directives(result.mapping, problem.shape.dimensions),
        "proved_optimal": result.proved_optimal,
        "lower_bound": result.lower_bound,
        "gap": result.gap,
        "evaluated": result.evaluated,
        "seconds": result.seconds,
        "budget_s": budget_s,
    }


def _kept(
    cache: MappingCache,
    key: str,
    budget_s: float | None,
    problem: Problem,
    hardware: Hardware,
    ert: ERT,
    objective: str,
) -> SearchResult | None:
    """The answer of an earlier search that was proved, or had at least this budget."""
    payload = cache.get(key)
    if payload is None:
        return None
    try:
        asked, had = (math.inf if b is None else b for b in (budget_s, payload["budget_s"]))
        if not payload["proved_optimal"] and had < asked:
            return None
        kept = encode(problem, hardware, [parse_mapping(payload["mapping"], str(cache.path))])
        mapping = decode(problem, hardware, kept, 0)
        return SearchResult(
            mapping=mapping,
            stats=_stats(problem, hardware, ert, mapping),
            objective=objective,
            proved_optimal=bool(payload["proved_optimal"]),
            lower_bound=float(payload["lower_bound"]),
            gap=float(payload["gap"]),
            space_size=0,
            evaluated=int(payload["evaluated"]),
            seconds=float(payload["seconds"]),
            cached=True,
        )
    except (KeyError, TypeError, ValueError, BadMappingError, TqhwError):
        return None  # an entry that somebody damaged is searched again
