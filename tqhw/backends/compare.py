"""Two engines' answers about one mapping, field by field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tqhw.spec import Invalid, Stats

ENERGY_TOLERANCE = 1e-9  # relative; counts and cycles must be equal


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


def compare(where: str, ours: Stats | Invalid, theirs: Stats | Invalid) -> list[Difference]:
    """Every difference between two answers; two refusals agree when they name a common rule."""
    if isinstance(ours, Stats) and isinstance(theirs, Stats):
        return list(_stats(where, ours, theirs))
    if isinstance(ours, Invalid) and isinstance(theirs, Invalid):
        mine, others = ({reason.rule for reason in answer.reasons} for answer in (ours, theirs))
        return [] if mine & others else [Difference(where, "", "", "rule", sorted(mine), sorted(others))]
    return [Difference(where, "", "", "valid", verdict(ours), verdict(theirs))]


def verdict(answer: Stats | Invalid) -> str:
    """What an answer says of the mapping, in words."""
    return "valid" if isinstance(answer, Stats) else "; ".join(reason.message for reason in answer.reasons)


def _stats(where: str, ours: Stats, theirs: Stats) -> Iterator[Difference]:
    yield from fields(where, "", "", vars(ours), vars(theirs))
    for name in sorted({*ours.levels, *theirs.levels}):
        if name not in ours.levels or name not in theirs.levels:
            yield Difference(where, name, "", "level", name in ours.levels, name in theirs.levels)
            continue
        mine, other = ours.levels[name], theirs.levels[name]
        yield from fields(where, name, "", vars(mine), vars(other))
        for space in sorted({*mine.dataspaces, *other.dataspaces}):
            kept = (space in mine.dataspaces, space in other.dataspaces)
            if not all(kept):
                yield Difference(where, name, space, "kept", *kept)
                continue
            yield from fields(where, name, space, vars(mine.dataspaces[space]), vars(other.dataspaces[space]))


def fields(
    where: str, level: str, space: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> Iterator[Difference]:
    """Differences of plain values under the names of ``ours``: floats to 1e-9, all others must be equal."""
    for key, mine in ours.items():
        other = theirs[key]
        if isinstance(mine, Mapping):
            continue
        if isinstance(mine, float) or isinstance(other, float):
            if not math.isclose(mine, other, rel_tol=ENERGY_TOLERANCE, abs_tol=1e-12):
                yield Difference(where, level, space, key, mine, other)
        elif mine != other:
            yield Difference(where, level, space, key, mine, other)
