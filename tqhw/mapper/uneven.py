"""What a search over mappings with remainders, or over padded problems, answers (branch/uneven.py)."""

from __future__ import annotations

import numpy as np

from tqhw.engine import Batch, build_model, decode, run_batch
from tqhw.engine.evaluation import statistics
from tqhw.engine.stopwatch import Stopwatch
from tqhw.mapper.branch.incumbent import Clock
from tqhw.mapper.branch.uneven import Choice, UnevenOutcome, solve_uneven, with_remainders
from tqhw.mapper.branch.uneven_front import solve_uneven_front
from tqhw.mapper.refused import check_credit, without_mapping
from tqhw.mapper.result import FrontPoint, SearchResult, Whole, front_of
from tqhw.objectives import Objective, Tradeoff
from tqhw.spec import ERT, Hardware, Problem


def search_uneven(
    problem: Problem, hardware: Hardware, ert: ERT, objective: Objective, way: str, clock: Clock
) -> SearchResult:
    """The best mapping over all sizes. Raises what :func:`tqhw.mapper.search.search` does."""
    watch = Stopwatch()
    found = solve_uneven(problem, hardware, ert, objective, way, clock)
    if found.batch is None:
        raise without_mapping(found.choice.space, found.choice.model, found.proved, clock)
    check_credit(found.choice.space, found.value)
    return _result(problem, hardware, ert, objective, found, watch.seconds())


def search_uneven_front(
    problem: Problem, hardware: Hardware, ert: ERT, tradeoff: Tradeoff, way: str, clock: Clock
) -> SearchResult:
    """The front over all sizes, of the whole work. Raises what :func:`tqhw.mapper.search.search` does."""
    watch = Stopwatch()
    found = solve_uneven_front(problem, hardware, ert, way, clock)
    if not found.stairs:
        raise without_mapping(found.first.space, found.first.model, found.proved, clock)
    check_credit(found.first.space, min(stair.energy_pj for stair in found.stairs))
    points = [_point(problem, hardware, ert, stair.choice, stair.batch) for stair in found.stairs]
    front = front_of(tradeoff, points, found.share, found.least_pj, found.least_cycles)
    best = front.points[0]
    return SearchResult(
        mapping=best.mapping,
        stats=best.stats,
        objective=tradeoff.name,
        proved_optimal=front.proved,
        lower_bound=front.least[0],
        gap=1.0 - front.share,
        space_size=found.space_size,
        evaluated=found.evaluated,
        seconds=watch.seconds(),
        warnings=found.first.space.warnings,
        front=front,
        padded=best.padded,
        whole=best.whole,
        sizes=found.sizes,
    )


def _point(problem: Problem, hardware: Hardware, ert: ERT, choice: Choice, batch: Batch) -> FrontPoint:
    """A mapping of a choice of sizes as one of the problem, or of the padded one."""
    space, mapped, whole = choice.space, problem, None
    if space.actual is not None:
        levels = [(slot.level, slot.spatial) for slot in space.slots]
        batch, _ = with_remainders(batch, levels, np.array(space.actual, np.int64))
    else:
        mapped = choice.problem
    model = build_model(mapped, hardware, ert)
    counts = run_batch(model, batch, detail=True)
    if space.actual is not None:
        whole = Whole(float(counts.whole_pj[0]), int(counts.whole_cycles[0]))
    padded = dict(mapped.bounds) if mapped.computes != problem.computes else None
    stats = statistics(mapped, hardware, model, batch, counts)
    return FrontPoint(decode(mapped, hardware, batch, 0), stats, padded, whole)


def _result(
    problem: Problem, hardware: Hardware, ert: ERT, objective: Objective, found: UnevenOutcome, seconds: float
) -> SearchResult:
    assert found.batch is not None
    best = _point(problem, hardware, ert, found.choice, found.batch)
    return SearchResult(
        mapping=best.mapping,
        stats=best.stats,
        objective=objective.name,
        proved_optimal=found.proved,
        lower_bound=found.lower_bound,
        gap=0.0 if found.proved else 1.0 - found.lower_bound / found.value,
        space_size=found.space_size,
        evaluated=found.evaluated,
        seconds=seconds,
        warnings=found.choice.space.warnings,
        padded=best.padded,
        whole=best.whole,
        sizes=found.sizes,
    )
