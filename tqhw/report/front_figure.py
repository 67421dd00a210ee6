"""Pareto fronts as stairs: what one objective costs in the other, and where better ones may still be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from tqhw.report import labels, style

AXES = {"energy": "Energy (pJ)", "latency": "Latency (cycles)", "edp": "Energy-delay product (pJ cycles)"}
COLOURS = (labels.BLUE, labels.VERMILION, labels.GREEN, labels.PURPLE, labels.ORANGE, labels.SKY, labels.GREY)
FEW = 60
"""Points that are marked each; the stairs of more are a line."""

Values = Sequence[tuple[float, ...]]


def fronts(names: Sequence[str], curves: Mapping[str, Values], regions: Mapping[str, Values]) -> Figure:
    """Two objectives, the first along X: a staircase per front, dominated values above it.

    ``names``: of the objectives. ``regions``: by the same names as the fronts, the corners at or above which better
    mappings may be, drawn as a dotted line below which there are none.
    """
    figure, (axis,) = style.figure(style.COLUMN, 2.6)
    for (name, values), colour in zip(curves.items(), COLOURS * len(curves), strict=False):
        x, y = [value[0] for value in values], [value[1] for value in values]
        marker = "o" if len(values) <= FEW else None
        axis.plot(x, y, color=colour, drawstyle="steps-post", marker=marker, label=name, zorder=2)
        corners = regions.get(name, ())
        if corners:
            _open(axis, corners, (max(x), max(y)), colour)
    axis.set_xlabel(AXES.get(names[0], names[0]))
    axis.set_ylabel(AXES.get(names[1], names[1]))
    axis.margins(0.08)
    if len(curves) > 1 or any(regions.values()):
        figure.legend(loc="outside upper center", ncols=2)
    return figure


def _open(axis: Any, corners: Values, end: tuple[float, float], colour: str) -> None:
    x, y = [corner[0] for corner in corners], [corner[1] for corner in corners]
    along, up = [x[0], *x, max(end[0], x[-1])], [max(end[1], y[0]), *y, y[-1]]
    axis.plot(along, up, color=colour, drawstyle="steps-post", linestyle=":", label="proved bound", zorder=1)


def front_files(names: Sequence[str], curves: Mapping[str, Values], regions: Mapping[str, Values]) -> style.FigureFiles:
    """The picture in all formats."""
    return style.rendered("front", partial(fronts, names, curves, regions))
