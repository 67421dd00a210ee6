"""sweep.html: a sweep in words, its fronts as pictures whose points lead to their reports, and what each key does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqhw.report import sheet
from tqhw.sweep import figures, findings, panels, scatter
from tqhw.sweep.effects import effects
from tqhw.sweep.folder import write_report
from tqhw.sweep.fronts import FrontPicture, pictures, state_of
from tqhw.sweep.plan import Planner
from tqhw.sweep.runner import POINTS, reports_in
from tqhw.sweep.scatter import scatter as drawn_scatter
from tqhw.sweep.store import Store, opened
from tqhw.system.files import write_text
from tqhw.system.progress import Watcher, unwatched
from tqhw.version import __version__

PAGE = "sweep.html"
REPORTS = 12
"""Points of a front that a sweep writes reports of by itself."""
_REASONS = """SELECT reason, count(*), min(number) FROM points WHERE reason IS NOT NULL GROUP BY reason
ORDER BY 2 DESC, 3 LIMIT 20"""
_MANY = 1_000
"""Values of a key that are counted."""


def write_page(folder: str | Path, watch: Watcher = unwatched, reports: bool = True, trust: bool = False) -> Path:
    """Writes the page of a sweep and its figures; with ``reports``, those of some points of its fronts, too."""
    place = Path(folder)
    with opened(folder) as store:
        drawn = pictures(store)
        if reports:
            _write_reports(place, drawn, watch, trust)
            figures.write(drawn, place / "figures")
        text = _html(store, drawn, {*reports_in(place / POINTS)})
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
    state, look = state_of(store), scatter.look_of(drawn)
    links = {point: f"{POINTS}/{point}/report.html" for point in there}
    seen = effects(store, state)
    return sheet.page(
        Path(__file__).parent,
        name=str(store.meta("name")),
        version=__version__,
        counts=store.counts(),
        state=state.replace("_", " "),
        look=look,
        found=findings.found(store, state, look, seen),
        cards=findings.cards(store, state, look),
        varied=findings.varied(_values(store)),
        pictures=[(drawn_scatter(one, look, links), findings.front_table(one, look, links)) for one in drawn],
        frame=scatter,
        small=panels,
        panels=panels.panels(seen),
        effects=findings.effect_table(seen),
        reasons=findings.reasons([*store.read(_REASONS)]),
    )


def _values(store: Store) -> dict[str, dict[str, int]]:
    """By key, the points of each value, in the order in which they come."""
    found: dict[str, dict[str, int]] = {}
    for (text,) in store.read("SELECT settings FROM points ORDER BY number"):
        for key, value in json.loads(text).items():
            values = found.setdefault(key, {})
            told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if told in values or len(values) < _MANY:
                values[told] = values.get(told, 0) + 1
    return found
