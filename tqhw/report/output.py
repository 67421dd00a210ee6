"""The files of a report, and its tables for the terminal."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import RenderableType

from tqhw.errors import TqhwError
from tqhw.report import csvs, headline, listings
from tqhw.results import Results, from_json
from tqhw.system.files import write_bytes, write_text
from tqhw.system.json_files import read_json

RESULTS = "results.json"


def write(
    results: Results, out_dir: str | Path, figures: bool = True, run: str | Path | None = None, cache: bool = False
) -> None:
    """Writes results.json, a CSV per list, the figures (PNG, SVG and PDF, in ``figures/``) and report.html.

    ``figures``: False leaves the figures and drawings out, of the page too. ``run``: the folder whose architectures and
    mappings the page draws, ``out_dir`` itself where it is None. ``cache``: figures that an earlier run drew are taken.
    The same results give the same bytes. Raises TqhwError where a file cannot be written, or one of the run cannot be
    read.
    """
    from tqhw.report.figures import pictures
    from tqhw.report.page import html

    folder = Path(out_dir)
    of = (folder if run is None else Path(run)) if figures else None
    drawn = pictures(results, of, cache) if figures else ()
    page = html(results, drawn, of)  # before anything is written: what cannot be read leaves nothing half-written
    for name, text in csvs.texts(results).items():
        write_text(folder / name, text)
    for picture in drawn:
        write_bytes(folder / "figures" / f"{picture.name}.png", picture.png)
        write_text(folder / "figures" / f"{picture.name}.svg", picture.svg)
        write_bytes(folder / "figures" / f"{picture.name}.pdf", picture.pdf)
    write_text(folder / "report.html", page)
    write_text(folder / RESULTS, json.dumps(results.as_json(), indent=1, ensure_ascii=False) + "\n")


def load(folder: str | Path) -> Results:
    """The results in a folder that :func:`write` wrote. Raises TqhwError where there are none to read."""
    path = Path(folder) / RESULTS
    if not path.is_file():
        raise TqhwError("no such file", place=str(path), lever="name the results folder of a finished run")
    return from_json(read_json(path, "run the experiment again"), str(path))


def terminal(results: Results) -> tuple[RenderableType, ...]:
    """The tables that a run prints, the headline ratios last; empty ones left out."""
    found = (
        listings.accuracy(results),
        listings.energy(results),
        listings.traffic_totals(results),
        listings.storage(results),
        listings.area(results),
        listings.fronts(results),
        *headline.ratios(results),
        headline.storage_ratios(results),
    )
    return tuple(table.terminal() for table in found if table is not None)
