"""The mapper's public verb: the best mapping of a problem on constrained hardware."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tqhw.engine import build_model, decode, evaluate
from tqhw.errors import TqhwError, unknown
from tqhw.mapper.mapspace import build_mapspace
from tqhw.mapper.solve import OBJECTIVES, solve
from tqhw.spec import ERT, Hardware, Mapping, Problem, Stats


@dataclass(frozen=True)
class SearchResult:
    """The best mapping found and its statistics.

    ``lower_bound`` bounds the objective of every mapping of the space (pJ, pJ*cycles or cycles); ``gap`` is
    (found - lower_bound) / found, 0 where ``proved_optimal``.
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
    warnings: tuple[str, ...] = ()


def search(
    problem: Problem, hardware: Hardware, ert: ERT, objective: str = "energy", budget_s: float | None = None
) -> SearchResult:
    """The best mapping of the whole mapspace.

    Raises TqhwError for an unknown objective, a budget of 0 or less, bad constraints, and where nothing fits.
    """
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES, "search")
    if budget_s is not None and not budget_s > 0:
        raise TqhwError(f"a budget of {budget_s} s leaves no time", place="budget", lever="give more than 0 seconds")
    start = time.perf_counter()
    space = build_mapspace(problem, hardware)
    model = build_model(problem, hardware, ert)
    found = solve(space, model, objective, budget_s)
    if found.batch is None:
        raise TqhwError(f"no valid mapping of {problem.name} was found", place=hardware.name)
    mapping = decode(problem, hardware, found.batch, 0)
    stats = evaluate(problem, hardware, ert, mapping)
    assert isinstance(stats, Stats)
    return SearchResult(
        mapping=mapping,
        stats=stats,
        objective=objective,
        proved_optimal=found.proved,
        lower_bound=found.lower_bound,
        gap=0.0 if found.proved else 1.0 - found.lower_bound / found.value,
        space_size=space.size,
        evaluated=found.evaluated,
        seconds=time.perf_counter() - start,
        warnings=space.warnings,
    )
