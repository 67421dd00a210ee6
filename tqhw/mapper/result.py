"""What a search answers, and the form in which answers are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass

from tqhw.errors import TqhwError
from tqhw.objectives import Tradeoff
from tqhw.spec import Mapping, Reason, Stats


@dataclass(frozen=True)
class Whole:
    """What all of the problem's work costs with a mapping with remainders, of which Timeloop may count less."""

    energy_pj: float
    cycles: int


@dataclass(frozen=True)
class FrontPoint:
    """A mapping that no other one of the space dominates. ``padded``, ``whole``: see :class:`SearchResult`."""

    mapping: Mapping
    stats: Stats
    padded: MappingABC[str, int] | None = None
    whole: Whole | None = None

    @property
    def energy_pj(self) -> float:
        """What it is compared by: of a mapping with remainders, the energy of the whole work."""
        return (self.whole or self.stats).energy_pj

    @property
    def cycles(self) -> int:
        """Likewise."""
        return (self.whole or self.stats).cycles


@dataclass(frozen=True)
class MappingFront:
    """The Pareto front of a space: one mapping for each of its values, in the order of the first objective.

    ``share``: every mapping of the space costs at least ``share`` times what some point costs, and takes at least
    ``share`` times its cycles; 1 where the front is proved. ``least``: of every objective, what no mapping is below.
    """

    tradeoff: Tradeoff
    points: tuple[FrontPoint, ...]
    share: float
    least: tuple[float, ...]

    @property
    def proved(self) -> bool:
        return self.share >= 1.0

    def values(self) -> tuple[tuple[float, ...], ...]:
        """The objectives of every point, in the units of each (pJ, cycles, pJ*cycles)."""
        return tuple(
            tuple(one.value(point.energy_pj, float(point.cycles)) for one in self.tradeoff.objectives)
            for point in self.points
        )

    def open_region(self) -> tuple[tuple[float, ...], ...]:
        """Where better mappings may still be: at or above one of these corners, in all objectives; none if proved.

        A staircase of lower bounds: what lies above no corner is proved to be no mapping's.
        """
        if self.proved:
            return ()
        shares = [self.share ** (one.energy_power + one.delay_power) for one in self.tradeoff.objectives]
        corners = sorted(
            {
                tuple(max(low, share * value) for low, share, value in zip(self.least, shares, values, strict=True))
                for values in self.values()
            }
        )
        return tuple(corner for i, corner in enumerate(corners) if all(corner[-1] < other[-1] for other in corners[:i]))


def front_of(
    tradeoff: Tradeoff, points: Sequence[FrontPoint], share: float, least_pj: float, least_cycles: float
) -> MappingFront:
    """The front of two objectives out of that of energy and cycles, which holds it.

    For what is dominated in energy and cycles is so in all that grows with both.
    """
    first, second = tradeoff.objectives
    ordered = sorted(
        points,
        key=lambda point: (
            first.value(point.energy_pj, float(point.cycles)),
            second.value(point.energy_pj, float(point.cycles)),
        ),
    )
    found: list[FrontPoint] = []
    best = math.inf
    for point in ordered:
        value = second.value(point.energy_pj, float(point.cycles))
        if value < best:
            best = value
            found.append(point)
    least = tuple(one.value(least_pj, least_cycles) for one in tradeoff.objectives)
    return MappingFront(tradeoff, tuple(found), share, least)


@dataclass(frozen=True)
class SearchResult:
    """The best mapping found and its statistics.

    ``lower_bound`` bounds the objective of every mapping of the space (pJ, pJ*cycles or cycles); ``gap`` is
    (found - lower_bound) / found, 0 where ``proved_optimal``. ``evaluated``: mappings priced by the engine.
    ``seconds`` are those of the search, kernels compiled before, also where the answer comes from a cache (``cached``).
    Of a front, the mapping and the bound are those of its first objective, ``gap`` is 1 - ``front.share``;
    ``proved_optimal`` tells of it all.
    ``padded``: bounds of the problem that is mapped, where that is a larger one. ``whole``: what a mapping with
    remainders was compared by. ``sizes``: bounds of all spaces that were searched, where these were several.
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
    front: MappingFront | None = None
    padded: MappingABC[str, int] | None = None
    whole: Whole | None = None
    sizes: tuple[tuple[int, ...], ...] = ()


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
