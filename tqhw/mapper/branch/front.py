"""The exact search for a front: every pair of energy and cycles that no mapping of the space dominates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tqhw.engine import Batch, Model
from tqhw.engine.model import Bools, Floats
from tqhw.mapper.bound.measure import FRONT, stair_measure
from tqhw.mapper.bound.prices import compulsory
from tqhw.mapper.branch.bypass_search import Subproblem
from tqhw.mapper.branch.incumbent import SLACK, Clock, Incumbent, KnownFront, OutOfTimeError, one_of
from tqhw.mapper.branch.solve import MOST_BYPASSES, SMALLER, BypassSearches, Outcome, solve
from tqhw.mapper.branch.sweeps import PAIRS
from tqhw.mapper.space.mapspace import Mapspace
from tqhw.mapper.space.orders import LoopOrders, build_orders
from tqhw.mapper.space.subspace import count_pairs, narrowed, whole
from tqhw.objectives import Objective, objective_of


class _Both(Objective):
    """Energy and cycles, neither of them alone."""

    @property
    def code(self) -> int:
        return FRONT


BOTH = _Both("front", 1, 1)


@dataclass(frozen=True)
class Stair:
    """A mapping on a front: pJ, cycles, and itself as a batch of one."""

    energy_pj: float
    cycles: float
    batch: Batch


class Staircase(Incumbent):
    """The mappings so far that no other one dominates in energy and cycles, in the order of their cycles.

    Of equals the first stays; energies closer than SLACK are the same. Its value is the measure of bound/measure.py.
    """

    def __init__(self, space: Mapspace, model: Model) -> None:
        super().__init__(space, model, BOTH, self)
        self.points: list[Stair] = []
        self.known = KnownFront()
        self.value = 1.0
        self._better = False

    def end(self, objective: str) -> Incumbent:
        """What the search for one objective prices mappings with: they are offered here, too."""
        return Incumbent(self.space, self.model, objective_of(objective), self)

    @property
    def found(self) -> bool:
        return bool(self.points)

    @property
    def limit(self) -> float:
        return 1.0

    def limits(self, floor: float) -> list[float]:
        """Nothing of measure 1 is looked for."""
        return [1.0]

    def offer(self, batch: Batch, energy_pj: Floats, cycles: Floats, fits: Bools) -> None:
        """Takes what is on the front of all that was offered."""
        self._better = False
        for i in np.flatnonzero(fits & ~self._dominated(energy_pj, cycles)).tolist():
            if not self._dominated(energy_pj[i : i + 1], cycles[i : i + 1])[0]:
                self._insert(Stair(float(energy_pj[i]), float(cycles[i]), one_of(batch, i)))

    def _dominated(self, energy_pj: Floats, cycles: Floats) -> Bools:
        """[B] Whether a point of no more cycles costs no more."""
        stairs = np.concatenate([[[np.inf, 0.0]], self.known.stairs])
        below = stairs[np.searchsorted(stairs[:, 1], cycles, "right") - 1, 0]
        return np.asarray(below <= energy_pj)

    def _insert(self, new: Stair) -> None:
        same_pj = new.energy_pj * (1.0 - SLACK)
        stays = [one for one in self.points if one.cycles < new.cycles or one.energy_pj < same_pj]
        self.points = sorted([*stays, new], key=lambda one: one.cycles)
        self.known.stairs = np.array([[point.energy_pj * (1.0 - SLACK), point.cycles] for point in self.points])
        self._better = True

    def measure(self, energy_pj: float, cycles: float) -> float:
        """How far a pair lies towards the staircase, see bound/measure.py."""
        return stair_measure(self.known.stairs, energy_pj, cycles)

    def _measured(self, energy_pj: Floats, cycles: Floats) -> Floats:
        return np.array([self.measure(*pair) for pair in zip(energy_pj, cycles, strict=True)])

    def _take(self, batch: Batch, value: Floats) -> bool:
        return self._better


@dataclass(frozen=True)
class FrontOutcome:
    """What the search found: the mappings in the order of their cycles, none where none fits.

    ``share``: every mapping of the space costs at least ``share`` times what some point costs and takes at least
    ``share`` times its cycles; 1 where the front is proved.
    """

    stairs: tuple[Stair, ...]
    share: float
    least_pj: float
    least_cycles: float
    evaluated: int
    nodes: int
    tightness: float

    @property
    def proved(self) -> bool:
        return self.share >= 1.0


def solve_front(
    space: Mapspace, model: Model, clock: Clock | None = None, stairs: Staircase | None = None
) -> FrontOutcome:
    """The front of energy and cycles over all mappings of the space, and of what stands on ``stairs`` already.

    The best mappings by one objective come first: they bound energy and cycles, and stand on the front. Then parts of
    the space, for most of its points, and last the whole, below the staircase that these make.
    """
    clock = Clock(None) if clock is None else clock
    stairs = Staircase(space, model) if stairs is None else stairs
    clock.armed = stairs.found
    try:
        orders = build_orders(space, model, clock.check)
    except OutOfTimeError:
        least_pj, least_cycles = (compulsory(space, model, name) for name in ("energy", "latency"))
        share = min(1.0, float(stairs.measure(least_pj, least_cycles)))
        return FrontOutcome(tuple(stairs.points), share, least_pj, least_cycles, stairs.evaluated, 0, math.inf)
    ends: list[Outcome] = []
    for name in ("energy", "latency"):
        clock.armed = stairs.found
        ends.append(solve(space, model, name, clock.part(1 / 3), incumbent=stairs.end(name), orders=orders))
        if not stairs.found and ends[-1].proved:
            return FrontOutcome((), 1.0, math.inf, math.inf, stairs.evaluated, 0, math.inf)
    energy, latency = ends
    stairs.known.least_pj = energy.lower_bound * (1.0 - SLACK)
    stairs.known.least_cycles = latency.lower_bound
    searches = BypassSearches()
    if not (energy.value < 0.0):  # `search` refuses what costs less than nothing
        _search_whole(space, model, orders, stairs, searches, clock)
    return FrontOutcome(
        tuple(stairs.points),
        float(min(1.0, max(searches.bound(), stairs.measure(energy.lower_bound, latency.lower_bound)))),
        energy.lower_bound,
        latency.lower_bound,
        stairs.evaluated + sum(one.evaluated for one in ends),
        sum(one.nodes for one in ends) + sum(one.nodes for one in searches.begun),
        min([stairs.tightness, *(one.tightness for one in ends)]),
    )


def _search_whole(
    space: Mapspace, model: Model, orders: LoopOrders, stairs: Staircase, searches: BypassSearches, clock: Clock
) -> None:
    clock.armed = stairs.found
    try:
        _search_parts(space, model, orders, stairs, clock)
        clock.check()
        subproblem = Subproblem.over(space, model, BOTH, orders, whole(space), stairs.known)
        searches.search(subproblem, space.masks(), stairs, clock, False, False)
    except OutOfTimeError:
        pass


def _search_parts(space: Mapspace, model: Model, orders: LoopOrders, stairs: Staircase, clock: Clock) -> None:
    """Searches growing parts of the space: quickly, for most of the front."""
    pairs, most = count_pairs(space, whole(space)), PAIRS
    while SMALLER * most < pairs and (lists := narrowed(space, most)) != whole(space):
        clock.check()
        subproblem = Subproblem.over(space, model, BOTH, orders, lists, stairs.known)
        BypassSearches().search(subproblem, islice(space.masks(), MOST_BYPASSES), stairs, clock, False, False)
        most *= SMALLER
