"""What each key of a sweep does: how energy, cycles and area change from value to value of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqhw.sweep.store import Store

QUANTITIES = {"energy_mj": "Energy", "cycles": "Cycles", "area_mm2": "Area"}
MANY = 24
"""Keys with more values than these are drawn, not listed: no value of them stands for many points."""
_MOST = 700.0  # of a logarithm of what a double holds
_SERIES = ("bits", "methods")  # compared within, never across


@dataclass(frozen=True)
class Effect:
    """One value of a key. ``relative``: by quantity, the geometric mean over its points through that over all points
    of the same method and precision; ``least``: mJ."""

    key: str
    value: str
    points: int
    relative: Mapping[str, float]
    least: float


@dataclass
class _LogMean:
    logs: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.logs += math.log(value)
        self.count += 1

    @property
    def mean(self) -> float:
        return self.logs / self.count


def effects(store: Store, state: str) -> list[Effect]:
    """Of every key with more than one value and at most :data:`MANY`, in one pass over the outcomes."""
    every: dict[Any, _LogMean] = {}
    by_value: dict[tuple[str, str], dict[Any, _LogMean]] = {}
    least: dict[tuple[str, str], float] = {}
    points: dict[tuple[str, str], int] = {}
    values: dict[str, dict[str, None]] = {}
    query = (
        f"SELECT number, settings, method, bits, {', '.join(QUANTITIES)} FROM outcomes JOIN points ON number = point"
    )
    before, given = None, {}
    for number, text, method, bits, *found in store.read(f"{query} WHERE state = ? ORDER BY number", (state,)):
        if number != before:
            given = {k: _text(v) for k, v in json.loads(text).items() if k not in _SERIES}
            for key, value in given.items():
                known = values.setdefault(key, {})
                if len(known) > MANY:
                    continue
                known[value] = None
                points[key, value] = points.get((key, value), 0) + 1
            before = number
        for name, amount in zip(QUANTITIES, found, strict=True):
            if amount is not None and 0 < amount < math.inf:  # what has a logarithm
                series = (name, method, bits)
                every.setdefault(series, _LogMean()).add(amount)
                for pair in given.items():
                    if len(values[pair[0]]) <= MANY:
                        by_value.setdefault(pair, {}).setdefault(series, _LogMean()).add(amount)
                        if name == "energy_mj":
                            least[pair] = min(amount, least.get(pair, math.inf))
    return [
        Effect(key, value, points[key, value], _relative(by_value[key, value], every), least[key, value])
        for key, known in values.items()
        if 1 < len(known) <= MANY
        for value in sorted(known, key=_rank)
        if (key, value) in least
    ]


def _relative(found: Mapping[Any, _LogMean], every: Mapping[Any, _LogMean]) -> dict[str, float]:
    relative = {}
    for name in QUANTITIES:
        shifts = [one.mean - every[series].mean for series, one in found.items() if series[0] == name]
        if shifts:
            relative[name] = math.exp(min(_MOST, sum(shifts) / len(shifts)))
    return relative


def spread(found: list[Effect], key: str, name: str = "energy_mj") -> float:
    """How many times more the worst value of a key costs than the best."""
    known = [one.relative[name] for one in found if one.key == key and name in one.relative]
    return max(known) / min(known) if known else 1.0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _rank(value: str) -> tuple[int, float, str]:
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value
