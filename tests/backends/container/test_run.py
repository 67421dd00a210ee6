"""The end of a container, by an engine that is a stand-in."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.backends.container.test_messages import engine
from tqhw.backends.container.run import run_container


def test_a_container_that_is_still_being_made_is_killed_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = f"""\
cd {tmp_path}
case $1 in
    run) sleep 0.3; touch up; until [ -e killed ]; do sleep 0.05; done; exit 137;;
    kill) [ -e up ] && touch killed;;
    rm) [ -e up ];;
esac"""
    found = engine(tmp_path, monkeypatch, body)
    ended = run_container(found, "image", tmp_path, "tqhw-late", 512, 0.01)
    assert ended.timed_out
    assert (ended.returncode, (tmp_path / "killed").exists()) == (137, True)


def test_a_client_that_does_not_end_is_killed_and_its_container_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tqhw.backends.container.run._PATIENCE_S", 0.2)
    found = engine(tmp_path, monkeypatch, f'echo "$1 $2 $3" >>{tmp_path}/asked; [ $1 != run ] || exec sleep 600')
    start = time.monotonic()
    ended = run_container(found, "image", tmp_path, "tqhw-deaf", 512, 0.01)
    assert ended.timed_out
    assert time.monotonic() - start < 300
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[-2:] == ["kill tqhw-deaf ", "rm --force tqhw-deaf"]
    assert asked.count("kill tqhw-deaf ") >= 2
