"""sweep.html: the Pareto fronts of a sweep as pictures whose points say what they are, and lead to their reports."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from tqhw.sweep.folder import POINTS, write_report
from tqhw.sweep.fronts import ENERGY, Dot, FrontPicture, pictures
from tqhw.sweep.plan import Planner
from tqhw.sweep.store import Store, opened
from tqhw.system.files import write_text
from tqhw.system.progress import Watcher, unwatched
from tqhw.version import __version__

PAGE = "sweep.html"
SHOWN = 4_000
"""Dots in one picture; those on a front are always among them."""
REPORTS = 12
"""Points of a front that a sweep writes reports of by itself."""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 640.0, 400.0, 74.0, 46.0, 12.0
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")


@dataclass(frozen=True)
class _DrawnDot:
    """A dot as it is drawn; ``text`` is what it says."""

    x: float
    y: float
    colour: str
    text: str
    on_front: bool
    link: str | None


def write_page(folder: str | Path, watch: Watcher = unwatched, reports: bool = True, trust: bool = False) -> Path:
    """Writes the page of a sweep; with ``reports``, those of some points of its fronts, too."""
    place = Path(folder)
    with opened(folder) as store:
        drawn = pictures(store)
        if reports:
            _write_reports(place, drawn, watch, trust)
        there = {int(p.parent.name) for p in (place / POINTS).glob("*/report.html") if p.parent.name.isdecimal()}
        text = _html(store, drawn, there)
    write_text(place / PAGE, text)
    return place / PAGE


def _write_reports(folder: Path, drawn: Sequence[FrontPicture], watch: Watcher, trust: bool) -> None:
    wanted = dict.fromkeys(dot.point for picture in drawn for front in picture.fronts for dot in _spread(front))
    numbers = _spread([*wanted])
    if not numbers:
        return
    planner = Planner(None, trust)
    with watch("reports of the fronts", len(numbers)) as tick:
        for number in numbers:
            write_report(folder, number, figures=False, planner=planner)
            tick()


def _spread(items: Sequence[Any]) -> list[Any]:
    """At most :data:`REPORTS` of them, evenly."""
    if len(items) <= REPORTS:
        return [*items]
    return [items[round(i * (len(items) - 1) / (REPORTS - 1))] for i in range(REPORTS)]


def _html(store: Store, drawn: Sequence[FrontPicture], there: set[int]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    reasons = [
        *store.read(
            "SELECT reason, count(*), min(number) FROM points WHERE reason IS NOT NULL GROUP BY reason"
            " ORDER BY 2 DESC, 3 LIMIT 20"
        )
    ]
    varied = [*dict.fromkeys(key for picture in drawn for dot in picture.dots[:1000] for key in dot.settings)]
    return environment.get_template("page.html").render(
        name=str(store.meta("name")),
        version=__version__,
        counts=store.counts(),
        pictures=[_drawn(picture, there) for picture in drawn],
        varied=varied,
        reasons=reasons,
    )


def _drawn(picture: FrontPicture, there: set[int]) -> dict[str, Any]:
    series = {one: _COLOURS[i % len(_COLOURS)] for i, one in enumerate(dict.fromkeys(d.series for d in picture.dots))}
    on_front = picture.on_front
    dots = [*on_front, *_thinned([dot for dot in picture.dots if dot not in on_front], SHOWN - len(on_front))]
    across = _Axis([dot.energy for dot in picture.dots], _LEFT, _WIDTH - 12.0)
    up = _Axis([dot.other for dot in picture.dots], _HEIGHT - _BOTTOM, _TOP)
    marks = [
        _DrawnDot(
            round(across.at(dot.energy), 1),
            round(up.at(dot.other), 1),
            series[dot.series],
            told(dot, picture),
            dot in on_front,
            f"{POINTS}/{dot.point}/report.html" if dot.point in there else None,
        )
        for dot in sorted(dots, key=lambda dot: (dot in on_front, dot.point, dot.series))
    ]
    lines = [
        (series[front[0].series], " ".join(f"{across.at(d.energy):.1f},{up.at(d.other):.1f}" for d in front))
        for front in picture.fronts
        if len(front) > 1
    ]
    rows = [
        (dot, f"{dot.energy:.5g}", f"{dot.other:.5g}", dot.point in there) for front in picture.fronts for dot in front
    ]
    return {
        "label": picture.quantity.label,
        "energy": ENERGY.label,
        "state": picture.state.replace("_", " "),
        "series": [(colour, f"{method}, {bits} bits") for (method, bits), colour in series.items()],
        "marks": marks,
        "lines": lines,
        "across": [*across.ticks()],
        "up": [*up.ticks()],
        "left_out": len(picture.dots) - len(dots),
        "rows": rows,
    }


def told(dot: Dot, picture: FrontPicture) -> str:
    """What a dot says of its point."""
    given = ", ".join(f"{key.rpartition('.')[2]} {json.dumps(value)}" for key, value in dot.settings.items())
    values = f"{dot.energy:.5g} mJ, {picture.quantity.label} {dot.other:.6g}"
    return f"point {dot.point}: {dot.method} at {dot.bits} bits; {given}; {values}"


def _thinned(dots: Sequence[Dot], count: int) -> Iterable[Dot]:
    step = max(1, math.ceil(len(dots) / max(1, count)))
    return dots[::step]


class _Axis:
    """Values to a place between ``start`` and ``end``; by magnitude where they span more than a factor of 20."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = min(values), max(values)
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
            for power in range(math.floor(self.low), math.ceil(self.high) + 1):
                for digit in (1, 2, 5):
                    value = digit * 10.0**power
                    if self.low <= math.log10(value) <= self.high:
                        yield self.at(value), f"{value:g}"
            return
        span = self.high - self.low
        step = next(s for s in _steps(span) if span / s <= 6)
        for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1):
            yield self.at(number * step), f"{number * step:.6g}"


def _steps(span: float) -> Iterator[float]:
    power = math.floor(math.log10(span)) - 1
    while True:
        yield from (digit * 10.0**power for digit in (1, 2, 5))
        power += 1
