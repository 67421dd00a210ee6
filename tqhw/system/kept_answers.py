"""Answers that were found before, kept in one SQLite file of the user's cache folder.

The key is a hash of everything that an answer depends on. A file that cannot be read or written, or that another user
could have written, is done without from then on: :attr:`KeptAnswers.warning` says so, and answers are found anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError
from tqhw.system.json_files import parse_json

WAIT_S = 30.0  # for another process that writes
_WAITED_FOR: set[Path] = set()  # files that another process did not let go in that time: nobody waits for them again
_OF_CONTENT = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)  # what the file holds is wrong


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/tqhw``, or the same under ``~/.cache``; :class:`KeptAnswers` knows whose home ``~`` is."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "tqhw"


def digest(content: Any) -> str:
    """SHA-256 of a value of JSON's types, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class KeptAnswers:
    """A file of answers in a table of that name. Several processes may use it at once.

    Warnings call it ``what``, and say what is done ``anew`` where an answer is not taken. ``most``: so many answers are
    kept, the oldest ones go; None keeps all.
    """

    def __init__(self, path: Path, table: str, what: str, anew: str = "made", most: int | None = None) -> None:
        self.path = path
        self.warning: str | None = None
        self._table, self._what, self._anew, self._most = table, what, anew, most
        self._used = True
        try:
            self.path = path.expanduser()
        except RuntimeError:
            self._refuse("no home folder is known (set HOME or XDG_CACHE_HOME)")

    def get(self, key: str) -> dict[str, Any] | None:
        """The payload kept under ``key``."""
        return self.get_all([key]).get(key)

    def get_all(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The payloads kept under ``keys``, of those that are there and undamaged."""
        found: dict[str, dict[str, Any]] = {}
        if not self._used:
            return found
        try:
            if not self.path.exists():
                return found
            if not self._ours():
                return found
            with self._open() as connection:
                there = "SELECT name FROM sqlite_master WHERE name = ?"
                if not connection.execute(there, (self._table,)).fetchone():  # another process is about to make it
                    return found
                for key in keys:
                    row = connection.execute(f"SELECT payload FROM {self._table} WHERE key = ?", (key,)).fetchone()
                    payload = None if row is None else _unsealed(row[0])
                    if payload is not None:
                        found[key] = payload
                    elif row is not None:
                        self.doubt("what is kept is damaged")
        except (sqlite3.Error, OSError) as error:
            self._do_without("read", error)
        return found

    def put(self, key: str, payload: dict[str, Any]) -> None:
        """Keeps a payload; the last writer wins."""
        if not self._used:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._ours():
                return
            with self._open() as connection:
                columns = "key TEXT PRIMARY KEY, payload TEXT NOT NULL"
                connection.execute(f"CREATE TABLE IF NOT EXISTS {self._table} ({columns})")
                connection.execute(f"INSERT OR REPLACE INTO {self._table} VALUES (?, ?)", (key, _sealed(payload)))
                if self._most is not None:
                    newest = f"SELECT MAX(rowid) FROM {self._table}"
                    connection.execute(f"DELETE FROM {self._table} WHERE rowid <= ({newest}) - ?", (self._most,))
            _WAITED_FOR.discard(self.path)
        except (sqlite3.Error, OSError) as error:
            self._do_without("written", error)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection that commits, unless something went wrong, and closes."""
        connection = sqlite3.connect(self.path, timeout=0.0 if self.path in _WAITED_FOR else WAIT_S)
        connection.text_factory = lambda text: text.decode(errors="replace")  # damaged text breaks its seal
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()

    def doubt(self, why: str) -> None:
        """Says that a kept answer is not taken."""
        self.warning = f"{self.path}: {why}; it is {self._anew} anew"

    def _ours(self) -> bool:
        """Whether nobody else may write to the file or its folder; it is done without otherwise."""
        for place in (self.path.parent, self.path):
            if (why := _written_by_others(place)) is not None:
                self._refuse(why)
                return False
        return True

    def _refuse(self, why: str) -> None:
        self._used = False
        self.warning = f"{self.path}: the {self._what} is not used, for {why}; going on without it"

    def _do_without(self, what: str, error: Exception) -> None:
        self._used = False
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what SQLite adds to it
        if code == sqlite3.SQLITE_BUSY:
            _WAITED_FOR.add(self.path)
        lever = "; delete the file to have a new one" if code in _OF_CONTENT else ""
        self.warning = f"{self.path}: the {self._what} cannot be {what} ({error}); going on without it{lever}"


def _written_by_others(place: Path) -> str | None:
    """Why another user than this one could have written here; None where nobody could."""
    if not hasattr(os, "geteuid") or not place.exists():
        return None
    found = place.stat()
    if found.st_uid not in (0, os.geteuid()):
        return f"{place} belongs to another user"
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        return f"other users may write to {place} (chmod go-w '{place}')"
    return None


def _sealed(payload: dict[str, Any]) -> str:
    """JSON behind its own hash, so that damage shows."""
    text = json.dumps(payload)
    return f"{hashlib.sha256(text.encode()).hexdigest()} {text}"


def _unsealed(text: Any) -> dict[str, Any] | None:
    seal, _, content = str(text).partition(" ")
    if hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest() != seal:
        return None
    try:
        payload = parse_json(content, "a kept answer")
    except TqhwError:
        return None
    return payload if isinstance(payload, dict) else None
