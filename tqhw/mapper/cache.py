"""Mappings that were found before, kept in one SQLite file.

The key is a hash of everything that the answer depends on. A file that cannot be read or written, or that another user
could have written, is done without: :attr:`MappingCache.warning` says so, and the search runs. Whoever takes an answer
evaluates it again (:mod:`tqhw.mapper.kept`).
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingABC
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from tqhw.engine import VERSION as ENGINE_VERSION
from tqhw.errors import TqhwError
from tqhw.spec import ERT, Hardware, Problem
from tqhw.system.json_files import parse_json

VERSION = "7"  # raise it when the search may answer differently, or keeps its answers in another form
WAIT_S = 30.0  # for another process that writes
_TABLES = "SELECT name FROM sqlite_master WHERE name = 'mappings'"


def default_path() -> Path:
    """``$XDG_CACHE_HOME/tqhw/mappings.sqlite``, or the same under ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tqhw" / "mappings.sqlite"


def plain(value: Any) -> Any:
    """A value as JSON types, in a fixed order: the same text for the same content, wherever it stands."""
    if is_dataclass(value) and not isinstance(value, type):
        told = [f.name for f in fields(value) if f.compare and f.name != "component"]
        return {name: plain(getattr(value, name)) for name in told}
    if isinstance(value, MappingABC):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def problem_digest(problem: Problem) -> str:
    """SHA-256 of what a search reads of a problem."""
    return _digest([plain(problem.shape), plain(problem.bounds), plain(problem.coefficients)])


def machine_digest(hardware: Hardware, ert: ERT) -> str:
    """SHA-256 of the levels with their constraints, and of their energies."""
    levels = [level.name for level in hardware.levels if level.kind == "storage"]
    names = [name for name in (*levels, hardware.compute.name) if name in ert.energies]
    return _digest(
        {
            "levels": plain(hardware.levels),
            "compute": [hardware.compute.name, hardware.compute.meshX, hardware.compute.meshY],
            "energies": {name: plain(ert.energies[name]) for name in names},
        }
    )


def key_of(problem: str, machine: str, objective: str) -> str:
    """SHA-256 of two digests, the objective, and the versions of engine and search."""
    return _digest([problem, machine, objective, ENGINE_VERSION, VERSION])


def cache_key(problem: Problem, hardware: Hardware, ert: ERT, objective: str) -> str:
    """Equal for searches that have the same answer."""
    return key_of(problem_digest(problem), machine_digest(hardware, ert), objective)


class MappingCache:
    """A file of answers. Several processes may use it at once."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = default_path() if path is None else path
        self.warning: str | None = None
        self._readable = True

    def get(self, key: str) -> dict[str, Any] | None:
        """The payload kept under ``key``."""
        return self.get_all([key]).get(key)

    def get_all(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The payloads kept under ``keys``, of those that are there and undamaged."""
        found: dict[str, dict[str, Any]] = {}
        if not self._readable:
            return found
        try:
            if not self.path.exists():
                return found
            if not self._ours():
                return found
            with self._open() as connection:
                if not connection.execute(_TABLES).fetchone():  # another process is about to make it
                    return found
                for key in keys:
                    row = connection.execute("SELECT payload FROM mappings WHERE key = ?", (key,)).fetchone()
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
        if not self._readable:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._ours():
                return
            with self._open() as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS mappings (key TEXT PRIMARY KEY, payload TEXT NOT NULL)")
                connection.execute("INSERT OR REPLACE INTO mappings VALUES (?, ?)", (key, _sealed(payload)))
        except (sqlite3.Error, OSError) as error:
            self._do_without("written", error)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection that commits, unless something went wrong, and closes."""
        connection = sqlite3.connect(self.path, timeout=WAIT_S)
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()

    def doubt(self, why: str) -> None:
        """Says that a kept answer is searched anew."""
        self.warning = f"{self.path}: {why}; it is searched anew"

    def _ours(self) -> bool:
        """Whether nobody else may write to the file or its folder; it is done without otherwise."""
        for place in (self.path.parent, self.path):
            if (why := _written_by_others(place)) is not None:
                self._readable = False
                self.warning = f"{self.path}: the mapping cache is not used, for {why}; going on without it"
                return False
        return True

    def _do_without(self, what: str, error: Exception) -> None:
        self._readable = what != "read"
        self.warning = f"{self.path}: the mapping cache cannot be {what} ({error}); going on without it"


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
