"""The mapspace: every mapping that Timeloop's mapper may propose for a problem on constrained hardware.

Source of the rules: Timeloop ``src/mapspaces/{uber,subspaces}.cpp``, ``src/mapping/constraints.cpp``,
``src/util/numeric.cpp`` and the front end's ``v4/processors/permutation_optimizer.py``. A mapping of this space that
also passes the engine's capacity test is one that Timeloop's mapper can find, and the other way round; see
docs/mapper.md for the list of rules.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from tqhw.engine.model import Bools, Ints
from tqhw.errors import TqhwError
from tqhw.mapper.space.factors import count_factorizations, divisors
from tqhw.mapper.space.slots import Slot, spatial_slot, temporal_slot
from tqhw.spec import Hardware, Level, Problem


@dataclass(frozen=True)
class Mapspace:
    """What is allowed. ``slots`` stand innermost first: of each level the spatial loops, then the temporal ones."""

    problem: Problem
    hardware: Hardware
    slots: tuple[Slot, ...]
    keep: tuple[tuple[bool | None, ...], ...]  # [level][data space]; None: free
    least_used: int  # compute units that a mapping must use
    min_utilization: float  # the share of all, as :meth:`busy_enough` compares it
    warnings: tuple[str, ...]
    actual: tuple[int, ...] | None = None  # bounds of the problem, where those of ``problem`` are padded (uneven.py)

    @property
    def sizes(self) -> dict[str, int]:
        """Timeloop's four sub-spaces and their sizes."""
        dims = self.problem.shape.dimensions
        factors = [
            count_factorizations(self.problem.bounds[name], [slot.factors[d] for slot in self.slots])
            for d, name in enumerate(dims)
        ]
        return {
            "IndexFactorization": math.prod(factors),
            "LoopPermutation": math.prod(math.factorial(len(slot.free)) for slot in self.slots),
            "Spatial": math.prod(len(dims) + 1 for s in self.slots if s.spatial and s.split is None),
            "DatatypeBypass": 2 ** sum(kept is None for level in self.keep for kept in level),
        }

    @property
    def size(self) -> int:
        """Points of the space, as Timeloop counts them."""
        return math.prod(self.sizes.values())

    def busy_enough(self, spatial: Ints) -> Bools:
        """Whether mappings of spatial factors [B, L, D] use as many units as the constraints ask for. Axis B.

        In doubles, fan-out by fan-out from the innermost, as Timeloop does (``Uber::AssignSpatialTilingDirections``).
        """
        utilization = np.ones(len(spatial))
        for slot in self.slots:
            if slot.spatial:
                utilization *= spatial[:, slot.level].prod(axis=1) / (slot.fanout[0] * slot.fanout[1])
        return utilization >= self.min_utilization

    def masks(self) -> Iterator[tuple[tuple[bool, ...], ...]]:
        """All keep/bypass choices [level][data space] that keep every data space somewhere, in a fixed order."""
        free = [(i, s) for i, level in enumerate(self.keep) for s, kept in enumerate(level) if kept is None]
        for bits in range(2 ** len(free)):
            table = [[bool(kept) for kept in level] for level in self.keep]
            for position, (i, s) in enumerate(free):
                table[i][s] = not bits >> position & 1
            if all(any(level[s] for level in table) for s in range(len(self.keep[0]))):
                yield tuple(tuple(level) for level in table)


def build_mapspace(problem: Problem, hardware: Hardware) -> Mapspace:
    """The mapspace of a problem under the constraints of ``hardware``.

    Raises TqhwError for constraints that name unknown dimensions or data spaces, contradict each other, or leave a
    dimension without any factorization.
    """
    warnings: list[str] = []
    slots: list[Slot] = []
    keep: list[tuple[bool | None, ...]] = []
    min_utilization = max((level.constraints.min_utilization for level in hardware.levels), default=0.0)
    # Rounded down a little: what is on the edge is decided by busy_enough.
    least_used = max(1, math.ceil(min_utilization * hardware.compute.instances * (1.0 - 1e-12)))
    for i, level in enumerate(hardware.levels):
        place = f"constraints of {level.node}"
        with _at_the_line_of(level):
            if level.fanout > 1:
                slots.append(spatial_slot(problem, level, i, place, warnings))
            if level.kind == "storage":
                slots.append(temporal_slot(problem, level, i, place, warnings, innermost=not slots))
            kept = level.constraints.kept(problem.shape.data_space_names, place)
        outermost = i == len(hardware.levels) - 1
        # Timeloop's outermost level keeps what its constraint does not bypass; the others are free.
        keep.append(
            tuple(
                False if level.kind == "fanout" else True if value is None and outermost else value
                for value in kept.values()
            )
        )
    space = Mapspace(
        problem, hardware, tuple(slots), tuple(keep), least_used, min_utilization, tuple(dict.fromkeys(warnings))
    )
    _check(space)
    return space


