"""A picture of a sweep as SVG that belongs to a page: colours by method, shapes by precision."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tqhw.report import labels
from tqhw.report.labels import number
from tqhw.scenario import METHODS
from tqhw.sweep.fronts import ENERGY, Dot, FrontPicture

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640.0, 400.0, 78.0, 46.0, 12.0, 12.0
SHAPES = {
    "circle": "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z",
    "square": "M-3.6,-3.6H3.6V3.6H-3.6Z",
    "triangle": "M0,-4.6L4.4,3.4H-4.4Z",
    "diamond": "M0,-5L5,0L0,5L-5,0Z",
    "down": "M0,4.6L4.4,-3.4H-4.4Z",
    "cross": "M-1.5,-4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5V-1.5H-1.5Z",
    "flat": "M-5,-2.4H5V2.4H-5Z",
    "tall": "M-2.4,-5H2.4V5H-2.4Z",
}
INK = "currentColor"
_DECADES = 6  # with all of their round values on an axis


@dataclass(frozen=True)
class Look:
    """How the series of a sweep are drawn. ``methods`` and ``bits``: in the order of their keys."""

    methods: tuple[str, ...]
    bits: tuple[int, ...]

    def label(self, method: str) -> str:
        return METHODS[method].label if method in METHODS else method

    def colour(self, method: str) -> str:
        """Okabe and Ito's colours; black is the page's own ink, which is light on dark paper."""
        spare = labels.SPARE_COLOURS[self.methods.index(method) % len(labels.SPARE_COLOURS)]
        found = METHODS[method].colour if method in METHODS else spare
        return INK if found == labels.BLACK else found

    def shape(self, bits: int) -> str:
        return [*SHAPES][self.bits.index(bits) % len(SHAPES)]

    def path(self, bits: int) -> str:
        return SHAPES[self.shape(bits)]


def look_of(pictures: Sequence[FrontPicture]) -> Look:
    """The look that all pictures of a page share."""
    series = {dot.series for picture in pictures for dot in picture.dots}
    known = [*METHODS]
    methods = sorted({method for method, _ in series}, key=lambda m: (known.index(m) if m in known else 99, m))
    return Look(tuple(methods), tuple(sorted({bits for _, bits in series})))


@dataclass(frozen=True)
class DrawnDot:
    """A dot as it is drawn; ``text`` is what it says."""

    x: float
    y: float
    dot: Dot
    text: str
    on_front: bool
    link: str | None


@dataclass(frozen=True)
class Scatter:
    """What a template draws of a picture."""

    picture: FrontPicture
    marks: tuple[DrawnDot, ...]
    lines: tuple[tuple[Dot, str], ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    unit: str

    @property
    def title(self) -> str:
        return f"{ENERGY.label} against {self.picture.quantity.label}"

    @property
    def left_out(self) -> int:
        return self.picture.total - len(self.picture.dots)


def scatter(picture: FrontPicture, look: Look, links: dict[int, str]) -> Scatter:
    """``links``: where the reports of points are."""
    divisor, unit = scale(picture)
    across = Axis([dot.energy for dot in picture.dots], LEFT, WIDTH - RIGHT)
    up = Axis([dot.other / divisor for dot in picture.dots], HEIGHT - BOTTOM, TOP)
    on_front = picture.on_front
    marks = tuple(
        DrawnDot(
            round(across.at(dot.energy), 1),
            round(up.at(dot.other / divisor), 1),
            dot,
            told(dot, picture, look),
            dot in on_front,
            links.get(dot.point),
        )
        for dot in sorted(picture.dots, key=lambda dot: (dot in on_front, dot.point, dot.series))
    )
    lines = tuple(
        (front[0], " ".join(f"{across.at(d.energy):.1f},{up.at(d.other / divisor):.1f}" for d in front))
        for front in picture.fronts
        if len(front) > 1
    )
    return Scatter(picture, marks, lines, (*across.ticks(),), (*up.ticks(),), unit)


def scale(picture: FrontPicture) -> tuple[float, str]:
    """What values are divided by, and the label of their axis."""
    quantity = picture.quantity
    if not quantity.counted:
        return 1.0, quantity.label
    divisor, unit = labels.scaled(max(dot.other for dot in picture.dots), quantity.counted)
    name = quantity.label.partition(" (")[0]
    return divisor, f"{name} ({unit})" if unit != "cycles" else name


def told(dot: Dot, picture: FrontPicture, look: Look) -> str:
    """What a dot says of its point."""
    given = ", ".join(f"{key} {value}" for key, value in short(dot.settings).items())
    values = f"{dot.energy:.5g} mJ, {picture.quantity.label} {number(dot.other)}"
    return f"point {dot.point}: {look.label(dot.method)} at {labels.bits(dot.bits)}; {given}; {values}"


def short(settings: dict[str, Any]) -> dict[str, str]:
    """Settings by the last word of their keys, where that is one key's alone."""
    words = [key.rpartition(".")[2] for key in settings]
    return {
        word if words.count(word) == 1 else key: value if isinstance(value, str) else json.dumps(value)
        for (key, value), word in zip(settings.items(), words, strict=True)
    }


class Axis:
    """Values to a place between ``start`` and ``end``; by magnitude where they span more than a factor of 20."""

    def __init__(self, values: Iterable[float], start: float, end: float) -> None:
        found = [*values]
        low, high = min(found), max(found)
        self.log = low > 0 and high / low > 20
        self.low, self.high = (math.log10(low), math.log10(high)) if self.log else (low, high)
        margin = (self.high - self.low or abs(self.high) or 1.0) * 0.04
        self.low, self.high, self.start, self.end = self.low - margin, self.high + margin, start, end

    def at(self, value: float) -> float:
        placed = math.log10(value) if self.log else value
        return self.start + (placed - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Round values with their places."""
        if self.log:
            every = math.ceil((self.high - self.low) / _DECADES)
            for power in range(math.floor(self.low / every) * every, math.ceil(self.high) + 1, every):
                for digit in (1, 2, 5) if every == 1 else (1,):
                    value = float(f"{digit}e{power}")
                    if 0.0 < value < math.inf and self.low <= math.log10(value) <= self.high:
                        yield self.at(value), f"{value:g}"
            return
        span = self.high - self.low
        step = next(s for s in _steps(span) if span / s <= 6)
        for position in range(math.ceil(self.low / step), math.floor(self.high / step) + 1):
            yield self.at(position * step), f"{position * step:z.6g}"


def _steps(span: float) -> Iterator[float]:
    power = math.floor(math.log10(span)) - 1
    while True:
        yield from (digit * 10.0**power for digit in (1, 2, 5))
        power += 1
