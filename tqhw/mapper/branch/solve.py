"""The exact search over all keep/bypass choices: fronts inside out, then branch and bound outside in."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from tqhw.engine import Batch, Model
from tqhw.mapper.branch.bypass_search import PAIRS, Ground, Mask, MaskSearch
from tqhw.mapper.branch.incumbent import SLACK, Best, Clock, OutOfTimeError
from tqhw.mapper.space.arrays import compulsory
from tqhw.mapper.space.mapspace import Mapspace, most_units
from tqhw.mapper.space.orders import Choices, build_choices
from tqhw.mapper.space.subspace import count_pairs, narrowed, whole

TILES_PER_S = 1_000_000  # tables, with room to spare
SMALLER = 4  # times the pairs of one part of the space to the next
LOOKS = 64  # at a dive that only may improve on what there is
MASKS, GLANCES = 64, 8  # choices looked at for a first mapping, and those of the first glance


@dataclass(frozen=True)
class Outcome:
    """What the search found. ``batch`` is None where no mapping fits."""

    batch: Batch | None
    value: float
    lower_bound: float
    proved: bool
    evaluated: int
    nodes: int
    tightness: float


def solve(space: Mapspace, model: Model, objective: str, budget_s: float | None = None, first: bool = False) -> Outcome:
    """The best mapping of the space, and a bound below every mapping of it; with ``first``, any mapping that fits."""
    best = Best(space, model, objective)
    if math.prod(map(most_units, space.slots)) < space.least_used:
        return Outcome(None, math.inf, math.inf, True, 0, 0, math.inf)
    begin = time.perf_counter()
    choices = build_choices(space, model)
    left_s = None if budget_s is None else max(0.0, budget_s - (time.perf_counter() - begin))
    glance = None if budget_s is None else Ground.over(space, model, objective, choices, narrowed(space, 0))
    if glance is not None:
        look(glance, best)  # before the clock starts: this loads the kernels
    clock = Clock(left_s)
    clock.armed = best.batch is not None
    searches = Searches()
    try:
        if budget_s is not None and not (first and best.batch is not None):
            scout(space, model, objective, choices, best, clock, budget_s)
        if first and best.batch is not None:
            raise OutOfTimeError
        ground = Ground.over(space, model, objective, choices, whole(space))
        searches.run(ground, space.masks(), best, clock, budget_s is not None, first)
    except OutOfTimeError:
        pass
    bound = max(searches.bound(), min(compulsory(space, model, objective), best.value))
    proved = bound >= best.value * (1.0 - SLACK)
    return Outcome(
        best.batch,
        best.value,
        best.value if proved else bound,
        proved,
        best.evaluated,
        sum(one.nodes for one in searches.begun),
        best.tightness,
    )


def look(ground: Ground, best: Best) -> None:
    """Takes a mapping of a tiny part of the space, if one is near."""
    clock = Clock(None)
    for mask in islice(ground.space.masks(), GLANCES):
        one = MaskSearch(ground, mask)
        one.survey(clock)
        one.dive(best, clock, GLANCES)
        if best.batch is not None:
            return


def scout(
    space: Mapspace, model: Model, objective: str, choices: Choices, best: Best, clock: Clock, budget_s: float
) -> None:
    """Searches growing parts of the space, for good mappings early.

    Takes a quarter of the budget at most, or all of it where not even the tables of the whole space could be made.
    """
    lists = whole(space)
    tiles, pairs = math.prod(map(len, lists)), count_pairs(space, lists)
    part = clock if tiles > TILES_PER_S * budget_s else clock.part(0.25)
    most = PAIRS
    try:
        while SMALLER * most < pairs and (lists := narrowed(space, most)) != whole(space):
            ground = Ground.over(space, model, objective, choices, lists)
            Searches().run(ground, islice(space.masks(), MASKS), best, part, True, False)
            most *= SMALLER
    except OutOfTimeError:
        if part is clock:
            raise
    finally:
        clock.armed = best.batch is not None


def limits(floor: float) -> list[float]:
    """What the best mapping may cost, tried one after the other: most are within a few percent of the floor."""
    return [floor * factor for factor in (1.15, 1.5, 2.5) if floor > 0.0] + [math.inf]


class Searches:
    """The searches under all keep/bypass choices."""

    def __init__(self) -> None:
        self.begun: list[MaskSearch] = []
        self.complete = False  # all choices have been begun

    def bound(self) -> float:
        """What every mapping costs at least; 0 before all choices have been begun."""
        return min((one.lower_bound for one in self.begun), default=math.inf) if self.complete else 0.0

    def run(self, ground: Ground, masks: Iterable[Mask], best: Best, clock: Clock, hurried: bool, first: bool) -> None:
        """Searches until nothing is left, or a mapping is found if any will do (``first``). Raises OutOfTimeError.

        ``hurried``: dives for a mapping before the fronts are swept in full.
        """
        for mask in masks:
            one = MaskSearch(ground, mask)
            one.survey(clock)
            if hurried and (best.batch is None or not self.begun):
                one.dive(best, clock, None if best.batch is None else LOOKS)
            if first and best.batch is not None:
                raise OutOfTimeError
            one.release()
            self.begun.append(one)
        self.complete = True
        self.begun.sort(key=lambda one: one.lower_bound)
        for limit in limits(self.bound()):
            for one in self.begun:
                if one.lower_bound < min(limit, best.value * (1.0 - SLACK)):
                    one.sweep_below(min(limit, best.value), clock)
                    one.run(best, limit, clock, first)
                    one.release()
            if self.bound() >= best.value * (1.0 - SLACK) or (first and best.batch is not None):
                break
