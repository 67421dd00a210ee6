"""report.html: one page that needs no network and no other file, and can be read without its script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from tqhw.drawing import chart_svg, nest_svg
from tqhw.report import headline, labels, listings, sheet, words
from tqhw.report.figures import Picture
from tqhw.report.table import Table
from tqhw.results import Results
from tqhw.version import __version__

_ID = re.compile(r'\b(id="|href="#|url\(#)')
_WIDE = 400.0
"""Points: a figure wider than that stands alone, its text below."""

# What a figure is drawn with, in the colours of the page, light or dark.
_THEMED = {
    "#ffffff": "var(--paper)",
    "#000000": "currentColor",
    "#dddddd": "var(--line)",
}


@dataclass(frozen=True)
class _Inline:
    name: str
    svg: Markup
    caption: str = ""
    wide: bool = False
    summary: str = ""


def html(results: Results, pictures: tuple[Picture, ...], run: Path | None = None) -> str:
    """The whole page. ``run``: the folder whose architectures and mappings are drawn; None draws none."""
    model = results.experiment.get("model")
    name = model.get("name") if isinstance(model, Mapping) else None
    stored = _stored(results)
    return sheet.page(
        Path(__file__).parent,
        name=str(results.experiment.get("name", "results")),
        model=str(name or "the model"),
        bits=", ".join(map(str, listings.precisions(results))) + " bits",
        version=__version__,
        found=words.found(results),
        assumed=words.assumed(results),
        cards=headline.cards(results),
        overview=headline.overview(results),
        figures=[_Inline(p.name, _plot(p), p.caption, _width(p) > _WIDE) for p in pictures],
        accelerator=None if run is None or stored is None else _accelerator(results, run, stored),
        nests=() if run is None or stored is None else tuple(_nests(results, run, stored)),
        nest_bits=labels.bits(stored or 0),
        ratios=_there(*headline.ratios(results), headline.storage_ratios(results)),
        tables=_there(
            listings.accuracy(results),
            listings.energy(results),
            listings.traffic(results),
            listings.storage(results),
            listings.area(results),
            listings.amortised(results),
            listings.schedule(results),
            listings.levels(results),
            listings.layers(results),
            listings.fronts(results),
            listings.layer_fronts(results),
        ),
        notes=results.notes,
        assumptions=_options("Assumptions", results.experiment),
        provenance=_options("Provenance", results.provenance),
    )


def _stored(results: Results) -> int | None:
    """The bits whose architecture and mappings are drawn."""
    stored = results.experiment.get("stored_bits")
    return stored if isinstance(stored, int) else max(listings.precisions(results), default=None)


def _accelerator(results: Results, run: Path, bits: int) -> Markup | None:
    from tqhw.report.drawings import drawn_rendering

    found = drawn_rendering(results, run, bits)
    return None if found is None else _drawn(chart_svg(found.chart(str(found.folder.relative_to(run)))))


def _nests(results: Results, run: Path, bits: int) -> Iterator[_Inline]:
    from tqhw.report.drawings import of_layers

    for name, nest in of_layers(results, run, bits):
        yield _Inline(name, _drawn(nest_svg(nest)), summary=nest.summary)


def _there(*found: Table | None) -> list[Table]:
    return [table for table in found if table is not None]


def _width(picture: Picture) -> float:
    """Points."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ', picture.svg)
    return float(found[1]) if found else 0.0


def _plot(picture: Picture) -> Markup:
    """A figure's SVG for a page: no prologue, no fixed size, ids and colours of the page's, a text for the blind."""
    start = picture.svg.index("<svg")
    head, _, rest = picture.svg[start:].partition(">")
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    rest = re.sub(r"\s*<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    body = _ID.sub(lambda match: f"{match[1]}{picture.name}-", f"{head}>{rest}")
    for colour, themed in _THEMED.items():
        body = re.sub(rf"\b(fill|stroke): {colour}\b", rf"\1: {themed}", body)
    size = f'style="max-width: {2 * _width(picture):.0f}px; min-width: {1.35 * _width(picture):.0f}px"'
    described = f'<svg class="plot" {size} role="img" aria-label="{escape(picture.caption)}"'
    return Markup(described + body.removeprefix("<svg"))


def _drawn(svg: str) -> Markup:
    """A drawing's SVG for a page, which has its styles."""
    return Markup(re.sub("<style>.*?</style>", "", svg, flags=re.DOTALL))


def _options(title: str, tree: Mapping[str, Any]) -> Table:
    rows = tuple(_flat("", tree))
    return Table(title, ("Option", "Value"), rows, labels=2)


def _flat(prefix: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(f"{name}.", value)
        else:
            yield name, _shown(value)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {_shown(v)}" for k, v in value.items()) or "none"
    return str(value) if isinstance(value, str | int) else labels.number(value)
