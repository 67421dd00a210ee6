"""The Pareto front of a network: of what its layers may cost and take, each by one of its mappings, in all.

Every occurrence of a layer takes a point of the layer's front. Energies and cycles add up, so the network's front is
that of all sums: layers are added one occurrence at a time, and a sum that is no better than another one in both is
dropped, as it stays so whatever is added. Sums are exact: a double is a whole number of a power of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

MOST_SUMS = 20_000
"""Points of a front that is summed up; a larger one is thinned."""
MOST_POINTS = 500
"""Points of a network's front that are told."""

Costs = Sequence[tuple[float, int]]
"""pJ and cycles of the points of a layer's front."""


@dataclass(frozen=True)
class NetworkPoint:
    """pJ and cycles in all; ``choices``: of each layer, how many of its occurrences take each point of its front."""

    energy_pj: float
    cycles: int
    choices: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class NetworkFront:
    """A front in the order of energies.

    ``within``: the network's front has, for each of its points, one here of no more cycles and at most so much more
    energy, as a part of it; 0 where the front is whole.
    """

    points: tuple[NetworkPoint, ...]
    within: float


@dataclass(frozen=True)
class _PartSum:
    energy: int  # in the unit of all sums
    cycles: int
    taken: int = 0  # point of the last layer's front
    before: _PartSum | None = field(default=None, repr=False)


def network_front(
    layers: Sequence[tuple[Costs, int]], most_sums: int = MOST_SUMS, most_points: int = MOST_POINTS
) -> NetworkFront:
    """The front of a network of so many occurrences of layers with these fronts.

    Fronts of more than ``most_sums`` points on the way, and of more than ``most_points`` at the end, are thinned.
    """
    unit = max((Fraction(energy).denominator for costs, _ in layers for energy, _ in costs), default=1)
    sums, kept = [_PartSum(0, 0)], 1.0
    for costs, count in layers:
        exact = [(int(Fraction(energy) * unit), cycles) for energy, cycles in costs]
        for _ in range(count):
            sums, more = _thinned(_added(sums, exact), most_sums)
            kept *= 1.0 + more
    sums, more = _thinned(sums, most_points)
    points = tuple(NetworkPoint(float(Fraction(one.energy, unit)), one.cycles, _choices(one, layers)) for one in sums)
    return NetworkFront(points, kept * (1.0 + more) - 1.0)


def _added(sums: Sequence[_PartSum], costs: Sequence[tuple[int, int]]) -> list[_PartSum]:
    """The front of all sums with a point of ``costs``, by energy; of equal ones the first."""
    every = [
        _PartSum(before.energy + energy, before.cycles + cycles, taken, before)
        for before in sums
        for taken, (energy, cycles) in enumerate(costs)
    ]
    every.sort(key=lambda one: (one.energy, one.cycles))
    found: list[_PartSum] = []
    for one in every:
        if not found or one.cycles < found[-1].cycles:
            found.append(one)
    return found


def _thinned(sums: list[_PartSum], most: int) -> tuple[list[_PartSum], float]:
    """At most ``most`` of the sums, and how much more energy a sum that is left out may have to be replaced by.

    A sum stands for those of less energy, and more cycles, that it costs at most that part more than. The dearest and
    the cheapest stay.
    """
    if len(sums) <= most:
        return sums, 0.0
    more = (sums[-1].energy / max(sums[0].energy, 1)) ** (1.0 / max(1, most - 2)) - 1.0
    kept = [sums[-1]]
    for one in reversed(sums[:-1]):
        if kept[-1].energy > one.energy * (1.0 + more):
            kept.append(one)
    if kept[-1] is not sums[0]:
        kept.append(sums[0])
    return kept[::-1], more


def _choices(one: _PartSum, layers: Sequence[tuple[Costs, int]]) -> tuple[tuple[int, ...], ...]:
    counts = [[0] * len(costs) for costs, _ in layers]
    at: _PartSum | None = one
    for index in reversed([i for i, (_, count) in enumerate(layers) for _ in range(count)]):
        assert at is not None
        counts[index][at.taken] += 1
        at = at.before
    return tuple(map(tuple, counts))
