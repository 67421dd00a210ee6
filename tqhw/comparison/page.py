"""A comparison as one page: totals first, everything else folded below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tqhw.comparison.quantities import Side
from tqhw.comparison.tables import tables, totals
from tqhw.report import sheet
from tqhw.system.files import write_text
from tqhw.version import __version__


def write_page(sides: Sequence[Side], path: str | Path, everything: bool = False) -> None:
    """Writes the page. Raises TqhwError where it cannot be written."""
    inputs, sums = totals(sides, everything)
    details = [table for table in tables(sides, everything)[1:] if table.rows or table.note]
    text = sheet.page(
        Path(__file__).parent,
        names=[side.name for side in sides],
        inputs=inputs,
        totals=sums,
        details=details,
        version=__version__,
    )
    write_text(path, text)
