from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from tqhw.system import progress
from tqhw.system.progress import bars, unwatched


def test_a_stage_shows_its_name_and_how_far_it_is() -> None:
    text = io.StringIO()
    with bars(Console(file=text, width=100, force_terminal=True))("mapping 9 layers", 4) as tick:
        tick()
        tick(3)
    assert "mapping 9 layers" in text.getvalue()
    assert "4/4" in text.getvalue()


def test_where_nobody_watches_a_finished_stage_is_one_line() -> None:
    text = io.StringIO()
    watch = bars(Console(file=text, width=100))
    with watch("mapping 9 layers", 4) as tick:
        tick()
    with pytest.raises(KeyboardInterrupt), watch("training", 4):
        raise KeyboardInterrupt
    assert re.fullmatch(r"mapping 9 layers: \d+\.\d s\n", text.getvalue())


def test_a_long_stage_tells_a_log_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    text = io.StringIO()
    with bars(Console(file=text, width=100))("mapping 9 layers", 4) as tick:
        tick()
        tick(3, note="slowly")
    assert re.match(r"mapping 9 layers: 1 of 4 after 0 s\nmapping 9 layers: 3 of 4 after 0 s slowly\n", text.getvalue())


def test_nobody_has_to_watch() -> None:
    with unwatched("anything", 3) as tick:
        tick()
        tick(3)
