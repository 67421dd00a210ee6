"""Figures with a mark per layer: energy by component group, and the roofline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from tqhw.report import labels, style
from tqhw.report.listings import evaluation, precisions
from tqhw.results import COMPONENTS, LayerEvaluation, LayerRow, Results

MOST_LAYERS = 40
_NAME = 26  # characters of a layer's name
_MARKS = ("o", "s", "D", "^", "v", "P", "X", "*")
_COLOURS = (labels.VERMILION, labels.BLUE, labels.GREEN, labels.PURPLE, labels.ORANGE, labels.SKY, labels.GREY)


def layer_energy(results: Results) -> Figure:
    """uJ of one inference by layer, all its occurrences together: at the lowest and at the highest precision."""
    bits = tuple(dict.fromkeys((precisions(results)[0], precisions(results)[-1])))
    rows = [row for row in results.layers if evaluation(row, bits[-1])]
    named = _largest(rows, bits[-1])
    lines = [(_name(row), [row]) for row in rows if row in named]
    if len(rows) > len(named):
        others = [row for row in rows if row not in named]
        lines.append((f"{len(others)} others", others))
    figure, axes = style.figure(style.PAGE, 0.75 + 0.155 * max(3, len(lines)), 1, len(bits), sharey=True)
    for axis, b in zip(axes, bits, strict=True):
        _bars(axis, lines, b)
        axis.set_title(labels.bits(b))
        axis.set_xlabel("Energy (uJ)")
        axis.grid(True, axis="x")
        axis.grid(False, axis="y")
        axis.set_xlim(left=0)
    axes[0].set_yticks(range(len(lines)), [name for name, _ in lines])
    axes[0].set_ylim(len(lines) - 0.4, -0.6)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=4)
    return figure


def _largest(rows: list[LayerRow], bits: int) -> list[LayerRow]:
    return sorted(rows, key=lambda row: -_energy(row, bits, COMPONENTS))[:MOST_LAYERS]


def _energy(row: LayerRow, bits: int, groups: tuple[str, ...]) -> float:
    found = evaluation(row, bits)
    return 0.0 if found is None else row.count * sum(found.components.get(group, 0.0) for group in groups) / 1e6


def _bars(axis: Any, lines: list[tuple[str, list[LayerRow]]], bits: int) -> None:
    left = [0.0] * len(lines)
    for group in COMPONENTS:
        values = [sum(_energy(row, bits, (group,)) for row in rows) for _, rows in lines]
        if any(values):
            colour = labels.COMPONENT_COLOURS[group]
            axis.barh(range(len(lines)), values, 0.75, left, color=colour, linewidth=0, label=group)
        left = [before + value for before, value in zip(left, values, strict=True)]


def _name(row: LayerRow) -> str:
    name = row.name if len(row.name) <= _NAME else f"{row.name[: _NAME // 2 - 1]}…{row.name[-_NAME // 2 :]}"
    return f"{name} ×{row.count}" if row.count > 1 else name


def roofline(results: Results, run: Path | None = None) -> Figure:
    """Multiply-accumulates a cycle by multiply-accumulates per byte of DRAM traffic, a mark per layer and precision.

    The roofs are the array's multipliers and, where an architecture in the folder of the ``run`` says it, the bandwidth
    of the DRAM; without one, the figure says so.
    """
    figure, (axis,) = style.figure(style.COLUMN, 2.7)
    peaks: set[float] = set()
    slopes: set[float] = set()
    for number, bits in enumerate(precisions(results)):
        found = [(row, one) for row in results.layers for one in [evaluation(row, bits)] if one is not None]
        found = [(row, one) for row, one in found if one.cycles and sum(one.dram_bits.values())]
        peaks |= {round(row.macs / one.cycles / one.utilization, 6) for row, one in found if one.utilization}
        if run is not None:
            slopes |= {slope for file in {one.files for _, one in found} for slope in _slope(run / file)}
        axis.scatter(
            [row.macs / _bytes(one) for row, one in found],
            [row.macs / one.cycles for row, one in found],
            s=14,
            marker=_MARKS[number % len(_MARKS)],
            facecolor="none",
            edgecolor=_COLOURS[number % len(_COLOURS)],
            linewidth=0.9,
            label=labels.bits(bits),
            zorder=3,
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    _roofs(axis, sorted(peaks), sorted(slopes))
    axis.set_xlabel("MACs per byte of DRAM traffic")
    axis.set_ylabel("MACs per cycle")
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        one.set_minor_formatter(NullFormatter())
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def _bytes(one: LayerEvaluation) -> float:
    return sum(one.dram_bits.values()) / 8


def _slope(folder: Path) -> list[float]:
    """Bytes a cycle of the DRAM in that rendering; nothing where there is no limit or no rendering."""
    from tqhw.report.drawings import ARCHITECTURE, dram_bits_per_cycle, hardware_of

    if not (folder / ARCHITECTURE).is_file():
        return []
    found = dram_bits_per_cycle(hardware_of(folder))
    return [] if found is None else [found / 8]


def _roofs(axis: Any, peaks: list[float], slopes: list[float]) -> None:
    if not peaks:
        return
    low, high = axis.get_xlim()
    low = min([low, *(peaks[0] / slope / 2 for slope in slopes)])
    high = max([high, *(peaks[-1] / slope * 4 for slope in slopes)])
    for peak in peaks:
        axis.axhline(peak, color=labels.BLACK, linewidth=0.9, zorder=2)
    note = f"{labels.number(peaks[-1])} MACs per cycle"
    axis.annotate(note, (1, peaks[-1]), xycoords=("axes fraction", "data"), xytext=(0, 2), textcoords="offset points",
                  ha="right", va="bottom")  # fmt: skip
    for slope in slopes:
        axis.plot([low, peaks[-1] / slope], [low * slope, peaks[-1]], color=labels.BLACK, linewidth=0.9, zorder=2)
    told = f"DRAM: {' and '.join(map(labels.number, slopes))} bytes per cycle" if slopes else "DRAM: no bandwidth given"
    axis.set_title(told, fontweight="normal")
    axis.set_xlim(low, high)
    axis.set_ylim(top=peaks[-1] * 2.2)
