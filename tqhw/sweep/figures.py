"""The fronts of a sweep as figures for a paper: one column wide, PNG, SVG and PDF."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tqhw.sweep.fronts import ENERGY, FrontPicture
from tqhw.sweep.scatter import INK, Look, look_of, scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKERS = ("o", "s", "^", "D", "v", "P", "_", "|")


def write(drawn: Sequence[FrontPicture], folder: Path) -> None:
    """``energy_cycles.pdf`` and so on. Raises TqhwError where they cannot be written."""
    from tqhw.report import style
    from tqhw.system.files import write_bytes, write_text

    look = look_of(drawn)
    for picture in drawn:
        name = picture.quantity.name
        made = style.rendered(name, partial(_draw, picture, look))
        write_bytes(folder / f"{name}.png", made.png)
        write_text(folder / f"{name}.svg", made.svg)
        write_bytes(folder / f"{name}.pdf", made.pdf)


def _draw(picture: FrontPicture, look: Look) -> Figure:
    from matplotlib.lines import Line2D

    from tqhw.report import labels, style

    figure, (axis,) = style.figure(style.COLUMN, 2.9)
    on_front, (divisor, label_up) = picture.on_front, scale(picture)
    inks = {method: labels.BLACK if look.colour(method) == INK else look.colour(method) for method in look.methods}
    markers = {bits: _MARKERS[number % len(_MARKERS)] for number, bits in enumerate(look.bits)}
    for method, colour in inks.items():
        for bits, marker in markers.items():
            dots = [dot for dot in picture.dots if dot.series == (method, bits)]
            rest = [dot for dot in dots if dot not in on_front]
            across, up = [d.energy for d in rest], [d.other / divisor for d in rest]
            axis.scatter(across, up, s=7, facecolors="none", edgecolors=colour, marker=marker, linewidths=0.4)
            best = sorted((dot for dot in dots if dot in on_front), key=lambda dot: dot.energy)
            across, up = [d.energy for d in best], [d.other / divisor for d in best]
            axis.plot(across, up, color=colour, marker=marker, markersize=3, linewidth=0.7)
    axis.set_xlabel(ENERGY.label)
    axis.set_ylabel(label_up)
    axis.grid(axis="both")
    keys = [Line2D([], [], color=colour, label=look.label(method)) for method, colour in inks.items()]
    keys += [Line2D([], [], color=labels.GREY, marker=m, linewidth=0, label=labels.bits(b)) for b, m in markers.items()]
    figure.legend(handles=keys, loc="outside upper center", ncols=4)
    return figure
