"""Mappings that were found before, kept in one SQLite file.

The key is a hash of everything that the answer depends on. A file that cannot be read or written is done without:
:attr:`MappingCache.warning` says so, and the search runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping as MappingABC
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from tqhw.engine import VERSION as ENGINE_VERSION
from tqhw.spec import ERT, Hardware, Problem

VERSION = "1"  # raise it when the search may answer differently
WAIT_S = 30.0  # for another process that writes


def default_path() -> Path:
    """``$XDG_CACHE_HOME/tqhw/mappings.sqlite``, or the same under ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tqhw" / "mappings.sqlite"


def plain(value: Any) -> Any:
    """A value as JSON types, in a fixed order: the same text for the same content."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.name != "component"}
    if isinstance(value, MappingABC):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def cache_key(problem: Problem, hardware: Hardware, ert: ERT, objective: str) -> str:
    """SHA-256 of problem, levels with their constraints, their energies, objective, and both versions."""
    levels = [level.name for level in hardware.levels if level.kind == "storage"]
    names = [name for name in (*levels, hardware.compute.name) if name in ert.energies]
    content = {
        "problem": [plain(problem.shape), plain(problem.bounds), plain(problem.coefficients)],
        "levels": plain(hardware.levels),
        "compute": [hardware.compute.name, hardware.compute.meshX, hardware.compute.meshY],
        "energies": {name: plain(ert.energies[name]) for name in names},
        "objective": objective,
        "versions": [ENGINE_VERSION, VERSION],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class MappingCache:
    """A file of answers. Several processes may use it at once."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = default_path() if path is None else path
        self.warning: str | None = None
        self._readable = True

    def get(self, key: str) -> dict[str, Any] | None:
        """The payload kept under ``key``."""
        if not self._readable or not self.path.exists():
            return None
        try:
            with self._open() as connection:
                row = connection.execute("SELECT payload FROM mappings WHERE key = ?", (key,)).fetchone()
            payload = json.loads(row[0]) if row else None
        except (sqlite3.Error, OSError, ValueError) as error:
            self._do_without("read", error)
            return None
        return payload if isinstance(payload, dict) else None

    def put(self, key: str, payload: dict[str, Any]) -> None:
        """Keeps a payload; the last writer wins."""
        if not self._readable:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS mappings (key TEXT PRIMARY KEY, payload TEXT NOT NULL)")
                connection.execute("INSERT OR REPLACE INTO mappings VALUES (?, ?)", (key, json.dumps(payload)))
        except (sqlite3.Error, OSError) as error:
            self._do_without("written", error)

    def _open(self) -> _Connection:
        return _Connection(self.path)

    def _do_without(self, what: str, error: Exception) -> None:
        self._readable = what != "read"
        self.warning = f"{self.path}: the mapping cache cannot be {what} ({error}); going on without it"


class _Connection:
    """A connection that commits and closes."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, timeout=WAIT_S)

    def __enter__(self) -> sqlite3.Connection:
        return self.connection

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.connection.commit()
        finally:
            self.connection.close()
