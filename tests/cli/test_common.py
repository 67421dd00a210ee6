from __future__ import annotations

import logging

import pytest

from tqhw.cli import common


@pytest.mark.parametrize(
    ("room", "level", "told"),
    [
        ("engine.aside", logging.INFO, "tqhw: compiling\n"),
        ("pipeline.training", logging.INFO, "tqhw: compiling\n"),
        ("quant", logging.INFO, ""),
        ("quant", logging.WARNING, "tqhw: warning: compiling\n"),
    ],
)
def test_commands_tell_news_of_some_rooms_and_warnings_of_all_once(
    room: str, level: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with common._telling():
        for _ in range(2):
            logging.getLogger(f"tqhw.{room}").log(level, "compiling")
    logging.getLogger(f"tqhw.{room}").log(min(level, logging.INFO), "compiling")
    assert capsys.readouterr().err == told
