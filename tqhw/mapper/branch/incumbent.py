"""The clock of a search, and the best mapping that the engine has priced so far."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tqhw.engine import Batch, Model, run_batch
from tqhw.engine.evaluation import compile_aside
from tqhw.engine.kernel import Work, make_work
from tqhw.engine.model import Bools, Floats
from tqhw.engine.stopwatch import compiling_s
from tqhw.mapper.branch.stack import Leaves
from tqhw.mapper.space.mapspace import Mapspace
from tqhw.objectives import Objective

SLACK = 1e-12  # two costs closer than this are the same: sums of floats in another order


GRACE_S = 0.5  # beyond a budget, where there is nothing to show yet


class OutOfTimeError(Exception):
    """The budget is used up."""


class Clock:
    """Time left of a budget, which does not cover compiling; without one it never runs out."""

    def __init__(self, budget_s: float | None) -> None:
        self.budget_s = budget_s
        self.end = math.inf if budget_s is None else _now() + budget_s
        self.latest = self.end + GRACE_S
        self.armed = False  # once there is a mapping to show

    @property
    def endless(self) -> bool:
        """There is no budget."""
        return math.isinf(self.end)

    @property
    def over(self) -> bool:
        """The time is over, whether or not there is something to show."""
        return not self.endless and _now() >= self.end

    def part(self, share: float, most_s: float = math.inf) -> Clock:
        """A clock over a share of the time that is left, and so many seconds at most."""
        other = Clock(None)
        other.armed = self.armed
        if not self.endless or most_s < math.inf:
            now = _now()
            other.budget_s = min(share * max(0.0, self.end - now), most_s)
            other.end = min(self.end, now + other.budget_s)
            other.latest = min(self.latest, other.end + GRACE_S)
        return other

    def check(self) -> None:
        """Raises OutOfTimeError where the time is over."""
        if not self.endless and _now() >= (self.end if self.armed else self.latest):
            raise OutOfTimeError


def _now() -> float:
    """Seconds of this thread's work."""
    return time.perf_counter() - compiling_s()


def limits(floor: float) -> list[float]:
    """What the best mapping may cost, tried one after the other: most are within a few percent of the floor."""
    return [floor * factor for factor in (1.15, 1.5, 2.5) if floor > 0.0] + [math.inf]


@dataclass
class KnownFront:
    """What bounds may use of a front: its mappings so far, and what each mapping of the space costs and takes at least.

    ``stairs`` [F, 2]: energies, less SLACK, and cycles; cycles rise.
    """

    stairs: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    least_pj: float = -math.inf
    least_cycles: float = 0.0


class Offers(Protocol):
    """What is shown all that is priced."""

    def offer(self, batch: Batch, energy_pj: Floats, cycles: Floats, fits: Bools) -> None: ...


class Incumbent:
    """The best mapping so far, and what pricing showed. ``front``: is offered what is priced, too."""

    def __init__(self, space: Mapspace, model: Model, objective: Objective, front: Offers | None = None) -> None:
        self.objective, self.model, self.space = objective, model, space
        self.work: Work = make_work(model)
        self.value = math.inf
        self.batch: Batch | None = None
        self.front = front
        self.evaluated = 0
        self.tightness = math.inf  # least ratio of a cost to its bound; below 1 a bound would be wrong

    @property
    def found(self) -> bool:
        """Whether there is a mapping to show."""
        return self.value < math.inf

    def figures(self, batch: Batch) -> tuple[Floats, Floats, Bools]:
        """Energy in pJ and cycles of mappings, and whether they fit."""
        counts = run_batch(self.model, batch, work=self.work)
        fits = (counts.rule == 0) & self.space.busy_enough(batch.spatial)
        return counts.energy_pj, counts.cycles.astype(np.float64), fits

    @property
    def limit(self) -> float:
        """What is worth looking for costs less."""
        return self.value * (1.0 - SLACK)

    def limits(self, floor: float) -> list[float]:
        """Those of :func:`limits`."""
        return limits(floor)

    def compile_aside(self, leaves: Leaves, keep: Bools) -> None:
        """Has the engine compiled meanwhile, where nobody ever has."""
        compile_aside(leaf_batch(leaves, 0, 1, keep), self.work)

    def price(self, leaves: Leaves, n: int, keep: Bools) -> bool:
        """Takes the best of ``n`` mappings, the first of equals; True if it is better than what was known."""
        batch = leaf_batch(leaves, 0, n, keep)
        energy, cycles, fits = self.figures(batch)
        value = np.where(fits, self._measured(energy, cycles), np.inf)
        self.evaluated += n
        bound = leaves.bound[:n]
        ratio = np.divide(value, bound, out=np.full(n, np.inf), where=bound > 0.0)  # a bound of 0 says nothing
        self.tightness = min(self.tightness, float(ratio.min()))
        if self.front is not None:
            self.front.offer(batch, energy, cycles, fits)
        return self._take(batch, value)

    def _measured(self, energy_pj: Floats, cycles: Floats) -> Floats:
        return self.objective.value(energy_pj, cycles)

    def _take(self, batch: Batch, value: Floats) -> bool:
        i = int(value.argmin())
        if not value[i] < self.limit:
            return False
        self.value = float(value[i])
        self.batch = one_of(batch, i)
        return True


def one_of(batch: Batch, i: int) -> Batch:
    """One mapping of a batch, copied."""
    return Batch(
        batch.temporal[i : i + 1].copy(),
        batch.temporal_order[i : i + 1].copy(),
        batch.spatial[i : i + 1].copy(),
        batch.spatial_order[i : i + 1].copy(),
        batch.split[i : i + 1].copy(),
        batch.keep,
    )


def leaf_batch(leaves: Leaves, begin: int, end: int, keep: Bools) -> Batch:
    """A copy of some mappings, as the engine takes them."""
    return Batch(
        leaves.temporal[begin:end].copy(),
        leaves.temporal_order[begin:end].copy(),
        leaves.spatial[begin:end].copy(),
        leaves.spatial_order[begin:end].copy(),
        leaves.split[begin:end].copy(),
        keep[None],
    )
