"""Answers that were kept: what is read is not believed but evaluated again, for this problem on this hardware."""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingABC
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from tqhw.errors import TqhwError
from tqhw.mapper.cache import MappingCache, plain
from tqhw.mapper.result import FrontPoint, MappingFront, SearchResult, Whole
from tqhw.objectives import Goal, Tradeoff
from tqhw.spec import ERT, Hardware, Mapping, Problem, Stats, directives, parse_mapping
from tqhw.system.json_files import checked

NotNegative = Annotated[float, Field(ge=0)]


class _KeptPoint(BaseModel):
    model_config = ConfigDict(extra="forbid")

    mapping: Mapping
    stats: Stats
    padded: dict[str, Annotated[int, Field(ge=1)]] | None = None
    whole: Whole | None = None


class KeptFront(BaseModel):
    """A front's payload, see :func:`front_payload`."""

    model_config = ConfigDict(extra="forbid")

    points: Annotated[tuple[_KeptPoint, ...], Field(min_length=1)]
    share: Annotated[float, Field(ge=0, le=1)]
    least: tuple[NotNegative, ...]

    def front(self, tradeoff: Tradeoff) -> MappingFront:
        points = tuple(FrontPoint(one.mapping, one.stats, one.padded, one.whole) for one in self.points)
        return MappingFront(tradeoff, points, self.share, self.least)


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
    padded: dict[str, Annotated[int, Field(ge=1)]] | None = None
    whole: Whole | None = None
    sizes: tuple[tuple[int, ...], ...] = ()
    budget_s: NotNegative | None
    front: KeptFront | None = None


def payload(result: SearchResult, budget_s: float | None) -> dict[str, Any]:
    """A result as JSON types."""
    return _payload(result, budget_s) | ({} if result.front is None else {"front": front_payload(result.front)})


def front_payload(front: MappingFront) -> dict[str, Any]:
    """A front as JSON types."""
    return {"points": [_point(one) for one in front.points], "share": front.share, "least": list(front.least)}


def _point(point: FrontPoint) -> dict[str, Any]:
    padded = {} if point.padded is None else {"padded": dict(point.padded)}
    whole = {} if point.whole is None else {"whole": plain(point.whole)}
    return {"mapping": plain(point.mapping), "stats": point.stats.as_json(), **padded, **whole}


def _payload(result: SearchResult, budget_s: float | None) -> dict[str, Any]:
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
        "padded": result.padded,
        "whole": plain(result.whole),
        "sizes": plain(result.sizes),
        "budget_s": budget_s,
    }


def recalled(
    kept: MappingABC[str, Any] | None,
    cache: MappingCache,
    problem: Problem,
    hardware: Hardware,
    ert: ERT,
    objective: Goal,
    budget_s: float | None,
) -> SearchResult | None:
    """A kept result, if its search had at least this budget or proved it within less, and the engine says the same.

    Without a budget only what was found without one is taken: of mappings that cost the same another may come first
    where a clock drives the search, and what a run answers must not hang on what was searched before it.

    None, and a word in ``cache.warning``, where what was kept is no answer to this search.
    """
    if kept is None:
        return None
    try:
        found = checked(_Kept, kept, str(cache.path), what="a kept mapping")
        asked, had = (math.inf if b is None else b for b in (budget_s, found.budget_s))
        if had < asked and not (found.proved_optimal and asked < math.inf):
            return None
        front = found.front.front(objective) if found.front and isinstance(objective, Tradeoff) else None
        own = {name: getattr(found, name) for name in _Kept.model_fields if name not in ("budget_s", "front")}
        result = SearchResult(**own, cached=True, front=front)
        first = FrontPoint(found.mapping, found.stats, found.padded, found.whole)
        points = (first,) if front is None else front.points
        holds = _holds(result, had, objective) and all(_point_holds(one, problem, hardware, ert) for one in points)
    except TqhwError:
        holds = False
    if not holds:
        cache.doubt(f"what is kept for {problem.name} on {hardware.name} is not what the engine says")
        return None
    return result


def _holds(result: SearchResult, had: float, goal: Goal) -> bool:
    """Whether the parts of an answer agree: a search without a budget proves, and nothing lies below its bound."""
    proved = result.objective == goal.name and (result.proved_optimal or had < math.inf)
    if isinstance(goal, Tradeoff):
        return proved and result.front is not None and _front_holds(result, result.front)
    figures = result.stats if result.whole is None else result.whole
    value = goal.value(figures.energy_pj, float(figures.cycles))
    gap = 0.0 if result.proved_optimal else 1.0 - result.lower_bound / value if value else 0.0
    return proved and result.lower_bound <= value * (1.0 + 1e-9) and math.isclose(result.gap, gap, abs_tol=1e-9)


def _front_holds(result: SearchResult, front: MappingFront) -> bool:
    """Whether the points make a staircase above the least of each objective, and the result is that of the first."""
    values = front.values()
    least = [min(column) for column in zip(*values, strict=True)]
    return (
        all(a[0] < b[0] and a[-1] > b[-1] for a, b in pairwise(values))
        and len(front.least) == len(least)
        and all(low <= value * (1.0 + 1e-9) for low, value in zip(front.least, least, strict=True))
        and FrontPoint(result.mapping, result.stats, result.padded, result.whole) == front.points[0]
        and (result.proved_optimal, result.gap, result.lower_bound) == (front.proved, 1.0 - front.share, front.least[0])
    )


def _point_holds(point: FrontPoint, problem: Problem, hardware: Hardware, ert: ERT) -> bool:
    """Whether the engine says of a mapping what was kept of it."""
    mapped = problem if point.padded is None else replace(problem, bounds=dict(point.padded))
    return _evaluated(mapped, hardware, ert, point.mapping) == point.stats and point.whole == _whole(
        mapped, hardware, ert, point.mapping
    )


def _evaluated(problem: Problem, hardware: Hardware, ert: ERT, mapping: Mapping) -> object:
    from tqhw.engine import evaluate  # loads numba

    parse_mapping(directives(mapping, problem.shape.dimensions))  # refuses what no file could say
    return evaluate(problem, hardware, ert, mapping)


def _whole(problem: Problem, hardware: Hardware, ert: ERT, mapping: Mapping) -> Whole | None:
    """What all of the work of a mapping with remainders costs; None of another one."""
    if not any(loops.remainders for level in mapping.levels for loops in (level.temporal, level.spatial) if loops):
        return None
    from tqhw.engine import build_model, encode, run_batch  # loads numba

    counts = run_batch(build_model(problem, hardware, ert), encode(problem, hardware, [mapping]))
    return Whole(float(counts.whole_pj[0]), int(counts.whole_cycles[0]))
