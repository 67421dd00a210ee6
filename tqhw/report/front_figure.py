"""Pareto fronts as stairs: what one objective costs in the other, and where better ones may still be."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tqhw.report import labels, style
from tqhw.report.figure_files import FigureFiles
from tqhw.results import Results

AXES = {"energy": "Energy (pJ)", "latency": "Latency (cycles)", "edp": "Energy-delay product (pJ cycles)"}
FEW = 60
"""Points that are marked each; the stairs of more are a line."""

Values = Sequence[tuple[float, ...]]


def front(names: Sequence[str], values: Values, corners: Values) -> Figure:
    """Two objectives, the first along X, as a staircase; what lies above it is dominated.

    ``names``: of the objectives. ``corners``: better mappings may be at or above one of these; below the dotted line
    that they make there are none.
    """
    figure, (axis,) = style.figure(style.COLUMN, 2.6)
    _stairs(axis, values)
    if corners:
        x, y = [corner[0] for corner in corners], [corner[1] for corner in corners]
        along = [x[0], *x, max(values[-1][0], x[-1])]
        up = [max(values[0][1], y[0]), *y, y[-1]]
        axis.plot(
            along, up, color=labels.GREY, drawstyle="steps-post", linestyle=":", label="no mapping is below", zorder=1
        )
        figure.legend(loc="outside upper center")
    axis.set_xlabel(AXES.get(names[0], names[0]))
    axis.set_ylabel(AXES.get(names[1], names[1]))
    return figure


def _stairs(axis: Any, values: Values) -> None:
    marker = "o" if len(values) <= FEW else None
    x, y = [value[0] for value in values], [value[1] for value in values]
    axis.plot(x, y, color=labels.BLUE, drawstyle="steps-post", marker=marker, zorder=2)
    axis.margins(0.08)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def of_network(results: Results) -> Figure:
    """The network's front, a panel for each precision: mJ along X, cycles up."""
    found: dict[int, list[tuple[float, ...]]] = {}
    for row in results.fronts:
        found.setdefault(row.bits, []).append((row.energy_mj, float(row.cycles)))
    columns = min(2, len(found))
    rows = -(-len(found) // columns)
    figure, axes = style.figure(style.COLUMN, 0.4 + 1.5 * rows, rows, columns, sharey=True)
    for axis, (bits, values) in zip(axes, found.items(), strict=False):
        _stairs(axis, values)
        axis.set_title(labels.bits(bits))
        axis.xaxis.set_major_locator(MaxNLocator(3))
        axis.ticklabel_format(axis="x", useOffset=False)
    for axis in axes[len(found) :]:
        axis.set_visible(False)
    figure.supxlabel("Energy of an inference (mJ)", fontsize=7)
    figure.supylabel("Cycles of an inference", fontsize=7)
    return figure


def front_files(names: Sequence[str], values: Values, corners: Values) -> FigureFiles:
    """The picture of :func:`front` in all formats."""
    return style.rendered("front", partial(front, names, values, corners))
