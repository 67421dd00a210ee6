from __future__ import annotations

from pathlib import Path

import pytest

from tqhw.report import figures, style
from tqhw.report.figure_files import FigureFiles, KeptFigures
from tqhw.report.figures import FigureKind
from tqhw.results import Results


@pytest.fixture(autouse=True)
def _drawn_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report of a run that one test makes has its figures drawn and laid out, but not printed in three formats.

    That took half of this room's time. Runs that a whole module looks at, which its fixtures make, print theirs, and
    tests/report is about what is printed.
    """

    def drawn(name: str, kind: FigureKind, results: Results, run: Path | None) -> FigureFiles:
        with style.style():
            figures._figure(kind, results, run).draw_without_rendering()
        return FigureFiles(b"", f"<svg>{name}</svg>", b"")

    monkeypatch.setattr(figures, "_drawn", drawn)
    monkeypatch.setattr(KeptFigures, "taken", lambda kept, name, draw: draw())  # what others take is printed
