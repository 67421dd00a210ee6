"""A table of texts, drawn by the terminal and by the page alike."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import rich.table
from rich.text import Text


@dataclass(frozen=True)
class Table:
    """Rows of texts. The first ``labels`` columns hold words (flush left), the others numbers (flush right).

    ``break_before``: positions of the rows above which a new group starts.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int = 1
    note: str = ""
    break_before: frozenset[int] = frozenset()

    def terminal(self) -> rich.table.Table | Text:
        """The table for the terminal; without rows, title and note."""
        if not self.rows:
            return Text(f"\n{self.title}\n{self.note}".rstrip())
        table = rich.table.Table(
            title=Text(f"\n{self.title}", "bold"),  # a Text: what strangers named is no markup
            title_justify="left",
            caption=Text(self.note, "table.caption") if self.note else None,
        )
        table.caption_justify = "left"
        for position, column in enumerate(self.columns):
            table.add_column(Text(column), justify="left" if position < self.labels else "right")
        for number in range(len(self.rows)):
            if number in self.break_before:
                table.add_section()
            table.add_row(*map(Text, self._without_repeats(number)))
        return table

    @property
    def csv(self) -> str:
        """What it shows, as CSV."""
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerows((self.columns, *self.rows))
        return stream.getvalue()

    def _without_repeats(self, number: int) -> tuple[str, ...]:
        """The row, its leading labels blank where they are those of the row above."""
        row, above = self.rows[number], self.rows[number - 1] if number else ()
        alike = 0
        while alike < self.labels - 1 and row[: alike + 1] == above[: alike + 1]:
            alike += 1
        return ("",) * alike + row[alike:]


def groups(rows: tuple[tuple[str, ...], ...], column: int = 0) -> frozenset[int]:
    """The positions at which the text in ``column`` changes."""
    return frozenset(i for i in range(1, len(rows)) if rows[i][column] != rows[i - 1][column])
