"""Answers that were kept: what is read is not believed but evaluated again, for this problem on this hardware."""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingABC
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from tqhw.errors import TqhwError
from tqhw.mapper.cache import MappingCache, plain
from tqhw.mapper.result import SearchResult
from tqhw.objectives import Objective
from tqhw.spec import ERT, Hardware, Mapping, Problem, Stats, directives, parse_mapping
from tqhw.system.json_files import checked

NotNegative = Annotated[float, Field(ge=0)]


class _Kept(BaseModel):
    """A payload. ``budget_s``: what the search had; a longer one may find a better answer."""

    model_config = ConfigDict(extra="forbid")

    mapping: Mapping
    stats: Stats
    objective: str
    proved_optimal: bool
    lower_bound: NotNegative
    gap: Annotated[float, Field(ge=0, le=1)]
    space_size: Annotated[int, Field(ge=0)]
    evaluated: Annotated[int, Field(ge=0)]
    seconds: NotNegative
    warnings: tuple[str, ...]
    budget_s: NotNegative | None


def payload(result: SearchResult, budget_s: float | None) -> dict[str, Any]:
    """A result as JSON types."""
    return {
        "mapping": plain(result.mapping),
        "stats": result.stats.as_json(),
        "objective": result.objective,
        "proved_optimal": result.proved_optimal,
        "lower_bound": result.lower_bound,
        "gap": result.gap,
        "space_size": result.space_size,
        "evaluated": result.evaluated,
        "seconds": result.seconds,
        "warnings": list(result.warnings),
        "budget_s": budget_s,
    }


def recalled(
    kept: MappingABC[str, Any] | None,
    cache: MappingCache,
    problem: Problem,
    hardware: Hardware,
    ert: ERT,
    objective: Objective,
    budget_s: float | None,
) -> SearchResult | None:
    """A kept result, if it was proved or its search had at least this budget, and the engine gives its figures.

    None, and a word in ``cache.warning``, where what was kept is no answer to this search.
    """
    if kept is None:
        return None
    try:
        found = checked(_Kept, kept, str(cache.path), what="a kept mapping")
        asked, had = (math.inf if b is None else b for b in (budget_s, found.budget_s))
        if not found.proved_optimal and had < asked:
            return None
        result = SearchResult(
            **{name: getattr(found, name) for name in _Kept.model_fields if name != "budget_s"}, cached=True
        )
        holds = _holds(result, had, objective) and _evaluated(problem, hardware, ert, found.mapping) == found.stats
    except TqhwError:
        holds = False
    if not holds:
        cache.doubt(f"what is kept for {problem.name} on {hardware.name} is not what the engine says")
        return None
    return result


def _holds(result: SearchResult, had: float, objective: Objective) -> bool:
    """Whether the parts of an answer agree: a search without a budget proves, and nothing lies below its bound."""
    value = objective.value(result.stats.energy_pj, float(result.stats.cycles))
    gap = 0.0 if result.proved_optimal else 1.0 - result.lower_bound / value if value else 0.0
    return (
        result.objective == objective.name
        and (result.proved_optimal or had < math.inf)
        and result.lower_bound <= value * (1.0 + 1e-9)
        and math.isclose(result.gap, gap, abs_tol=1e-9)
    )


def _evaluated(problem: Problem, hardware: Hardware, ert: ERT, mapping: Mapping) -> object:
    from tqhw.engine import evaluate  # loads numba

    parse_mapping(directives(mapping, problem.shape.dimensions))  # refuses what no file could say
    return evaluate(problem, hardware, ert, mapping)
