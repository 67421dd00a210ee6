"""Stacked bars: energy by component group and DRAM traffic by data space, per state, precision and method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tqhw.report import labels, style
from tqhw.results import QUANTIZER, Results

_BAR, _GAP = 0.78, 0.9  # width of a bar, space between two precisions; the bars stand 1 apart
_INCHES_PER_BAR, _MARGIN = 0.155, 0.75


@dataclass(frozen=True)
class _Bars:
    """``values``: (state, bits, method) -> part -> height."""

    values: Mapping[tuple[str, int, str], Mapping[str, float]]
    colours: Mapping[str, str]
    quantity: str
    unit: str
    estimates: frozenset[str] = frozenset()

    def ordered(self, position: int) -> list[str]:
        return list(dict.fromkeys(str(key[position]) for key in self.values))


def energy(results: Results) -> Figure:
    """mJ by component group."""
    values: dict[tuple[str, int, str], dict[str, float]] = {}
    for row in results.energy:
        values.setdefault((row.state, row.bits, row.method), {})[row.component] = row.energy_mj
    return _draw(_Bars(values, labels.COMPONENT_COLOURS, "Energy", "mJ", frozenset({QUANTIZER})), results)


def traffic(results: Results) -> Figure:
    """Bits over the DRAM's interface by data space."""
    values: dict[tuple[str, int, str], dict[str, float]] = {}
    for row in results.traffic:
        values.setdefault((row.state, row.bits, row.method), {})[row.dataspace] = float(row.dram_bits)
    divisor, unit = labels.scaled(max((sum(v.values()) for v in values.values()), default=0.0), "bit")
    for parts in values.values():
        parts.update({name: bits / divisor for name, bits in parts.items()})
    return _draw(_Bars(values, labels.DATA_SPACE_COLOURS, "DRAM traffic", unit), results)


def _draw(bars: _Bars, results: Results) -> Figure:
    states, methods = bars.ordered(0), bars.ordered(2)
    precisions = sorted({key[1] for key in bars.values})
    slots = [[m for m in methods if any((s, b, m) in bars.values for s in states)] for b in precisions]
    positions, x = [], 0.0
    for slot in slots:
        positions.append([x + i for i in range(len(slot))])
        x += len(slot) + _GAP
    width = max(style.COLUMN, _MARGIN + _INCHES_PER_BAR * (x - _GAP))
    figure, axes = style.figure(width, 0.95 + 1.2 * len(states), rows=len(states), sharex=True)
    for axis, state in zip(axes, states, strict=True):
        for slot, places, bits in zip(slots, positions, precisions, strict=True):
            for method, place in zip(slot, places, strict=True):
                _stack(axis, place, bars.values.get((state, bits, method), {}), bars)
        axis.set_title(labels.STATES.get(state, state).capitalize())
        axis.set_ylabel(f"{bars.quantity} ({bars.unit})")
        axis.set_ylim(bottom=0)
        axis.tick_params(axis="x", length=0)
        for before, after in pairwise(positions):
            axis.axvline((before[-1] + after[0]) / 2, color="#bbbbbb", linewidth=0.5)
    figure.align_ylabels()
    last = axes[-1]
    names = [results.method(m).label for slot in slots for m in slot]
    last.set_xticks([p for places in positions for p in places], names, rotation=90)
    last.set_xlim(positions[0][0] - 0.8, positions[-1][-1] + 0.8)
    _precisions_below(figure, last, positions, precisions)
    parts = [p for p in bars.colours if any(v.get(p) for v in bars.values.values())]
    parts += [p for p in dict.fromkeys(q for v in bars.values.values() for q in v) if p not in bars.colours]
    figure.legend(handles=[_key(p, bars) for p in parts], loc="outside upper center", ncols=min(4, len(parts)))
    return figure


def _stack(axis: Any, place: float, parts: Mapping[str, float], bars: _Bars) -> None:
    bottom = 0.0
    for part in sorted(parts, key=lambda p: _rank(p, bars)):
        axis.bar(place, parts[part], _BAR, bottom, **_look(part, bars))
        bottom += parts[part]


def _rank(part: str, bars: _Bars) -> int:
    known = list(bars.colours)
    return known.index(part) if part in known else len(known)


def _look(part: str, bars: _Bars) -> dict[str, Any]:
    hatch = "//////" if part in bars.estimates else None
    colour = bars.colours.get(part, labels.GREY)
    return {"facecolor": colour, "linewidth": 0, "hatch": hatch, "hatchcolor": "white"}


def _key(part: str, bars: _Bars) -> Patch:
    return Patch(label=f"{part} (estimate)" if part in bars.estimates else part, **_look(part, bars))


def _precisions_below(
    figure: Figure, axis: Any, positions: Sequence[Sequence[float]], precisions: Sequence[int]
) -> None:
    """The precision of each group, below the longest of the methods' names."""
    tallest = max(t.get_window_extent().height for t in axis.get_xticklabels())
    for places, bits in zip(positions, precisions, strict=True):
        axis.annotate(
            labels.bits(bits),
            ((places[0] + places[-1]) / 2, 0),
            xycoords=("data", "axes fraction"),
            xytext=(0, -(tallest * 72 / figure.dpi + 7)),
            textcoords="offset points",
            ha="center",
            va="top",
            fontweight="bold",
        )
