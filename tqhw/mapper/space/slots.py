"""Slots: the temporal or spatial loops of one level, with what the constraints allow there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tqhw.errors import TqhwError, unknown
from tqhw.mapper.space.factors import divisors
from tqhw.spec import Hardware, Level, LoopConstraint, Problem


@dataclass(frozen=True)
class Slot:
    """One level's temporal or spatial loops. Dimensions are indices of the shape's; orders run innermost first."""

    level: int
    spatial: bool
    factors: tuple[tuple[int, ...], ...]  # [dimension] allowed factors, ascending
    constrained: tuple[bool, ...]  # [dimension] a constraint narrows the factors
    prefix: tuple[int, ...]  # innermost loops, in this order
    free: tuple[int, ...]  # then these, in any order
    suffix: tuple[int, ...]  # outermost loops, in this order
    split: int | None = None  # positions along X; None: free
    fanout: tuple[int, int] = (1, 1)

    def name(self, hardware: Hardware) -> str:
        """Level and kind, for messages."""
        level = hardware.levels[self.level]
        return level.node if self.spatial or level.kind == "fanout" else level.name


def temporal_slot(problem: Problem, level: Level, index: int, place: str, warnings: list[str], innermost: bool) -> Slot:
    """The temporal loops of a storage level. Timeloop never permutes those right above the compute units."""
    constraint = level.constraints.temporal
    factors, constrained = _factors(problem, constraint, place, warnings)
    prefix, free, suffix = _permutation(problem, constraint, place)
    if innermost:
        prefix, free, suffix = tuple(range(len(problem.shape.dimensions))), (), ()
    return Slot(index, False, factors, constrained, prefix, free, suffix)


def spatial_slot(problem: Problem, level: Level, index: int, place: str, warnings: list[str]) -> Slot:
    """The spatial loops of a fan-out; one of a single direction without a permutation has the shape's order."""
    constraint = level.constraints.spatial
    factors, constrained = _factors(problem, constraint, place, warnings)
    prefix, free, suffix = _permutation(problem, constraint, place)
    if not prefix and not suffix and 1 in (level.fanoutX, level.fanoutY):
        prefix, free = tuple(range(len(problem.shape.dimensions))), ()
    fanout = (level.fanoutX, level.fanoutY)
    return Slot(index, True, factors, constrained, prefix, free, suffix, constraint.split, fanout)


def _exact(problem: Problem, constraint: LoopConstraint, place: str) -> dict[str, int]:
    """Fixed factors with the macros written out (timeloopfe ``constraint_macro.py``)."""
    dims = problem.shape.dimensions
    exact = dict(constraint.factors)
    known = {space.name: space.dimensions for space in problem.shape.data_spaces}
    for name in known if "*" in constraint.not_over else constraint.not_over:
        if name not in known:
            raise unknown("data space", name, known, place)
        for d in known[name]:
            if exact.setdefault(d, 1) != 1:
                raise TqhwError(
                    f"factor {d}={exact[d]} contradicts no_iteration_over_dataspaces {name}",
                    place=place,
                    lever="remove one of the two",
                )
    if constraint.others_one:
        listed = {*exact, *constraint.at_most, *constraint.at_least}
        exact.update({d: 1 for d in dims if d not in listed})
    return exact


def _factors(
    problem: Problem, constraint: LoopConstraint, place: str, warnings: list[str]
) -> tuple[tuple[tuple[int, ...], ...], tuple[bool, ...]]:
    exact = _exact(problem, constraint, place)
    for given in (exact, constraint.at_most, constraint.at_least):
        for name in given:
            if name not in problem.bounds:
                raise unknown("dimension", name, problem.shape.dimensions, place)
    result: list[tuple[int, ...]] = []
    constrained: list[bool] = []
    for name in problem.shape.dimensions:
        bound = problem.bounds[name]
        allowed: Sequence[int] = divisors(bound)
        factor = exact.get(name)
        if factor is not None and factor > bound:
            warnings.append(f"{place}: {name}={factor} exceeds the problem's {name}={bound} and is ignored")
            factor = None
        if factor is not None:
            factor = bound if factor == 0 else factor
            if bound % factor:
                raise TqhwError(
                    f"factor {name}={factor} does not divide {name}={bound}",
                    place=place,
                    lever=f"one of {', '.join(map(str, divisors(bound)))}; or search with factors: imperfect",
                )
            allowed = (factor,)
        most, least = constraint.at_most.get(name), constraint.at_least.get(name)
        for operator, number in (("<=", most), (">=", least)):
            if number is not None and number < 1:
                raise TqhwError(f"factor {name}{operator}{number} must be at least 1", place=place)
        allowed = tuple(f for f in allowed if (most is None or f <= most) and (least is None or f >= least))
        if not allowed:
            asked = [f"{name}={factor}"] if factor is not None else []
            asked += [f"{name}{o}{n}" for o, n in (("<=", most), (">=", least)) if n is not None]
            raise TqhwError(
                f"no factor of {name}={bound} satisfies {' and '.join(asked)}",
                place=place,
                lever="relax one of them",
            )
        result.append(tuple(allowed))
        constrained.append(factor is not None or most is not None or least is not None)
    return tuple(result), tuple(constrained)


def _permutation(
    problem: Problem, constraint: LoopConstraint, place: str
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Prefix, free and suffix dimensions after timeloopfe's ``permutation_optimizer.py``.

    The front end puts dimensions whose constraint ends in 1, and then those of bound 1, in front of the
    permutation. It counts for a given split, whose positions they take.
    """
    dims = problem.shape.dimensions
    listed = (*constraint.permutation, *constraint.suffix)
    for name in listed:
        if name not in dims:
            raise unknown("dimension", name, dims, f"{place}: permutation")
    if len(set(listed)) != len(listed):
        raise TqhwError(f"permutation {', '.join(listed)} names a dimension twice", place=place, lever="keep one")
    front: list[str] = []
    for given in (_exact(problem, constraint, place), constraint.at_most, constraint.at_least):
        front += [d for d, factor in given.items() if factor == 1 and d not in listed and d not in front]
    front += [d for d in dims if problem.bounds[d] == 1 and d not in listed and d not in front]
    prefix = (*reversed(front), *constraint.permutation)
    free = tuple(i for i, d in enumerate(dims) if d not in prefix and d not in constraint.suffix)
    return tuple(dims.index(d) for d in prefix), free, tuple(dims.index(d) for d in constraint.suffix)
