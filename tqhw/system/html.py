"""A small table for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> str:
    """An HTML table; every text is escaped, None is an empty cell."""
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    body = "".join(_row("td", row) for row in rows)
    return f"<table>{caption}<thead>{_row('th', heads)}</thead><tbody>{body}</tbody></table>"


def _row(cell: str, values: Sequence[object]) -> str:
    texts = ("" if value is None else f"{value:z.4g}" if isinstance(value, float) else str(value) for value in values)
    return f"<tr>{''.join(f'<{cell}>{escape(text)}</{cell}>' for text in texts)}</tr>"
