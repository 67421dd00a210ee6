"""All figures of a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from tqhw.registry import Registry
from tqhw.report import bars, lines, style
from tqhw.results import Results


@dataclass(frozen=True)
class Picture:
    """A figure in both formats. ``name`` is the file's, without its ending."""

    name: str
    caption: str
    png: bytes
    svg: str


@dataclass(frozen=True)
class FigureKind:
    """How a figure is drawn, where the results have ``rows`` of that name."""

    rows: str
    caption: str
    draw: Callable[[Results], Figure]


FIGURES: Registry[FigureKind] = Registry(
    "figure",
    "tqhw.figures",
    {
        "energy": FigureKind(
            "energy",
            "Energy of one inference and of what comes before it, by state, precision, method and component group. "
            "Every panel has a scale of its own.",
            bars.energy,
        ),
        "accuracy": FigureKind(
            "experiment",
            "Top-1 accuracy of the integer codes truncated to each precision (solid) and of the real weights quantized "
            "anew (dashed). The QT gap is what truncation loses against quantizing anew.",
            lines.accuracy,
        ),
        "amortised": FigureKind(
            "amortised",
            "Energy per inference when a switch of the precision is followed by so many inferences.",
            lines.amortised,
        ),
        "traffic": FigureKind(
            "traffic",
            "DRAM traffic of one inference and of what comes before it, by state, precision, method and data space. "
            "Every panel has a scale of its own.",
            bars.traffic,
        ),
    },
)


def pictures(results: Results) -> tuple[Picture, ...]:
    """Every figure that the results have rows for; that of the accuracies always, it says if there are none."""
    return tuple(
        Picture(name, kind.caption, *style.rendered(name, lambda kind=kind: kind.draw(results)))  # type: ignore[misc]
        for name, kind in FIGURES.items()
        if getattr(results, kind.rows)
    )
