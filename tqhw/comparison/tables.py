"""Comparisons as tables, for the terminal, the page and spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tqhw.comparison.quantities import NumberDifference, Side, differences, inputs
from tqhw.report.labels import STATES, number, times
from tqhw.report.table import Table, groups
from tqhw.results import INFERRED, TRAINED

KINDS = {
    "energy": "Energy",
    "levels": "Energy of one inference by memory level",
    "traffic": "DRAM traffic",
    "cycles": "Cycles",
    "fronts": "Pareto front",
    "area": "Area",
    "storage": "Storage",
    "accuracy": "Accuracy",
}

_PARTED = ("energy", "traffic", "area")  # whose last word is a part, or "all" of them


def tables(sides: Sequence[Side], everything: bool = False) -> list[Table]:
    """What differs in the inputs, then the numbers of the network and of its layers, with ratios to the first side.

    ``everything``: numbers that are alike, too.
    """
    found = [_inputs(sides)]
    rows = differences(sides)
    for of_layers in (False, True):
        for kind, title in KINDS.items():
            own = [row for row in rows if row.kind == kind and bool(row.layer) == of_layers]
            for unit in dict.fromkeys(row.unit for row in own):  # metrics have units of their own
                chosen = [row for row in own if row.unit == unit]
                found.append(_numbers(sides, f"{title}, per layer" if of_layers else title, chosen, everything))
    return found


def totals(sides: Sequence[Side], everything: bool = False) -> list[Table]:
    """What differs in the inputs, and the whole network's totals in one table: energy, cycles, area, traffic and so on.

    ``everything``: numbers that are alike, too, and those that stand on one side alone.
    """
    rows = [row for row in differences(sides) if _is_total(row)]
    names, called = [side.name for side in sides], _called(sides)
    shown = [row for row in rows if everything or (not row.same and None not in row.values)]
    kinds = [*KINDS]
    shown.sort(key=lambda row: kinds.index(row.kind))
    lines = tuple(
        (
            _titled(KINDS[row.kind], row.unit),
            _of(row, called).removesuffix(", all"),
            *(_number(value) for value in row.values),
            *("-" if value is None else times(value) for value in row.ratios),
        )
        for row in shown
    )
    alike, alone = sum(row.same for row in rows), sum(None in row.values for row in rows)
    told = [f"{alike} more are alike"] if alike and not everything else []
    told += [f"{alone} stand on one side alone"] if alone and not everything else []
    heads = ("Total", "Of", *names, *(f"{name} / {names[0]}" for name in names[1:]))
    note = f"{'; '.join(told)}." if told else ""
    return [_inputs(sides), Table("Totals", heads, lines, labels=2, note=note, break_before=groups(lines))]


def csv_text(sides: Sequence[Side]) -> str:
    """Every number of every side as CSV, alike or not; inputs that differ first."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    names = [side.name for side in sides]
    writer.writerow(["kind", "layer", "of", "unit", *names, *(f"{name} / {names[0]}" for name in names[1:])])
    for key, values in inputs(sides):
        writer.writerow(["input", "", key, "", *map(_text, values), *[""] * (len(sides) - 1)])
    for row in differences(sides):
        cells = ["" if value is None else value for value in (*row.values, *row.ratios)]
        writer.writerow([row.kind, row.layer, ", ".join(filter(None, row.of)), row.unit, *cells])
    return stream.getvalue()


def _inputs(sides: Sequence[Side]) -> Table:
    rows = tuple((key, *map(_text, values)) for key, values in inputs(sides))
    names = tuple(side.name for side in sides)
    note = "" if rows else "The experiments are alike."
    return Table("What differs in the inputs", ("Key", *names), rows, labels=1 + len(sides), note=note)


def _numbers(sides: Sequence[Side], title: str, found: Sequence[NumberDifference], everything: bool) -> Table:
    names, called = [side.name for side in sides], _called(sides)
    shown = [row for row in found if everything or not row.same]
    rows = tuple(
        (
            *((row.layer,) if row.layer else ()),
            _of(row, called),
            *(_number(value) for value in row.values),
            *(_number(value) for value in row.ratios),
        )
        for row in shown
    )
    alike = len(found) - len(shown)
    layer = ("Layer",) if found[0].layer else ()
    return Table(
        _titled(title, found[0].unit),
        (*layer, "Of", *names, *(f"{name} / {names[0]}" for name in names[1:])),
        rows,
        labels=1 + len(layer),
        note=(f"{alike} more are alike." if rows else f"All {alike} are alike.") if alike else "",
    )


def _titled(title: str, unit: str) -> str:
    return f"{title} ({unit})" if unit else title


def _is_total(row: NumberDifference) -> bool:
    """Whether it is one of the network as a whole, and no part of another one."""
    return not row.layer and row.kind != "levels" and (row.kind not in _PARTED or row.of[-1] == "all")


def _called(sides: Sequence[Side]) -> dict[str, str]:
    return TRAINED | INFERRED | STATES | {m.name: m.label for side in sides for m in side.results.methods}


def _of(row: NumberDifference, called: Mapping[str, str]) -> str:
    return ", ".join(called.get(word, word) for word in row.of if word)


def _number(value: float | None) -> str:
    return "-" if value is None else number(value)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
