from __future__ import annotations

from collections.abc import Callable

import pytest
from matplotlib.figure import Figure

from tqhw.report import style
from tqhw.report.figure_files import FigureFiles, KeptFigures


@pytest.fixture(autouse=True)
def _drawn_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report of a run that one test makes has its figures drawn and laid out, but not printed in three formats.

    That took half of this room's time. Runs that a whole module looks at, which its fixtures make, print theirs, and
    tests/report is about what is printed.
    """

    def drawn(name: str, draw: Callable[[], Figure]) -> FigureFiles:
        with style.style():
            draw().draw_without_rendering()
        return FigureFiles(b"", f"<svg>{name}</svg>", b"")

    monkeypatch.setattr(style, "rendered", drawn)
    monkeypatch.setattr(KeptFigures, "taken", lambda kept, name, draw: draw())  # what others take is printed
