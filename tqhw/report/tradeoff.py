"""Accuracy against energy, a point per method and precision."""

from __future__ import annotations

from matplotlib.figure import Figure

from tqhw.report import labels, style
from tqhw.results import AccuracyRow, Results

STEADY = "steady"


def served(results: Results, method: str, bits: int) -> AccuracyRow | None:
    """The measured accuracy of what a method serves: any_precision quantizes anew, every other one truncates."""
    ways = (("dorefa", "requantized"),) if method == "any_precision" else (("truncquant", "shifted"),)
    found = {(row.scheme, row.weights, row.bits): row for row in results.accuracy if row.top1 is not None}
    return next((found[(*way, bits)] for way in ways if (*way, bits) in found), None)


def accuracy_energy(results: Results) -> Figure:
    """Top-1 with its interval by mJ of a steady inference; says where nothing was measured."""
    energies: dict[tuple[str, int], float] = {}
    for row in results.energy:
        if row.state == STEADY:
            energies[row.method, row.bits] = energies.get((row.method, row.bits), 0.0) + row.energy_mj
    figure, (axis,) = style.figure(style.COLUMN, 2.6)
    for method in dict.fromkeys(method for method, _ in energies):
        look = results.method(method)
        points = sorted(
            (bits, energy, row)
            for (name, bits), energy in energies.items()
            for row in [served(results, name, bits)]
            if name == method and row is not None
        )
        for bits, energy, row in points:
            if row.low is not None and row.high is not None:
                axis.plot([energy, energy], [row.low, row.high], color=look.colour, linewidth=0.8, zorder=1)
        if points:
            tops = [row.top1 for _, _, row in points]
            axis.plot([energy for _, energy, _ in points], tops, color=look.colour, **{"marker": "*", **look.style}, label=look.label)
        for bits, energy, row in points if method == next(iter(energies))[0] else ():
            axis.annotate(str(bits), (energy, row.top1), xytext=(4, -8), textcoords="offset points")  # type: ignore[arg-type]
    axis.set_xlabel("Energy of a steady inference (mJ)")
    axis.set_ylabel("Top-1 accuracy (%)")
    axis.set_xlim(left=0)
    if axis.get_legend_handles_labels()[1]:
        axis.margins(y=0.12)
        figure.legend(loc="outside upper center", ncols=2)
    else:
        axis.set_ylim(0, 100)
        axis.text(0.5, 0.5, labels.NOT_MEASURED, transform=axis.transAxes, ha="center", va="center", fontsize=9)
    return figure
