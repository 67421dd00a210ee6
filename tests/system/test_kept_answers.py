"""The file of kept answers beyond what the mapping cache asks of it (tests/mapper/test_cache.py)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tqhw.system.kept_answers import KeptAnswers, digest


def test_the_oldest_answers_go(tmp_path: Path) -> None:
    answers = KeptAnswers(tmp_path / "a.sqlite", "things", "cache of things", most=2)
    for key in "abc":
        answers.put(key, {"it": key})
    answers.put("b", {"it": "again"})  # is the newest now
    answers.put("d", {"it": "d"})
    assert answers.get_all("abcd") == {"b": {"it": "again"}, "d": {"it": "d"}}
    assert answers.warning is None


def test_warnings_name_the_cache_and_what_is_done_without_it(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    answers = KeptAnswers(path, "things", "cache of things", "drawn")
    answers.put("a", {"it": 1})
    connection = sqlite3.connect(path)
    connection.execute("UPDATE things SET payload = payload || ' '")
    connection.commit()
    connection.close()
    assert answers.get("a") is None
    assert answers.warning == f"{path}: what is kept is damaged; it is drawn anew"
    path.chmod(0o666)
    assert answers.get("a") is None
    expected = f"the cache of things is not used, for other users may write to {path} (chmod go-w '{path}')"
    assert answers.warning == f"{path}: {expected}; going on without it"


def test_the_digest_is_that_of_the_content() -> None:
    assert digest({"a": 1, "b": [2.5, None]}) == digest({"b": [2.5, None], "a": 1})
    assert digest([1]) != digest([1.0]) != digest(["1"])
