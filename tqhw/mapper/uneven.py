"""What a search over mappings with remainders, or over padded problems, answers (branch/uneven.py)."""

from __future__ import annotations

import math
import time

import numpy as np

from tqhw.engine import build_model, decode, run_batch
from tqhw.engine.evaluation import statistics
from tqhw.mapper.branch.uneven import UnevenOutcome, solve_uneven, with_remainders
from tqhw.mapper.refused import check_credit, without_mapping
from tqhw.mapper.result import SearchResult, Whole
from tqhw.objectives import Objective
from tqhw.spec import ERT, Hardware, Problem


def search_uneven(
    problem: Problem, hardware: Hardware, ert: ERT, objective: Objective, way: str, budget_s: float | None
) -> SearchResult:
    """The best mapping over all sizes. Raises what :func:`tqhw.mapper.search.search` does."""
    start = time.perf_counter()
    found = solve_uneven(problem, hardware, ert, objective, way, budget_s)
    if found.batch is None:
        raise without_mapping(found.choice.space, found.choice.model, found.proved, budget_s)
    check_credit(found.choice.space, found.value)
    return _result(problem, hardware, ert, objective, found, time.perf_counter() - start)


def _result(
    problem: Problem, hardware: Hardware, ert: ERT, objective: Objective, found: UnevenOutcome, seconds: float
) -> SearchResult:
    assert found.batch is not None
    space, mapped, batch, whole = found.choice.space, problem, found.batch, None
    if space.actual is not None:
        levels = [(slot.level, slot.spatial) for slot in space.slots]
        batch, _ = with_remainders(batch, levels, np.array(space.actual, np.int64))
    else:
        mapped = found.choice.problem
    model = build_model(mapped, hardware, ert)
    counts = run_batch(model, batch, detail=True)
    if space.actual is not None:
        whole = Whole(float(counts.whole_pj[0]), int(counts.whole_cycles[0]))
    sizes = math.prod(mapped.bounds.values()) != math.prod(problem.bounds.values())
    return SearchResult(
        mapping=decode(mapped, hardware, batch, 0),
        stats=statistics(mapped, hardware, model, batch, counts),
        objective=objective.name,
        proved_optimal=found.proved,
        lower_bound=found.lower_bound,
        gap=0.0 if found.proved else 1.0 - found.lower_bound / found.value,
        space_size=found.space_size,
        evaluated=found.evaluated,
        seconds=seconds,
        warnings=space.warnings,
        padded=dict(mapped.bounds) if sizes else None,
        whole=whole,
        sizes=found.sizes,
    )
