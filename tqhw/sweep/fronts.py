"""Pareto fronts of a sweep: of two quantities, which points no other one beats in both."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tqhw.results import STATES, MetricLook

if TYPE_CHECKING:
    from tqhw.sweep.store import Store


INFERENCE = "inference"
"""Stands for the method of a point on a network's own front, which is of one inference by whichever method."""
OUTCOMES = "outcomes"
_TABLES = {
    OUTCOMES: "(SELECT * FROM outcomes WHERE state = ?1)",
    "fronts": f"(SELECT *, '{INFERENCE}' AS method, NULL AS metric FROM fronts)",
}


@dataclass(frozen=True)
class Quantity:
    """A column of the outcomes as an axis. ``more``: whether more of it is better; ``counted``: the unit of what has
    many digits and takes a prefix. ``metric``: of networks that were measured by this one alone; such scores stand
    against each other across precisions, as top-1 does. ``table``: where rows of it are."""

    column: str
    label: str
    more: bool = False
    counted: str = ""
    metric: str | None = None
    table: str = OUTCOMES

    @property
    def across(self) -> bool:
        """Whether precisions stand against each other."""
        return self.more or self.metric is not None

    @property
    def name(self) -> str:
        """Of its figure's file."""
        return f"energy_{self.metric or self.column}" + ("" if self.table == OUTCOMES else f"_{self.table}")

    @property
    def short(self) -> str:
        """Its name without the unit, in a sentence."""
        name = self.label.partition(" (")[0]
        return name if name.startswith(("DRAM", "Top")) else name[0].lower() + name[1:]


FINITE = "({0} BETWEEN -1e300 AND 1e300)"
"""Of SQL: whether a column holds a number that can be drawn, and compared with others."""
SHOWN = 4_000
"""Dots in one picture; those on a front are always among them."""
_Plain = tuple[Any, ...]
ENERGY = Quantity("energy_mj", "Energy (mJ)")
AGAINST = (
    Quantity("cycles", "Cycles of an inference", counted="cycles"),
    Quantity("area_mm2", "Area (mm²)"),
    Quantity("dram_bits", "DRAM traffic (bits)", counted="bit"),
    Quantity("top1", "Top-1 (%)", more=True),
    Quantity("cycles", "Cycles of an inference by any mapping", counted="cycles", table="fronts"),
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
    """Energy against another quantity, in one state ("": of an inference alone).

    ``fronts``: by series; of accuracies, one across precisions.
    ``dots``: those of the fronts, and of ``total`` others as many as a picture shows.
    """

    quantity: Quantity
    state: str
    dots: tuple[Dot, ...]
    fronts: tuple[tuple[Dot, ...], ...]
    total: int

    @property
    def on_front(self) -> frozenset[Dot]:
        return frozenset(dot for front in self.fronts for dot in front)


def state_of(store: Store) -> str:
    """The state that pictures show: the last of the sweep's."""
    states = [state for (state,) in store.read("SELECT DISTINCT state FROM outcomes")]
    return next((state for state in reversed(STATES) if state in states), "")


def pictures(store: Store) -> list[FrontPicture]:
    """A picture for every quantity that varies over the points."""
    state = state_of(store)
    query = "SELECT DISTINCT metric, lower_is_better FROM outcomes WHERE metric IS NOT NULL ORDER BY metric"
    scores = [_score(name, bool(lower)) for name, lower in store.read(query)]
    found = [_picture(store, quantity, state) for quantity in (*AGAINST, *scores)]
    return [picture for picture in found if picture is not None]


def _score(name: str, lower_is_better: bool) -> Quantity:
    look = MetricLook(name, "", lower_is_better)
    return Quantity("score", look.axis, more=not lower_is_better, metric=name)


def _picture(store: Store, quantity: Quantity, state: str) -> FrontPicture | None:
    """Reads the outcomes by rising energy and keeps what is drawn: memory does not grow with the points."""
    finite = " AND ".join(FINITE.format(column) for column in ("energy_mj", quantity.column))
    having = f"FROM {_TABLES[quantity.table]} WHERE {finite} AND (?2 IS NULL OR metric = ?2)"
    asked = (state, quantity.metric)
    total, values = next(store.read(f"SELECT count(*), count(DISTINCT {quantity.column}) {having}", asked))
    if values < 2:
        return None
    step = math.ceil(total / SHOWN)
    fronts: dict[tuple[str, int] | None, list[_Plain]] = {}
    others: list[_Plain] = []
    order = f"ORDER BY energy_mj, {quantity.column} {'DESC' if quantity.more else 'ASC'}, point"
    for number, row in enumerate(
        store.read(f"SELECT point, method, bits, energy_mj, {quantity.column} {having} {order}", asked)
    ):
        members = fronts.setdefault(None if quantity.across else (row[1], row[2]), [])
        if not members or (row[4] > members[-1][4] if quantity.more else row[4] < members[-1][4]):
            members.append(row)
        elif number % step == 0 or number == total - 1:
            others.append(row)
    settings = _settings(store, {row[0] for rows in (*fronts.values(), others) for row in rows})
    drawn = [tuple(_dot(row, settings[row[0]]) for row in fronts[key]) for key in sorted(fronts, key=str)]
    rest = tuple(_dot(row, settings[row[0]]) for row in others)
    told = state if quantity.table == OUTCOMES else ""
    return FrontPicture(quantity, told, (*rest, *(dot for front in drawn for dot in front)), tuple(drawn), total)


def _dot(row: _Plain, settings: dict[str, Any]) -> Dot:
    point, method, bits, energy, other = row
    return Dot(point, method, bits, energy, other, settings)


def _settings(store: Store, points: set[int]) -> dict[int, dict[str, Any]]:
    found = {}
    for number in points:
        found[number] = json.loads(store.one("SELECT settings FROM points WHERE number = ?", (number,)))
    return found


def front(dots: Sequence[Dot], more: bool = False) -> tuple[Dot, ...]:
    """The dots that no other one beats in both, by energy; of equal ones the first."""
    sign = -1.0 if more else 1.0
    found, best = [], math.inf
    for dot in sorted(dots, key=lambda dot: (dot.energy, sign * dot.other, dot.point)):
        if sign * dot.other < best:
            best = sign * dot.other
            found.append(dot)
    return tuple(found)
