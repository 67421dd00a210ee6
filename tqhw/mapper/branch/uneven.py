"""The search over mappings with remainders, and over padded problems: a search per choice of sizes (space/sizes.py).

A mapping with remainders has factors whose products are a problem of larger bounds. The search of that problem's space
knows its perfect mappings; here their costs are those of the remainders, over the share of the operations that there
are: what bounds the padded cost from below bounds that, too (docs/mapper.md, "Remainders").
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tqhw.engine import Batch, Model, build_model, run_batch
from tqhw.engine.batch import RemainderBatch
from tqhw.engine.kernel import make_work
from tqhw.engine.model import Bools, Floats, Ints
from tqhw.engine.remainders import make_remainder_work
from tqhw.errors import TqhwError
from tqhw.mapper.bound.prices import compulsory, limited_levels
from tqhw.mapper.branch.incumbent import SLACK, Clock, Incumbent
from tqhw.mapper.branch.solve import Outcome, solve
from tqhw.mapper.space.mapspace import Mapspace, build_mapspace, most_units
from tqhw.mapper.space.sizes import padded_sizes
from tqhw.objectives import Objective
from tqhw.spec import ERT, Hardware, Problem

WAYS = ("perfect", "imperfect", "padded")
FIRST_SHARE = 0.5  # of a budget, for the problem's own bounds


@dataclass(frozen=True)
class Choice:
    """One choice of sizes: a problem of these bounds, its space, and the sizes that there are."""

    problem: Problem
    space: Mapspace
    model: Model


@dataclass(frozen=True)
class UnevenOutcome:
    """The best over all choices of sizes. ``value`` and ``lower_bound``: of the work as Objective prices it."""

    choice: Choice
    batch: Batch | None
    value: float
    lower_bound: float
    proved: bool
    evaluated: int
    tightness: float
    sizes: tuple[tuple[int, ...], ...]
    space_size: int


def with_remainders(batch: Batch, levels: Sequence[tuple[int, bool]], bounds: Ints) -> tuple[RemainderBatch, Bools]:
    """The mappings of a padded problem with the remainders that make them mappings of ``bounds`` [D].

    ``levels``: level and kind (True: spatial) of all loops, innermost first. Also whether they are: False where the
    outermost loop of a dimension would have fewer iterations, which is a mapping of a smaller size.
    """
    n = len(batch)
    spatial = np.broadcast_to(batch.spatial, batch.temporal.shape)
    rests = {False: batch.temporal.copy(), True: spatial.copy()}
    left = np.broadcast_to(bounds - 1, (n, len(bounds))).copy()
    fits = np.ones((n, len(bounds)), np.bool_)
    for level, over_space in levels:
        factors = (spatial if over_space else batch.temporal)[:, level]
        rest = left % factors + 1
        left = left // factors
        fits &= ~((left == 0) & (rest < factors))  # the outermost loop is whole
        rests[over_space][:, level] = rest
    arrays = {**vars(batch), "spatial": spatial.copy()}
    return RemainderBatch(**arrays, temporal_rest=rests[False], spatial_rest=rests[True]), np.asarray(fits.all(axis=1))


class UnevenIncumbent(Incumbent):
    """The best mapping with remainders, in the measure of a padded space: its cost over ``scale``."""

    def __init__(self, choice: Choice, actual: Model, objective: Objective, best: float) -> None:
        super().__init__(choice.space, choice.model, objective)
        self.actual = actual
        self.levels = tuple((slot.level, slot.spatial) for slot in choice.space.slots)
        self.scale = scale_of(choice, actual, objective)
        self.uneven_work = make_remainder_work(make_work(actual))
        self.value = best / self.scale

    def figures(self, batch: Batch) -> tuple[Floats, Floats, Bools]:
        uneven, fits = with_remainders(batch, self.levels, self.actual.bounds)
        counts = run_batch(self.actual, uneven, work=self.uneven_work)
        fits &= (counts.rule == 0) & self.space.busy_enough(batch.spatial)
        return counts.whole_pj, counts.whole_cycles.astype(np.float64), fits

    def _measured(self, energy_pj: Floats, cycles: Floats) -> Floats:
        return super()._measured(energy_pj, cycles) / self.scale


def scale_of(choice: Choice, actual: Model, objective: Objective) -> float:
    """The share of a padded mapping's cost that its mapping with remainders has at least.

    Energy, and words that pass a bandwidth, shrink with the operations. Cycles of compute do not: a short pass takes as
    long as a whole one. Cycles are whole: those of the padded mapping were rounded up by less than one.
    """
    share = float(np.prod(actual.bounds / choice.model.bounds))
    if not limited_levels(actual).any():
        return float(share**objective.energy_power)
    least = float(np.prod(choice.model.bounds)) / math.prod(map(most_units, choice.space.slots))
    return float(share**objective.energy_power * (share * least / (least + 1.0)) ** objective.delay_power)


def choices(problem: Problem, hardware: Hardware, ert: ERT, way: str) -> Iterator[Choice]:
    """The spaces of all sizes for which there is one. Raises what the first raises where the constraints leave none."""
    bounds = tuple(problem.bounds[name] for name in problem.shape.dimensions)
    refused: TqhwError | None = None
    any_space = False
    for sizes in padded_sizes(problem, hardware):
        padded = replace(problem, bounds=dict(zip(problem.shape.dimensions, sizes, strict=True)))
        try:
            space = build_mapspace(padded, hardware)
        except TqhwError as error:
            refused = refused or error
            continue
        if way == "imperfect" and sizes != bounds:
            space = replace(space, actual=bounds)
        any_space = True
        yield Choice(padded, space, build_model(padded, hardware, ert))
    if not any_space and refused is not None:
        raise refused


def solve_uneven(
    problem: Problem, hardware: Hardware, ert: ERT, objective: Objective, way: str, clock: Clock
) -> UnevenOutcome:
    """The best mapping with remainders (``imperfect``) or of a padded problem (``padded``), and a bound below all.

    The sizes that waste least come first. A budget is shared: half of it for the problem's own bounds, and of what is
    left then, an equal part for every choice that is left.
    """
    actual = build_model(problem, hardware, ert)
    listed = list(choices(problem, hardware, ert, way))
    best: UnevenOutcome | None = None
    bound, evaluated, tightness, proved = math.inf, 0, math.inf, True
    for number, choice in enumerate(listed):
        value = math.inf if best is None else best.value
        if choice.space.actual is None:
            incumbent = Incumbent(choice.space, choice.model, objective)
            incumbent.value, scale = value, 1.0
        else:
            incumbent = UnevenIncumbent(choice, actual, objective, value)
            scale = incumbent.scale
        least = compulsory(choice.space, choice.model, objective)
        done = least * scale >= value * (1.0 - SLACK)
        if not done and (number == 0 or not clock.over):  # something better may be in it, and there is time to look
            part = part_for(clock, number, len(listed))
            outcome: Outcome = solve(choice.space, choice.model, objective, part, incumbent=incumbent)
            least, done = outcome.lower_bound, outcome.proved
            evaluated += outcome.evaluated
            tightness = min(tightness, outcome.tightness)
        bound, proved = min(bound, least * scale), proved and done
        if best is None or (incumbent.batch is not None and incumbent.value * scale < value * (1.0 - SLACK)):
            best = UnevenOutcome(choice, incumbent.batch, incumbent.value * scale, 0.0, True, 0, 0.0, (), 0)
    assert best is not None
    sizes = tuple(tuple(choice.problem.bounds.values()) for choice in listed)
    proved = proved or bound >= best.value * (1.0 - SLACK)
    bound = best.value if proved else min(bound, best.value)
    return replace(
        best,
        lower_bound=bound,
        proved=proved,
        evaluated=evaluated,
        tightness=tightness,
        sizes=sizes,
        space_size=sum(choice.space.size for choice in listed),
    )


def part_for(clock: Clock, number: int, count: int) -> Clock:
    """The time for choice ``number`` of so many."""
    return clock.part(FIRST_SHARE if number == 0 and count > 1 else 1.0 / (count - number))
