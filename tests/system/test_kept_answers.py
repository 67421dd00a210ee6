"""The file of kept answers beyond what the mapping cache asks of it (tests/mapper/test_cache.py)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tqhw.system import kept_answers
from tqhw.system.kept_answers import KeptAnswers, cache_folder, digest


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


@contextmanager
def locked(path: Path, how: str) -> Iterator[None]:
    """Another process has the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"BEGIN {how}")
        yield


@pytest.mark.parametrize(("how", "what", "tries"), [("IMMEDIATE", "written", 2), ("EXCLUSIVE", "read", 1)])
def test_a_file_that_stays_locked_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, what: str, tries: int
) -> None:
    path = tmp_path / "a.sqlite"
    KeptAnswers(path, "things", "cache of things").put("a", {"it": 1})
    monkeypatch.setattr(kept_answers, "WAIT_S", 0.1)
    with locked(path, how), monkeypatch.context() as patch:
        connect, waits = sqlite3.connect, []
        patch.setattr(sqlite3, "connect", lambda path, timeout: waits.append(timeout) or connect(path, timeout=timeout))
        for _ in range(3):  # as the searches of one process
            answers = KeptAnswers(path, "things", "cache of things")
            for key in "bcd":
                assert answers.get(key) is None
                answers.put(key, {"it": key})
            expected = f"{path}: the cache of things cannot be {what} (database is locked); going on without it"
            assert answers.warning == expected
    assert waits == [0.1] * tries + [0.0] * 2 * tries
    again = KeptAnswers(path, "things", "cache of things")
    again.put("b", {"it": "b"})
    assert (again.get_all("abc"), again.warning) == ({"a": {"it": 1}, "b": {"it": "b"}}, None)
    assert path not in kept_answers._WAITED_FOR


def test_without_a_home_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as for a user without an entry
    answers = KeptAnswers(cache_folder() / "a.sqlite", "things", "cache of things")
    answers.put("a", {"it": 1})
    assert answers.get("a") is None
    assert answers.warning == (
        f"{Path('~/.cache/tqhw/a.sqlite')}: the cache of things is not used, for no home folder is known "
        "(set HOME or XDG_CACHE_HOME); going on without it"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not a database" * 99, "file is not a database"),
        ("CREATE TABLE things (other TEXT)", "no such column: payload"),
    ],
)
def test_a_file_that_holds_something_else_says_what_to_do(tmp_path: Path, content: bytes | str, why: str) -> None:
    path = tmp_path / "a.sqlite"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(content)
    answers = KeptAnswers(path, "things", "cache of things")
    assert answers.get("a") is None
    assert answers.warning == (
        f"{path}: the cache of things cannot be read ({why}); going on without it; delete the file to have a new one"
    )


def test_text_that_is_none_is_damaged_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    answers = KeptAnswers(path, "things", "cache of things")
    answers.put("a", {"it": 1})
    answers.put("b", {"it": 2})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE things SET payload = CAST(x'ff' || payload AS TEXT) WHERE key = 'a'")
        connection.commit()
    assert answers.get_all("ab") == {"b": {"it": 2}}
    assert answers.warning == f"{path}: what is kept is damaged; it is made anew"
    answers.put("a", {"it": 3})
    assert answers.get("a") == {"it": 3}
