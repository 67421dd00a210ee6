"""A small picture for every key of a sweep: its values across, energy, cycles and area up, on one scale for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tqhw.report import labels
from tqhw.sweep.effects import QUANTITIES, Effect
from tqhw.sweep.scatter import SHAPES, Axis

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 230.0, 150.0, 40.0, 22.0, 10.0, 14.0
COLOURS = {"energy_mj": labels.BLUE, "cycles": labels.VERMILION, "area_mm2": labels.GREEN}
SHAPE_OF = {"energy_mj": "circle", "cycles": "square", "area_mm2": "triangle"}
_LABELS = 5
_LONGEST = 9


@dataclass(frozen=True)
class PanelLine:
    """One quantity: where its marks are, and what they say."""

    name: str
    colour: str
    path: str
    marks: tuple[tuple[float, float, str], ...]

    @property
    def points(self) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in self.marks)


@dataclass(frozen=True)
class Panel:
    """One key."""

    key: str
    lines: tuple[PanelLine, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]

    @property
    def word(self) -> str:
        return self.key.rpartition(".")[2]


def panels(seen: Sequence[Effect]) -> list[Panel]:
    """Changes in percent of the mean over all points, the same scale everywhere."""
    changes = [100 * (value - 1) for one in seen for value in one.relative.values()]
    if not changes:
        return []
    up = Axis([*changes, 0.0], HEIGHT - BOTTOM, TOP)
    up.log = False
    keys = [*dict.fromkeys(one.key for one in seen)]
    return [_panel(key, [one for one in seen if one.key == key], up) for key in keys]


def _panel(key: str, values: Sequence[Effect], up: Axis) -> Panel:
    step = (WIDTH - LEFT - RIGHT) / max(1, len(values) - 1)
    places = [LEFT + number * step for number in range(len(values))]
    lines = []
    for name, label in QUANTITIES.items():
        marks = tuple(
            (round(x, 1), round(up.at(change), 1), f"{key} {one.value}: {label.lower()} {change:+z.1f} %")
            for x, one in zip(places, values, strict=True)
            if name in one.relative
            for change in [100 * (one.relative[name] - 1)]
        )
        if marks:
            lines.append(PanelLine(label, COLOURS[name], SHAPES[SHAPE_OF[name]], marks))
    every = max(1, -(-len(values) // _LABELS))
    across = tuple((x, _cut(one.value)) for x, one in [*zip(places, values, strict=True)][::every])
    return Panel(key, tuple(lines), across, tuple(up.ticks()))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
