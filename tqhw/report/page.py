"""report.html: one page that needs no network, no script and no other file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from tqhw.report import headline, labels, listings
from tqhw.report.figures import Picture
from tqhw.report.table import Table
from tqhw.results import Results
from tqhw.version import __version__

_ID = re.compile(r'\b(id="|href="#|url\(#)')


@dataclass(frozen=True)
class _Inline:
    svg: Markup
    caption: str


def html(results: Results, pictures: tuple[Picture, ...]) -> str:
    """The whole page."""
    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    model = results.experiment.get("model")
    name = model.get("name") if isinstance(model, Mapping) else None
    return environment.get_template("page.html").render(
        name=str(results.experiment.get("name", "results")),
        model=str(name or "the model"),
        bits=", ".join(map(str, listings.precisions(results))) + " bits",
        version=__version__,
        cards=headline.cards(results),
        overview=headline.overview(results),
        figures=[_Inline(_inline(p), p.caption) for p in pictures],
        ratios=_there(*headline.ratios(results), headline.storage_ratios(results)),
        tables=_there(
            listings.accuracy(results),
            listings.energy(results),
            listings.traffic(results),
            listings.storage(results),
            listings.area(results),
        ),
        folded=_there(listings.amortised(results), listings.schedule(results), listings.layers(results)),
        notes=results.notes,
        assumptions=_options("Assumptions", results.experiment),
        provenance=_options("Provenance", results.provenance),
    )


def _there(*found: Table | None) -> list[Table]:
    return [table for table in found if table is not None]


def _inline(picture: Picture) -> Markup:
    """The SVG for a page: no prologue, no fixed size, ids of its own, a text for those who cannot see it."""
    start = picture.svg.index("<svg")
    head, _, rest = picture.svg[start:].partition(">")
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    rest = re.sub(r"\s*<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    body = _ID.sub(lambda match: f"{match[1]}{picture.name}-", f"{head}>{rest}")
    described = f'<svg role="img" aria-label="{escape(picture.caption)}"'
    return Markup(described + body.removeprefix("<svg"))


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
