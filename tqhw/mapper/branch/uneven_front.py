"""The front over mappings with remainders, or over padded problems: one staircase through the spaces of all sizes.

Each choice of sizes (:mod:`tqhw.mapper.branch.uneven`) is searched for a front below the steps that those before it
left. Of mappings with remainders energy and cycles are each taken over the share that bounds hold for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tqhw.engine import Batch, Model, build_model
from tqhw.engine.model import Bools, Floats
from tqhw.mapper.bound.prices import compulsory
from tqhw.mapper.branch.front import Stair, Staircase, solve_front
from tqhw.mapper.branch.incumbent import SLACK, Clock, Incumbent
from tqhw.mapper.branch.uneven import Choice, UnevenIncumbent, choices, part_for, scale_of
from tqhw.objectives import objective_of
from tqhw.spec import ERT, Hardware, Problem

ENERGY, LATENCY = objective_of("energy"), objective_of("latency")


@dataclass(frozen=True)
class UnevenStair:
    """A mapping on the front, of one choice of sizes; pJ and cycles of all of the problem's work."""

    choice: Choice
    energy_pj: float
    cycles: float
    batch: Batch


@dataclass(frozen=True)
class UnevenFrontOutcome:
    """The front over all choices; the fields are those of a FrontOutcome, ``first`` the problem's own sizes."""

    stairs: tuple[UnevenStair, ...]
    share: float
    least_pj: float
    least_cycles: float
    evaluated: int
    tightness: float
    first: Choice
    sizes: tuple[tuple[int, ...], ...]
    space_size: int

    @property
    def proved(self) -> bool:
        return self.share >= 1.0


class _End(Incumbent):
    """One objective over a choice, below what is known of other choices; priced as the staircase says."""

    def __init__(self, stairs: SizeStaircase, objective: str) -> None:
        super().__init__(stairs.space, stairs.model, objective_of(objective), stairs)
        self.stairs = stairs
        known = [self.objective.value(stair.energy_pj, stair.cycles) for stair in stairs.foreign]
        self.value = min(known, default=math.inf)

    def figures(self, batch: Batch) -> tuple[Floats, Floats, Bools]:
        return self.stairs.figures(batch)


class SizeStaircase(Staircase):
    """The staircase of one choice, energy and cycles over their ``shares``; ``foreign`` steps are of other choices."""

    def __init__(self, choice: Choice, actual: Model, known: Sequence[UnevenStair]) -> None:
        super().__init__(choice.space, choice.model)
        self.shares = (1.0, 1.0)
        self.uneven: UnevenIncumbent | None = None
        if choice.space.actual is not None:
            self.shares = scale_of(choice, actual, ENERGY), scale_of(choice, actual, LATENCY)
            self.uneven = UnevenIncumbent(choice, actual, ENERGY, math.inf)
        pj, cycles = self.shares
        self.foreign = tuple(Stair(one.energy_pj / pj, one.cycles / cycles, one.batch) for one in known)
        self.origin = dict(zip(map(id, self.foreign), known, strict=True))
        self.choice = choice
        for stair in self.foreign:
            self._insert(stair)

    def end(self, objective: str) -> Incumbent:
        return _End(self, objective)

    def figures(self, batch: Batch) -> tuple[Floats, Floats, Bools]:
        if self.uneven is None:
            return super().figures(batch)
        energy, cycles, fits = self.uneven.figures(batch)
        return energy / self.shares[0], cycles / self.shares[1], fits

    def told(self) -> tuple[UnevenStair, ...]:
        """All steps, in pJ and whole cycles."""
        pj, cycles = self.shares
        return tuple(
            self.origin.get(id(one))
            or UnevenStair(self.choice, one.energy_pj * pj, float(round(one.cycles * cycles)), one.batch)
            for one in self.points
        )


def solve_uneven_front(problem: Problem, hardware: Hardware, ert: ERT, way: str, clock: Clock) -> UnevenFrontOutcome:
    """The front of energy and cycles over the mappings of all sizes, and how far it is proved.

    A budget is shared as for one objective. A choice that nothing better can be in is not searched.
    """
    actual = build_model(problem, hardware, ert)
    listed = list(choices(problem, hardware, ert, way))
    known: tuple[UnevenStair, ...] = ()
    share, least_pj, least_cycles, evaluated, tightness = 1.0, math.inf, math.inf, 0, math.inf
    for number, choice in enumerate(listed):
        stairs = SizeStaircase(choice, actual, known)
        lowest = [compulsory(choice.space, choice.model, one) for one in (ENERGY, LATENCY)]
        of_choice = stairs.measure(lowest[0] * (1.0 + SLACK), lowest[1])
        if of_choice < 1.0 and (number == 0 or not clock.over):
            found = solve_front(choice.space, choice.model, part_for(clock, number, len(listed)), stairs)
            of_choice, lowest = found.share, [found.least_pj, found.least_cycles]
            evaluated += found.evaluated
            tightness = min(tightness, found.tightness)
            known = stairs.told()
        share = min(share, float(of_choice))
        least_pj = min(least_pj, float(lowest[0] * stairs.shares[0]))
        least_cycles = min(least_cycles, float(lowest[1] * stairs.shares[1]))
    if share >= 1.0 and known:
        least_pj, least_cycles = min(one.energy_pj for one in known), known[0].cycles
    return UnevenFrontOutcome(
        known,
        share,
        least_pj,
        least_cycles,
        evaluated,
        tightness,
        listed[0],
        tuple(tuple(choice.problem.bounds.values()) for choice in listed),
        sum(choice.space.size for choice in listed),
    )
