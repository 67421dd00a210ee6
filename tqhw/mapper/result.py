"""What a search answers, and the form in which answers are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import Any

from tqhw.errors import TqhwError
from tqhw.mapper.cache import plain
from tqhw.spec import LevelMapping, Loops, Mapping, Reason, Stats
from tqhw.spec.stats import parse_stats

OBJECTIVES = ("energy", "edp", "latency")


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


@dataclass(frozen=True)
class NoMapping:
    """No mapping of the space fits. ``levers``: constraints of which each, if relaxed alone, would admit one."""

    problem: str
    reasons: tuple[Reason, ...]
    levers: tuple[str, ...]

    @property
    def message(self) -> str:
        """One line for people."""
        why = "; ".join(reason.message for reason in self.reasons)
        return f"no mapping of {self.problem} fits: {why or 'every level fits alone, but not all of them together'}"


class NoMappingError(TqhwError):
    """Raised by a search that has nothing to return; ``diagnosis`` says why."""

    def __init__(self, diagnosis: NoMapping, place: str) -> None:
        lever = f"relax {' or '.join(diagnosis.levers)}" if diagnosis.levers else "enlarge a memory or the array"
        super().__init__(diagnosis.message, place=place, lever=lever)
        self.diagnosis = diagnosis


Answer = SearchResult | NoMapping


def payload(result: SearchResult, budget_s: float | None) -> dict[str, Any]:
    """A result as JSON types. ``budget_s``: what the search had; a longer one may find a better answer."""
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


def recalled(kept: MappingABC[str, Any] | None, budget_s: float | None) -> SearchResult | None:
    """A kept result, if it was proved or its search had at least this budget."""
    if kept is None:
        return None
    try:
        asked, had = (math.inf if b is None else b for b in (budget_s, kept["budget_s"]))
        if not kept["proved_optimal"] and had < asked:
            return None
        fields = {key: value for key, value in kept.items() if key != "budget_s"}
        fields["mapping"] = Mapping(tuple(_level(**level) for level in kept["mapping"]["levels"]))
        fields["stats"] = parse_stats(kept["stats"])
        fields["warnings"] = tuple(kept["warnings"])
        return SearchResult(**fields, cached=True)
    except (AttributeError, KeyError, TypeError):
        return None  # an entry that is not one of ours is searched again


def _level(target: str, keep: list[str], bypass: list[str], temporal: Any, spatial: Any) -> LevelMapping:
    return LevelMapping(
        target, tuple(keep), tuple(bypass), _loops(**temporal), None if spatial is None else _loops(**spatial)
    )


def _loops(factors: dict[str, int], permutation: list[str], split: int | None) -> Loops:
    return Loops(factors, tuple(permutation), split)
