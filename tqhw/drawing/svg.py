"""A small SVG writer: every text is escaped, colours follow the reader's light or dark scheme, nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

LINE = 17
"""Pixels from one line of text to the next."""
_MONO, _BOLD = 7.3, 8.0  # widths of a character, on the safe side: nobody can measure text here

# Okabe and Ito's palette, which colour-blind readers can tell apart; dark ink reads well on all of them.
_PALETTE = ("#56b4e9", "#e69f00", "#4cc9a0", "#cc79a7", "#f0e442", "#d0d7de")

# Plain rules in place of variables, which not every viewer knows.
_STYLE = """\
.tq-paper{fill:#fff}.tq-box{fill:#f5f7f9;stroke:#8a949e}.tq-frame{fill:#fff;stroke:#8a949e;stroke-dasharray:5 3}
.tq-ink{fill:#1d2733}.tq-soft{fill:#55606c}.tq-dark{fill:#1d2733}.tq-line{stroke:#8a949e}
.tq-mono{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.tq-bold{font:600 13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
@media (prefers-color-scheme:dark){.tq-paper,.tq-frame{fill:#14181d}.tq-box{fill:#20272e}
.tq-ink{fill:#e6eaee}.tq-soft{fill:#a9b3bd}.tq-box,.tq-frame,.tq-line{stroke:#6d7883}}
"""


USUAL = ("Weights", "Inputs", "Outputs")
"""The data spaces of an architecture that names none; they have the first colours, so that pictures are alike."""


def ordered(spaces: Iterable[str]) -> tuple[str, ...]:
    """Data spaces, the usual ones first."""
    found = dict.fromkeys(spaces)
    return (*(name for name in USUAL if name in found), *(name for name in found if name not in USUAL))


def colour(space: str, spaces: Sequence[str]) -> str:
    """The colour of a data space, by its place among all."""
    return _PALETTE[min(spaces.index(space), len(_PALETTE) - 1)]


def mono_width(text: str) -> float:
    """Pixels that a line of the small, even font takes."""
    return _MONO * len(text)


def bold_width(text: str) -> float:
    """Pixels that a line of the bold font takes."""
    return _BOLD * len(text)


def chip_width(text: str) -> float:
    """Pixels that a chip takes, with the gap to the next one."""
    return mono_width(text) + 18


class Canvas:
    """Collects shapes. Coordinates in pixels, from the upper left corner; a text stands on its ``y``."""

    def __init__(self) -> None:
        self._shapes: list[str] = []

    def rect(self, x: float, y: float, width: float, height: float, kind: str, radius: float = 5) -> None:
        """A rectangle in the style ``kind``: box, frame or paper."""
        size = f'width="{width:g}" height="{height:g}" rx="{radius:g}"'
        self._shapes.append(f'<rect class="tq-{kind}" x="{x:g}" y="{y:g}" {size}/>')

    def line(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self._shapes.append(f'<line class="tq-line" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>')

    def text(self, x: float, y: float, text: str, *kinds: str) -> None:
        """A text in the styles ``kinds``, of ink, soft and dark, mono and bold."""
        classes = " ".join(f"tq-{kind}" for kind in kinds)
        self._shapes.append(f'<text class="{classes}" x="{x:g}" y="{y:g}" xml:space="preserve">{_plain(text)}</text>')

    def chip(self, x: float, y: float, text: str, fill: str, whole: bool = True) -> float:
        """A text on a colour, or within a line of it where not ``whole``; returns where the next one starts."""
        width = mono_width(text) + 12
        look = f'fill="{fill}"' if whole else f'fill="none" stroke="{fill}" stroke-width="1.5" stroke-dasharray="4 2"'
        self._shapes.append(f'<rect x="{x:g}" y="{y - 13:g}" width="{width:g}" height="18" rx="9" {look}/>')
        self.text(x + 6, y, text, "dark" if whole else "ink", "mono")
        return x + chip_width(text)

    def svg(self, width: float, height: float, title: str) -> str:
        """The whole picture, on a ground of its own."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" role="img" aria-label="{_plain(title)}">'
        )
        ground = f'<rect class="tq-paper" width="{width:g}" height="{height:g}"/>'
        return "\n".join([head, f"<style>{_STYLE}</style>", ground, *self._shapes, "</svg>"]) + "\n"


def _plain(text: str) -> str:
    """Escaped, and without the control characters that XML has no way to hold."""
    return escape("".join(c if c >= " " else " " for c in text))
