"""Two engines' answers about one mapping, field by field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tqhw.spec import Invalid, Stats
from tqhw.spec.stats import ENERGY_TOLERANCE


@dataclass(frozen=True)
class Difference:
    """One value that differs. ``where`` is the mapping, ``level`` and ``dataspace`` are "" for the whole."""

    where: str
    level: str
    dataspace: str
    count: str
    ours: Any
    theirs: Any

    def __str__(self) -> str:
        place = ", ".join(part for part in (self.where, self.level, self.dataspace) if part)
        return f"{place}: {self.count} ours {self.ours!r}, theirs {self.theirs!r}"


Comparison = tuple[bool, Difference]
"""Whether a value agrees, and the difference that it would be."""


def compare(where: str, ours: Stats | Invalid, theirs: Stats | Invalid) -> list[Difference]:
    """Every difference between two answers; two refusals agree when they name a common rule."""
    return [difference for same, difference in comparisons(where, ours, theirs) if not same]


def comparisons(where: str, ours: Stats | Invalid, theirs: Stats | Invalid) -> Iterator[Comparison]:
    """Every value of two answers, as :func:`compare` compares them."""
    if isinstance(ours, Stats) and isinstance(theirs, Stats):
        yield from _stats(where, ours, theirs)
    elif isinstance(ours, Invalid) and isinstance(theirs, Invalid):
        mine, others = ({reason.rule for reason in answer.reasons} for answer in (ours, theirs))
        yield bool(mine & others), Difference(where, "", "", "rule", sorted(mine), sorted(others))
    else:
        yield False, Difference(where, "", "", "valid", verdict(ours), verdict(theirs))


def verdict(answer: Stats | Invalid) -> str:
    """What an answer says of the mapping, in words."""
    return "valid" if isinstance(answer, Stats) else "; ".join(reason.message for reason in answer.reasons)


def _stats(where: str, ours: Stats, theirs: Stats) -> Iterator[Comparison]:
    yield from fields(where, "", "", vars(ours), vars(theirs))
    for name in sorted({*ours.levels, *theirs.levels}):
        if name not in ours.levels or name not in theirs.levels:
            yield False, Difference(where, name, "", "level", name in ours.levels, name in theirs.levels)
            continue
        mine, other = ours.levels[name], theirs.levels[name]
        yield from fields(where, name, "", vars(mine), vars(other))
        for space in sorted({*mine.dataspaces, *other.dataspaces}):
            kept = (space in mine.dataspaces, space in other.dataspaces)
            if not all(kept):
                yield False, Difference(where, name, space, "kept", *kept)
                continue
            yield from fields(where, name, space, vars(mine.dataspaces[space]), vars(other.dataspaces[space]))


def fields(
    where: str, level: str, space: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> Iterator[Comparison]:
    """Plain values under the names of ``ours``."""
    for key, mine in ours.items():
        if not isinstance(mine, Mapping):
            yield agree(mine, theirs[key]), Difference(where, level, space, key, mine, theirs[key])


def agree(mine: Any, other: Any) -> bool:
    """Floats to ENERGY_TOLERANCE, all others exactly; what is no number agrees with itself alone."""
    numbers = all(isinstance(value, int | float) for value in (mine, other))
    if not numbers or not (isinstance(mine, float) or isinstance(other, float)):
        return bool(mine == other)
    return math.isclose(mine, other, rel_tol=ENERGY_TOLERANCE, abs_tol=1e-12)
