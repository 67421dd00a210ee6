"""Line figures: accuracy by precision with the gap of truncation, and the cost of a switch spread over inferences."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from tqhw.report import labels, style
from tqhw.report.listings import accuracies, floating, precisions, quantized
from tqhw.results import Results

GAP_WORTH_MARKING = 1.0  # percentage points
_HALF_A_COLUMN = 30  # characters of a legend, roughly


def accuracy(results: Results) -> Figure:
    """Top-1, or the metric, by precision: a line per scheme and way to get the weights; says if there is none."""
    bits, lines = precisions(results), accuracies(results)
    figure, (axis,) = style.figure(style.COLUMN, 2.5)
    ends = _ends(results)
    spare = iter(labels.SPARE_COLOURS * len(lines))
    colours = {s: labels.SCHEME_COLOURS.get(s) or next(spare) for s in dict.fromkeys(key[0] for key in lines)}
    for (scheme, weights), line in lines.items():
        alike = lines.get((scheme, "requantized")) == lines.get((scheme, "shifted"))
        if alike and weights == "requantized":
            continue  # one line for both, or the lower one could not be seen
        found = [(b, value) for b, value in line.items() if value is not None]
        missing = [b for b in bits if line[b] is None]
        label = labels.series(scheme, weights) + (" or re-quantized" if alike else "")
        if missing:
            label += f" ({labels.NOT_MEASURED}{'' if not found else ' at ' + ', '.join(map(str, missing))})"
        anew = weights == "requantized"
        _bars(axis, ends.get((scheme, weights), {}), colours[scheme])
        axis.plot(
            [b for b, _ in found],
            [value for _, value in found],
            color=colours[scheme],
            linestyle="--" if anew else "-",
            marker="D" if anew else "o",
            markerfacecolor="white" if anew else colours[scheme],
            label=label,
            zorder=2 if anew else 3,
        )
    _level(axis, results)
    axis.set_xlabel("Weight precision (bits)")
    axis.set_ylabel(results.metric.axis)
    axis.set_xticks(bits)
    axis.set_xlim(bits[0] - 0.4, bits[-1] + 0.4)
    measured = [value for line in lines.values() for value in line.values() if value is not None]
    measured += [end for line in ends.values() for pair in line.values() for end in pair]
    if measured and results.metric.unit == "%":
        low = min(measured)
        axis.set_ylim(max(0.0, low - 0.12 * (100 - low) - 1), 100.5 if max(measured) > 99 else 100)
        _mark_gap(axis, lines, bits)
    elif measured:
        axis.margins(y=0.12)
    else:
        axis.set_ylim(0, 100)
        axis.text(0.5, 0.5, labels.NOT_MEASURED, transform=axis.transAxes, ha="center", va="center", fontsize=9)
    _, names = axis.get_legend_handles_labels()
    two = len(names) > 1 and max(map(len, names)) <= _HALF_A_COLUMN
    figure.legend(loc="outside upper center", ncols=2 if two else 1)
    return figure


def _ends(results: Results) -> dict[tuple[str, str], dict[int, tuple[float, float]]]:
    """The intervals of every line by precision."""
    found: dict[tuple[str, str], dict[int, tuple[float, float]]] = {}
    for row in quantized(results):
        if row.low is not None and row.high is not None:
            found.setdefault((row.scheme, row.weights), {})[row.bits] = row.low, row.high
    return found


def _bars(axis: Any, ends: dict[int, tuple[float, float]], colour: str) -> None:
    for b, (low, high) in ends.items():
        axis.plot([b, b], [low, high], color=colour, linewidth=0.8, marker="_", markersize=4, zorder=1)


def _level(axis: Any, results: Results) -> None:
    """The network that was never quantized: a line across, with its interval as a band."""
    for row in floating(results):
        if row.measured is None:
            continue
        if row.low is not None and row.high is not None:
            axis.axhspan(row.low, row.high, color=labels.GREY, alpha=0.2, linewidth=0, zorder=0)
        axis.axhline(row.measured, color=labels.BLACK, linestyle=":", linewidth=0.9, label=labels.FP32, zorder=1)


def _mark_gap(axis: Any, lines: dict[tuple[str, str], dict[int, float | None]], bits: tuple[int, ...]) -> None:
    """An arrow over the largest loss from truncating instead of quantizing anew."""
    gaps = []
    for (scheme, weights), line in lines.items():
        anew = lines.get((scheme, "requantized"), {})
        for b in bits:
            high, low = anew.get(b), line[b]
            if weights == "shifted" and high is not None and low is not None:
                gaps.append((high - low, b, high, low))
    if not gaps or max(gaps)[0] < GAP_WORTH_MARKING:
        return
    gap, b, high, low = max(gaps)
    axis.annotate(
        "", (b, low), (b, high), arrowprops={"arrowstyle": "<->", "linewidth": 0.8, "shrinkA": 3, "shrinkB": 3}
    )
    side = 1 if b - bits[0] <= bits[-1] - b else -1
    axis.annotate(
        f"QT gap {gap:.1f} points",
        (b, low),  # the line rises steeply from here, so there is room beside the point
        xytext=(7 * side, 0),
        textcoords="offset points",
        ha="left" if side > 0 else "right",
        va="center",
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )


def amortised(results: Results) -> Figure:
    """mJ per inference by inferences per switch, a panel per precision; fixed, at its own, in all of them."""
    bits = sorted({row.bits for row in results.amortised if results.method(row.method).switches})
    bits = bits or sorted({row.bits for row in results.amortised})
    methods = list(dict.fromkeys(row.method for row in results.amortised))
    columns = min(2, len(bits))
    rows = -(-len(bits) // columns)
    figure, axes = style.figure(style.COLUMN, 0.6 + 1.35 * rows, rows, columns, sharex=True, sharey=True)
    for axis, b in zip(axes, bits, strict=False):
        for method in map(results.method, methods):
            mine = [r for r in results.amortised if r.method == method.name]
            found = [r for r in mine if r.bits == b or not method.switches]
            if found:
                axis.plot(
                    [r.inferences for r in found],
                    [r.energy_mj for r in found],
                    color=method.colour,
                    **method.style,
                    label=method.label if method.switches else f"{method.label}, {labels.bits(found[0].bits)}",
                )
        axis.set_title(labels.bits(b))
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(10))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes[0].update_datalim([(results.amortised[0].inferences, 0)], updatex=False)
    axes[0].autoscale_view(scalex=False)  # from 0, so that the margin above is one of all that is shown
    axes[0].set_ylim(bottom=0)
    for axis in axes[len(bits) :]:
        axis.set_visible(False)
    for axis in axes[max(0, len(bits) - columns) : len(bits)]:
        axis.tick_params(axis="x", labelbottom=True)
    figure.supxlabel("Inferences per switch", fontsize=7)
    figure.supylabel("Energy per inference (mJ)", fontsize=7)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=min(4, len(names)))
    return figure
