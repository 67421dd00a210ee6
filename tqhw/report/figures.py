"""All figures of a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from tqhw.registry import Registry
from tqhw.report import bars, layer_figures, lines, style, tradeoff
from tqhw.results import Results


@dataclass(frozen=True)
class Picture:
    """A figure in all formats. ``name`` is the file's, without its ending."""

    name: str
    caption: str
    png: bytes
    svg: str
    pdf: bytes = b""


@dataclass(frozen=True)
class FigureKind:
    """How a figure is drawn, where the results have ``rows`` of that name.

    ``of_run``: ``draw`` also takes the folder of the run, None where there is none.
    """

    rows: str
    caption: str
    draw: Callable[..., Figure]
    of_run: bool = False


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
        "accuracy_energy": FigureKind(
            "accuracy",
            "Top-1 accuracy, with its 95 % interval, against the energy of a steady inference; the numbers at the "
            "first method's points are bits. Up and to the left is better.",
            tradeoff.accuracy_energy,
        ),
        "layers": FigureKind(
            "layers",
            "Energy of one inference by layer and component group, all occurrences of a layer together, at the "
            "lowest and the highest precision. Every panel has a scale of its own.",
            layer_figures.layer_energy,
        ),
        "roofline": FigureKind(
            "layers",
            "Roofline: multiply-accumulates a cycle against those per byte that crosses the DRAM's interface, a mark "
            "per layer and precision. The flat roof is the array; a slope is the DRAM's bandwidth, where the "
            "architecture gives one.",
            layer_figures.roofline,
            of_run=True,
        ),
    },
)


def pictures(results: Results, run: Path | None = None) -> tuple[Picture, ...]:
    """Every figure that the results have rows for; that of the accuracies always, it says if there are none.

    ``run``: the folder with the architectures of the results.
    """
    return tuple(
        Picture(name, kind.caption, made.png, made.svg, made.pdf)
        for name, kind in FIGURES.items()
        if getattr(results, kind.rows)
        for made in [style.rendered(name, partial(kind.draw, results, *((run,) if kind.of_run else ())))]
    )
