"""All figures of a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from tqhw.errors import TqhwError, shown, unknown
from tqhw.registry import Registry
from tqhw.report.figure_files import FigureFiles, KeptFigures
from tqhw.results import ACCURACY, Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    """How a figure is drawn, where the results have ``rows`` of that name. ``caption``: a text, or made of the results.

    ``draw``: a function, or its name as ``package.module:function``, which is imported when figures are drawn, and
    before a run works for them.
    ``of_run``: it also takes the folder of the run, None where there is none.
    """

    rows: str
    caption: str | Callable[[Results], str]
    draw: str | Callable[..., Figure]
    of_run: bool = False


def _metric(results: Results) -> str:
    return "Top-1 accuracy" if results.metric.name == ACCURACY else results.metric.title


_OURS = {
    "energy": FigureKind(
        "energy",
        "Energy of one inference and of what comes before it, by state, precision, method and component group. "
        "Every panel has a scale of its own.",
        "tqhw.report.bars:energy",
    ),
    "accuracy": FigureKind(
        "experiment",
        lambda results: (
            f"{_metric(results)} of the integer codes truncated to each precision (solid) and of the real weights "
            "quantized anew (dashed). The QT gap is what truncation loses against quantizing anew."
        ),
        "tqhw.report.lines:accuracy",
    ),
    "amortised": FigureKind(
        "amortised",
        "Energy per inference when a switch of the precision is followed by so many inferences.",
        "tqhw.report.lines:amortised",
    ),
    "traffic": FigureKind(
        "traffic",
        "DRAM traffic of one inference and of what comes before it, by state, precision, method and data space. "
        "Every panel has a scale of its own.",
        "tqhw.report.bars:traffic",
    ),
    "accuracy_energy": FigureKind(
        "accuracy",
        lambda results: (
            f"{_metric(results)}, with its 95 % interval, against the energy of a steady inference; the numbers at "
            f"the first method's points are bits. {'Down' if results.metric.lower_is_better else 'Up'} and to the "
            "left is better."
        ),
        "tqhw.report.tradeoff:accuracy_energy",
    ),
    "layers": FigureKind(
        "layers",
        "Energy of one inference by layer and component group, all occurrences of a layer together, at the "
        "lowest and the highest precision. Every panel has a scale of its own.",
        "tqhw.report.layer_figures:layer_energy",
    ),
    "roofline": FigureKind(
        "layers",
        "Roofline: multiply-accumulates a cycle against those per byte that crosses the DRAM's interface, a mark "
        "per layer and precision. The flat roof is the array; a slope is the DRAM's bandwidth, where the "
        "architecture gives one.",
        "tqhw.report.layer_figures:roofline",
        of_run=True,
    ),
    "fronts": FigureKind(
        "fronts",
        "Energy against cycles of one inference: the network's front, a mapping for each occurrence of a layer. "
        "What lies above and to the right of a staircase is worse than one of its points in both.",
        "tqhw.report.front_figure:of_network",
    ),
}
FIGURES: Registry[FigureKind] = Registry("figure", "tqhw.figures", _OURS)


def pictures(results: Results, run: Path | None = None, cache: bool = False) -> tuple[Picture, ...]:
    """Every figure that the results have rows for; that of the accuracies always, it says if there are none.

    ``run``: the folder with the architectures of the results. ``cache``: figures of ours that an earlier run drew are
    taken, and kept for later ones. Raises what :func:`check` raises.
    """
    check()
    kept = KeptFigures(results, run) if cache else None
    found = []
    for name, kind in FIGURES.items():
        if getattr(results, kind.rows):
            draw = partial(_drawn, name, kind, results, run)
            made = draw() if kept is None or kind is not _OURS.get(name) else kept.taken(name, draw)
            caption = kind.caption if isinstance(kind.caption, str) else kind.caption(results)
            found.append(Picture(name, caption, made.png, made.svg, made.pdf))
    return tuple(found)


def check() -> None:
    """Raises TqhwError for a figure of others of unknown rows, or whose ``draw`` names no function."""
    for name, kind in FIGURES.items():
        if kind is _OURS.get(name):
            continue
        place = f"figure '{name}'"
        rows = [field.name for field in fields(Results)]
        if kind.rows not in rows:
            raise unknown("list of the results", kind.rows, rows, place)
        try:
            if not callable(_function(kind)):
                raise TypeError("it is no function")
        except Exception as error:
            raise TqhwError(
                f"its draw {shown(kind.draw)} cannot be had: {error!r}",
                place=place,
                lever="give a function, or its name as 'package.module:function'",
            ) from error


def _function(kind: FigureKind) -> Callable[..., Figure]:
    return resolve_name(kind.draw) if isinstance(kind.draw, str) else kind.draw


def _drawn(name: str, kind: FigureKind, results: Results, run: Path | None) -> FigureFiles:
    from tqhw.report import style  # loads matplotlib

    return style.rendered(name, partial(_figure, kind, results, run))


def _figure(kind: FigureKind, results: Results, run: Path | None) -> Figure:
    return _function(kind)(results, *((run,) if kind.of_run else ()))
