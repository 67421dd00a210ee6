"""Pareto fronts of a sweep: of two quantities, which points no other one beats in both."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tqhw.results import STATES, MetricLook

if TYPE_CHECKING:
    from tqhw.sweep.store import Store


@dataclass(frozen=True)
class Quantity:
    """A column of the outcomes as an axis. ``more``: whether more of it is better. ``metric``: of networks that were
    measured by this one alone; such scores stand against each other across precisions, as top-1 does."""

    column: str
    label: str
    more: bool = False
    metric: str | None = None

    @property
    def across(self) -> bool:
        """Whether precisions stand against each other."""
        return self.more or self.metric is not None


ENERGY = Quantity("energy_mj", "Energy (mJ)")
AGAINST = (
    Quantity("cycles", "Cycles of an inference"),
    Quantity("area_mm2", "Area (mm²)"),
    Quantity("dram_bits", "DRAM traffic (bits)"),
    Quantity("top1", "Top-1 (%)", more=True),
)


@dataclass(frozen=True, eq=False)
class Dot:
    """A point of a sweep in one picture."""

    point: int
    method: str
    bits: int
    energy: float
    other: float
    settings: dict[str, Any]

    @property
    def series(self) -> tuple[str, int]:
        return self.method, self.bits


@dataclass(frozen=True)
class FrontPicture:
    """Energy against another quantity, in one state. ``fronts``: by series; of accuracies, one across precisions."""

    quantity: Quantity
    state: str
    dots: tuple[Dot, ...]
    fronts: tuple[tuple[Dot, ...], ...]

    @property
    def on_front(self) -> frozenset[Dot]:
        return frozenset(dot for front in self.fronts for dot in front)


def pictures(store: Store) -> list[FrontPicture]:
    """A picture for every quantity that varies over the points."""
    states = [state for (state,) in store.read("SELECT DISTINCT state FROM outcomes")]
    state = next((state for state in reversed(STATES) if state in states), "")
    metrics = store.read(
        "SELECT DISTINCT metric, lower_is_better FROM outcomes WHERE metric IS NOT NULL ORDER BY metric"
    )
    scores = [_score(name, bool(lower)) for name, lower in metrics]
    found = []
    for quantity in (*AGAINST, *scores):
        dots = tuple(
            Dot(point, method, bits, energy, other, json.loads(settings))
            for point, method, bits, energy, other, settings in store.read(
                f"SELECT point, method, bits, energy_mj, {quantity.column}, settings FROM outcomes"
                f" JOIN points ON number = point WHERE state = ?1 AND {quantity.column} IS NOT NULL"
                " AND (?2 IS NULL OR metric = ?2) ORDER BY point, method, bits",
                (state, quantity.metric),
            )
        )
        if len({dot.other for dot in dots}) > 1:
            found.append(FrontPicture(quantity, state, dots, tuple(_fronts(dots, quantity))))
    return found


def _score(name: str, lower_is_better: bool) -> Quantity:
    look = MetricLook(name, "", lower_is_better)
    return Quantity("score", look.axis, more=not lower_is_better, metric=name)


def _fronts(dots: Sequence[Dot], quantity: Quantity) -> Iterable[tuple[Dot, ...]]:
    if quantity.across:  # with accuracies, precisions stand against each other
        yield front(dots, more=quantity.more)
        return
    series: dict[tuple[str, int], list[Dot]] = {}
    for dot in dots:
        series.setdefault(dot.series, []).append(dot)
    for members in series.values():
        yield front(members)


def front(dots: Sequence[Dot], more: bool = False) -> tuple[Dot, ...]:
    """The dots that no other one beats in both, by energy; of equal ones the first."""
    sign = -1.0 if more else 1.0
    found, best = [], math.inf
    for dot in sorted(dots, key=lambda dot: (dot.energy, sign * dot.other, dot.point)):
        if sign * dot.other < best:
            best = sign * dot.other
            found.append(dot)
    return tuple(found)
