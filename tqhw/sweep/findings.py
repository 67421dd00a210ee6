"""A sweep in words: what was varied, what was found, and the tables of its page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tqhw.report import labels
from tqhw.report.headline import Card
from tqhw.report.labels import number, times
from tqhw.report.sheet import LinkedText
from tqhw.report.table import Table
from tqhw.sweep.effects import QUANTITIES, Effect, spread
from tqhw.sweep.fronts import ENERGY, FINITE, Dot, FrontPicture
from tqhw.sweep.scatter import Look, short

if TYPE_CHECKING:
    from tqhw.sweep.store import Store

_SHOWN = 8  # values of a key that are listed


def best(store: Store, state: str, by: str, more: bool = False) -> tuple[Dot, float] | None:
    """The outcome with least of ``by``, an expression over the columns, and that least."""
    way = "DESC" if more else "ASC"
    row = next(
        iter(
            store.read(
                f"SELECT point, method, bits, energy_mj, {by}, settings FROM outcomes JOIN points ON number = point"
                f" WHERE state = ? AND {FINITE.format(by)} ORDER BY {by} {way}, point, method, bits LIMIT 1",
                (state,),
            )
        ),
        None,
    )
    if row is None:
        return None
    point, method, bits, energy, least, settings = row
    return Dot(point, method, bits, energy, least, json.loads(settings)), least


def cards(store: Store, state: str, look: Look) -> list[Card]:
    """The best of each kind."""
    asked = (
        ("energy_mj", "mJ: the least energy", 1.0),
        ("cycles", "million cycles: the fewest", 1e6),
        ("energy_mj * cycles", "mJ times million cycles: the least product", 1e6),
        ("area_mm2", "mm²: the smallest area", 1.0),
    )
    found = []
    for by, what, unit in asked:
        one = best(store, state, by)
        if one is not None:
            who = _who(one[0], look) + _alike(store, state, by, one[1])
            found.append(Card(number(one[1] / unit), what, who))
    return found


def _alike(store: Store, state: str, by: str, least: float) -> str:
    """How many other outcomes have that least, too."""
    same = store.one(f"SELECT count(*) FROM outcomes WHERE state = ? AND {by} = ?", (state, least))
    return f"; {same - 1:,} more alike" if same > 1 else ""


def _who(dot: Dot, look: Look) -> str:
    return f"point {dot.point}, {look.label(dot.method)} at {labels.bits(dot.bits)}"


def found(store: Store, state: str, look: Look, seen: list[Effect]) -> list[str]:
    """What was found, in sentences."""
    told = []
    for method in look.methods:
        least = _range(store, state, method, look.bits)
        if least:
            told.append(f"{look.label(method)}: " + "; ".join(least) + ".")
    if store.one("SELECT 1 FROM fronts LIMIT 1") is not None:
        told.append(
            "Energy may be had for cycles: every point that was searched for both has a front of its own (fronts.csv); "
            "all else is of the mappings best in the first of the two."
        )
    if store.one("""SELECT 1 FROM searches WHERE answer LIKE '%"whole":%' LIMIT 1""") is not None:
        told.append(
            "Mappings may have remainders: energies and cycles are Timeloop's, which may count other work than there "
            "is; the report of a point says by how much."
        )
    keys = sorted(dict.fromkeys(one.key for one in seen), key=lambda key: -spread(seen, key))
    for key in keys[:3]:
        told.append(_effect(key, [one for one in seen if one.key == key]))
    if keys:
        told.append("Of keys these are geometric means over all points, within each method and precision.")
    return told


def _range(store: Store, state: str, method: str, precisions: Sequence[int]) -> list[str]:
    told = []
    for bits in precisions:
        row = next(
            store.read(
                "SELECT min(energy_mj), max(energy_mj), count(*) FROM outcomes"
                f" WHERE state = ? AND method = ? AND bits = ? AND {FINITE.format('energy_mj')}",
                (state, method, bits),
            )
        )
        if row[2]:
            ends = dict.fromkeys(number(end) for end in row[:2])
            told.append(f"{' to '.join(ends)} mJ at {labels.bits(bits)}")
    return told


def _effect(key: str, values: list[Effect]) -> str:
    word = key.rpartition(".")[2]
    ordered = sorted(values, key=lambda one: one.relative["energy_mj"])
    low, high = ordered[0], ordered[-1]
    factor = high.relative["energy_mj"] / low.relative["energy_mj"]
    if factor < 1.005:
        return f"{word} hardly matters for energy: its values differ by less than 0.5 %."
    told = f"{word}: {low.value} needs least energy, {high.value} {times(factor)} as much"
    cycles = [one for one in values if "cycles" in one.relative]
    if cycles:
        fast, slow = (pick(cycles, key=lambda one: one.relative["cycles"]) for pick in (min, max))
        ratio = slow.relative["cycles"] / fast.relative["cycles"]
        if ratio > 1.005:
            told += f"; {fast.value} is fastest, {slow.value} takes {times(ratio)} the cycles"
    return f"{told}."


def varied(settings: Mapping[str, Mapping[str, int]]) -> Table:
    """Every key with its values. ``settings``: by key, the points of each value."""
    rows = []
    for key, values in settings.items():
        shown = ", ".join([*values][:_SHOWN]) + (f", ... ({len(values)} values)" if len(values) > _SHOWN else "")
        rows.append((key, shown))
    return Table("What was varied", ("Key", "Values"), tuple(rows), labels=2)


def effect_table(seen: Sequence[Effect]) -> Table | None:
    """What each value of each key does."""
    names = [name for name in QUANTITIES if any(name in one.relative for one in seen)]
    rows = tuple(
        (
            one.key,
            one.value,
            str(one.points),
            *(f"{100 * (one.relative[name] - 1):+z.1f}" if name in one.relative else "-" for name in names),
            number(one.least),
        )
        for one in seen
    )
    if not rows:
        return None
    heads = ("Key", "Value", "Points", *(f"{QUANTITIES[name]} in %" for name in names), "Least energy (mJ)")
    note = (
        "Geometric means over the points with this value against those of all points, within each method and "
        "precision. Where points were drawn, or conditions leave some out, values stand among different company."
    )
    breaks = frozenset(i for i in range(1, len(rows)) if rows[i][0] != rows[i - 1][0])
    return Table("What each value does", heads, rows, labels=2, note=note, break_before=breaks)


def front_table(picture: FrontPicture, look: Look, links: Mapping[int, str]) -> Table:
    """The points on the fronts."""
    every = dict.fromkeys(key for front in picture.fronts for dot in front for key in short(dot.settings))
    keys = [key for key in every if key not in ("bits", "methods")]  # of the sweep; the series has its own
    rows = tuple(
        (
            _linked(str(dot.point), links.get(dot.point)),
            look.label(dot.method),
            str(dot.bits),
            *(short(dot.settings).get(key, "") for key in keys),
            number(dot.energy),
            number(dot.other),
        )
        for front in picture.fronts
        for dot in front
    )
    heads = ("Point", "Method", "Bits", *keys, ENERGY.label, picture.quantity.label)
    breaks = frozenset(i for i in range(1, len(rows)) if rows[i][1:3] != rows[i - 1][1:3])
    title = f"Points on the fronts of energy against {picture.quantity.short}"
    return Table(title, heads, rows, labels=3 + len(keys), break_before=breaks)


def _linked(text: str, link: str | None) -> str:
    return text if link is None else LinkedText(text, link)


def reasons(rows: Sequence[tuple[Any, ...]]) -> Table | None:
    """Why points are impossible. ``rows``: reason, how many points, the first of them."""
    if not rows:
        return None
    told = tuple((str(reason), str(first), str(count)) for reason, count, first in rows)
    return Table("Why points are impossible", ("Reason", "The first", "Points"), told, labels=1)
