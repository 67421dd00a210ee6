"""A comparison as one page that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2

from tqhw.comparison.quantities import Side
from tqhw.comparison.tables import tables
from tqhw.system.files import write_text
from tqhw.version import __version__


def write_page(sides: Sequence[Side], path: str | Path, everything: bool = False) -> None:
    """Writes the page. Raises TqhwError where it cannot be written."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    found = tables(sides, everything)
    names = [side.name for side in sides]
    write_text(path, environment.get_template("page.html").render(names=names, tables=found, version=__version__))
