"""What an evaluation answers: statistics of a valid mapping, or why the mapping is invalid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ENERGY_TOLERANCE = 1e-9
"""Energies that two engines compute in double precision agree to this, relatively; counts and cycles are equal."""


@dataclass(frozen=True)
class DataSpaceStats:
    """One data space at one level. Counts are words per used instance; ``energy_pj`` is of all instances."""

    tile_words: int
    utilized_instances: int
    reads: int
    fills: int
    updates: int
    energy_pj: float


@dataclass(frozen=True)
class LevelStats:
    """One level. ``energy_pj`` is its dynamic energy, ``leakage_pj`` comes on top; ``cycles`` are its own needs."""

    kind: str
    instances: int
    energy_pj: float
    leakage_pj: float
    cycles: int
    utilized_instances: int
    dataspaces: Mapping[str, DataSpaceStats]


@dataclass(frozen=True)
class Stats:
    """A valid mapping's cost. ``energy_pj`` is everything: compute, all levels, leakage."""

    cycles: int
    computes: int
    utilization: float
    energy_pj: float
    levels: Mapping[str, LevelStats]
    valid: bool = True

    def as_json(self) -> dict[str, Any]:
        """The Stats JSON, as `evaluate` and `map` print it (docs/engine.md)."""
        return {
            "valid": True,
            "cycles": self.cycles,
            "computes": self.computes,
            "utilization": self.utilization,
            "energy_pj": self.energy_pj,
            "levels": {
                name: {
                    "kind": level.kind,
                    "instances": level.instances,
                    "energy_pj": level.energy_pj,
                    "leakage_pj": level.leakage_pj,
                    "cycles": level.cycles,
                    "utilized_instances": level.utilized_instances,
                    "dataspaces": {d: vars(s) for d, s in level.dataspaces.items()},
                }
                for name, level in self.levels.items()
            },
        }


def parse_stats(document: Mapping[str, Any], place: str = "statistics") -> Stats:
    """The inverse of :meth:`Stats.as_json`, floats bit by bit. Raises TqhwError for another document."""
    from tqhw.system.json_files import checked

    return checked(Stats, document, place, what="the statistics of a mapping")


@dataclass(frozen=True)
class Reason:
    """Why a mapping does not fit: at ``level`` the ``rule`` bounds ``demand`` by ``bound``.

    ``rule`` is one of target, factors, bypass_all, capacity, fanout; ``search`` where a search found nothing and no
    reason is known.
    """

    level: str
    rule: str
    demand: int
    bound: int
    message: str


@dataclass(frozen=True)
class Invalid:
    """An invalid mapping, with the reasons of the first level that fails (Timeloop's order)."""

    reasons: tuple[Reason, ...]
    valid: bool = False

    def as_json(self) -> dict[str, Any]:
        """The invalid form of the Stats JSON."""
        return {"valid": False, "reasons": [vars(r) for r in self.reasons]}
