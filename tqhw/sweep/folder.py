"""A sweep's folder: how far it is, and the whole report of one of its points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError
from tqhw.results import Results
from tqhw.spec import yamlio
from tqhw.sweep.document import SweepDocument
from tqhw.sweep.plan import Planner
from tqhw.sweep.points import Sweep
from tqhw.sweep.runner import LOG, POINTS, point_results
from tqhw.sweep.store import DONE, IMPOSSIBLE, WAITING, Store, opened
from tqhw.system.files import read_text
from tqhw.system.json_files import checked


def sweep_of(store: Store) -> Sweep:
    """The sweep that a file holds the results of. Raises TqhwError where it is still being planned."""
    place, kept = str(store.path), store.meta("given")
    if kept is None:
        raise TqhwError("its points are not all planned yet", place=place, lever="run the sweep to its end")
    given = checked(SweepDocument, kept, place, what="the results of a sweep")
    return Sweep(given, _maps(store.meta("base")), place)


def status(folder: str | Path) -> list[str]:
    """How far a sweep is, in words: points, searches and trainings, and the last line of its log."""
    with opened(folder) as store:
        counts = store.counts()
        total = sum(counts.values())
        told = [f"{store.meta('name')}: {total} points planned"]
        for name in (DONE, IMPOSSIBLE, WAITING):
            told.append(f"  {counts.get(name, 0)} {name}")
        for kind in ("searches", "trainings"):
            if planned := store.meta(kind):
                told.append(f"  {len(store.known(kind))} of {planned} distinct {kind}")
        reasons = store.read(
            "SELECT reason, count(*) FROM points WHERE reason IS NOT NULL GROUP BY reason ORDER BY 2 DESC, 1 LIMIT 3"
        )
        told += [f"  {count} impossible: {reason}" for reason, count in reasons]
    log = Path(folder) / LOG
    if log.is_file() and (lines := read_text(log).splitlines()):
        told.append(lines[-1])
    return told


def first_reason(folder: str | Path) -> str:
    """Why the first impossible point is that."""
    with opened(folder) as store:
        return str(store.one("SELECT reason FROM points WHERE reason IS NOT NULL ORDER BY number LIMIT 1"))


def read_point(folder: str | Path, number: int, *, trust: bool = False, planner: Planner | None = None) -> Results:
    """What ``tqhw run`` would find at a point, from what the sweep has kept, without a search.

    ``planner``: for several points of one sweep. Raises TqhwError for a point that is not there, is impossible, or
    whose inputs have changed since.
    """
    with opened(folder) as store:
        found = point_results(sweep_of(store), store, number, planner or Planner(None, trust))
        told = {"sweep": str(folder), "point": number, "versions": store.meta("versions")}
    return replace(found, provenance=told)


def write_report(
    folder: str | Path, number: int, *, trust: bool = False, figures: bool = True, planner: Planner | None = None
) -> Path:
    """Writes a point's report into the sweep's folder; where its page is."""
    from tqhw import report

    place = Path(folder) / POINTS / str(number)
    report.write(read_point(folder, number, trust=trust, planner=planner), place, figures=figures)
    return place / "report.html"


def is_sweep(folder: str | Path) -> bool:
    """Whether a folder holds a sweep."""
    try:
        with opened(folder):
            return True
    except TqhwError:
        return False


def _maps(value: Any) -> Any:
    if isinstance(value, dict):
        return yamlio.Map({key: _maps(item) for key, item in value.items()})
    return [_maps(item) for item in value] if isinstance(value, list) else value