@contextmanager
def _at_the_line_of(level: Level) -> Iterator[None]:
    """Puts the line in front of an error's place. A warning has none: it is kept for other files that say the same."""
    try:
        yield
    except TqhwError as error:
        place = ": ".join(part for part in (level.constraints.place, error.place) if part)
        raise TqhwError(error.message, place=place, lever=error.lever) from None


def _check(space: Mapspace) -> None:
    """Refuses a space that is empty before any capacity is looked at."""
    problem = space.problem
    for d, name in enumerate(problem.shape.dimensions):
        bound = problem.bounds[name]
        lists = [slot.factors[d] for slot in space.slots]
        if count_factorizations(bound, lists):
            continue
        fixed = {
            slot.name(space.hardware): slot.factors[d][0]
            for slot in space.slots
            if len(slot.factors[d]) == 1 and slot.constrained[d]
        }
        least = math.prod(values[0] for values in lists)
        given = ", ".join(f"{where}: {name}={factor}" for where, factor in fixed.items()) or "none fixed"
        raise TqhwError(
            f"no factors of {name} multiply to {bound}: the least allowed product is {least} ({given})",
            place=f"constraints of {space.hardware.name or 'the architecture'}",
            lever=f"leave {name} free at one level, or fix factors that divide {bound}; or search with remainders, "
            "factors: imperfect",
        )
    for s, name in enumerate(problem.shape.data_space_names):
        if all(level[s] is False for level in space.keep):
            raise TqhwError(
                f"{name} is bypassed in every storage level",
                place=f"constraints of {space.hardware.name or 'the architecture'}",
                lever="keep it in one, at least the outermost",
            )


def most_units(slot: Slot) -> int:
    """The most units that a slot's factors can use inside its columns and rows; 1 for temporal loops."""
    if not slot.spatial:
        return 1
    reached = {(1, 1)}
    for factors in slot.factors:
        wider = {(x * a, y * b) for x, y in reached for f in factors for a, b in ((f, 1), (1, f))}
        reached = {(x, y) for x, y in wider if x <= slot.fanout[0] and y <= slot.fanout[1]}
    return max((x * y for x, y in reached), default=0)


def loop_orders(slot: Slot, present: frozenset[int]) -> Iterator[tuple[int, ...]]:
    """All orders (innermost first) of the loops of bound > 1 that the slot's permutation constraint allows."""
    head = tuple(d for d in slot.prefix if d in present)
    tail = tuple(d for d in slot.suffix if d in present)
    for middle in permutations(d for d in slot.free if d in present):
        yield (*head, *middle, *tail)


def splits(slot: Slot, present: frozenset[int]) -> range:
    """How many loops of bound > 1, counted from the innermost, may run along X."""
    head = [d in present for d in slot.prefix]
    tail = [d in present for d in slot.suffix]
    middle = sum(d in present for d in slot.free)
    if slot.split is None:
        return range(len(present) + 1)
    # A given split counts positions of the whole permutation, loops of bound 1 included; free ones may stand anywhere.
    inside = slot.split - len(head)
    if inside <= 0:
        count = sum(head[: slot.split])
        return range(count, count + 1)
    if inside <= len(slot.free):
        idle = len(slot.free) - middle
        return range(sum(head) + max(0, inside - idle), sum(head) + min(inside, middle) + 1)
    count = sum(head) + middle + sum(tail[: inside - len(slot.free)])
    return range(count, count + 1)


__all__ = ["Mapspace", "build_mapspace", "divisors", "loop_orders", "most_units", "splits"]
