"""Accuracy against energy, a point per method and precision."""

from __future__ import annotations

from matplotlib.figure import Figure

from tqhw.report import labels, style
from tqhw.results import AccuracyRow, Results

STEADY = "steady"


def served(results: Results, method: str, bits: int) -> AccuracyRow | None:
    """The measured accuracy of what a method serves: any_precision quantizes anew, every other one truncates."""
    way = ("dorefa", "requantized") if method == "any_precision" else ("truncquant", "shifted")
    found = (row for row in results.accuracy if (row.scheme, row.weights, row.bits) == (*way, bits))
    return next((row for row in found if row.measured is not None), None)


def _steady(results: Results) -> dict[tuple[str, int], float]:
    """mJ of a steady inference by method and bits."""
    energies: dict[tuple[str, int], float] = {}
    for row in results.energy:
        if row.state == STEADY:
            energies[row.method, row.bits] = energies.get((row.method, row.bits), 0.0) + row.energy_mj
    return energies


def accuracy_energy(results: Results) -> Figure:
    """Top-1, or the metric, with its interval by mJ of a steady inference; says where nothing was measured."""
    figure, (axis,) = style.figure(style.COLUMN, 2.6)
    energies = _steady(results)
    methods = list(dict.fromkeys(method for method, _ in energies))
    for method in methods:
        look = results.method(method)
        points = [
            (energy, row)
            for (name, bits), energy in sorted(energies.items())
            for row in [served(results, name, bits)]
            if name == method and row is not None
        ]
        for energy, row in points:
            if row.low is not None and row.high is not None:
                axis.plot([energy, energy], [row.low, row.high], color=look.colour, linewidth=0.8, zorder=1)
            if method == methods[0]:
                axis.annotate(str(row.bits), (energy, row.measured), xytext=(4, -8), textcoords="offset points")
        if points:
            x, y = [energy for energy, _ in points], [row.measured for _, row in points]
            axis.plot(x, y, color=look.colour, label=look.label, **{"marker": "*", **look.style})
    axis.set_xlabel("Energy of a steady inference (mJ)")
    axis.set_ylabel(results.metric.axis)
    axis.set_xlim(left=0)
    if axis.get_legend_handles_labels()[1]:
        axis.margins(y=0.12)
        figure.legend(loc="outside upper center", ncols=2)
    else:
        axis.set_ylim(0, 100)
        axis.text(0.5, 0.5, labels.NOT_MEASURED, transform=axis.transAxes, ha="center", va="center", fontsize=9)
    return figure
