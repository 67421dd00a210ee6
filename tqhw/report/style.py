"""The look of the figures, and their bytes: the same for the same results, on any machine."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tqhw.report.figure_files import FigureFiles

COLUMN = 3.5
"""Inches: one column of a two-column paper."""
PAGE = 7.16
"""Inches: both columns."""

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 1.5,
    "legend.columnspacing": 1.0,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "hatch.linewidth": 0.5,
    "text.parse_math": False,  # names of strangers are no formulas
    "svg.fonttype": "path",
    "pdf.fonttype": 42,  # TrueType, embedded: what venues ask for
    "savefig.dpi": 300,
    "figure.dpi": 100,
}


@contextmanager
def style() -> Iterator[None]:
    """Our settings on matplotlib's defaults, whatever the user's own are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def figure(width: float, height: float, rows: int = 1, columns: int = 1, **kwargs: Any) -> tuple[Figure, list[Any]]:
    """A figure of so many inches and its axes, row by row."""
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    axes = made.subplots(rows, columns, squeeze=False, **kwargs)
    return made, [axis for row in axes for axis in row]


def rendered(name: str, draw: Callable[[], Figure]) -> FigureFiles:
    """What ``draw`` makes. ``name`` keeps the ids of several SVGs in one page apart."""
    with style():
        matplotlib.rcParams["svg.hashsalt"] = name
        made = draw()
        made.draw_without_rendering()
        made.set_layout_engine("none")  # laid out once, so that all formats have everything at the same place
        png, svg, pdf = io.BytesIO(), io.StringIO(), io.BytesIO()
        # What savefig does, without the drawing that it starts with for the sake of a layout.
        FigureCanvasPdf(made).print_pdf(pdf, metadata={"CreationDate": None, "Creator": "tqhw", "Producer": None})  # type: ignore[no-untyped-call]
        made.dpi = matplotlib.rcParams["savefig.dpi"]
        FigureCanvasAgg(made).print_png(png, metadata={"Software": None})  # type: ignore[no-untyped-call]
        FigureCanvasSVG(made).print_svg(svg, metadata={"Date": None, "Creator": "tqhw"})  # type: ignore[no-untyped-call]
    return FigureFiles(png.getvalue(), svg.getvalue(), pdf.getvalue())
