"""What a sweep has found, in one SQLite file that grows as results come.

Readers may look at it meanwhile (a write-ahead log). Nothing in it depends on the order in which results came, or on
the clock, except the table ``told``. Everything is kept as JSON and read within its schema.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from tqhw.backends import Found
from tqhw.errors import TqhwError
from tqhw.mapper.cache import plain
from tqhw.mapper.kept import KeptFront, front_payload
from tqhw.mapper.result import Whole
from tqhw.objectives import Goal, Tradeoff
from tqhw.pipeline.training import Measured
from tqhw.spec import Invalid, Mapping, Reason, Stats
from tqhw.sweep.outcomes import COLUMNS, FRONT_COLUMNS
from tqhw.system.json_files import checked, parse_json
from tqhw.train import Accuracy

FILE = "sweep.sqlite"
APPLICATION, SCHEMA = 0x74716877, 4  # "tqhw" in the file's header
WAITING, DONE, IMPOSSIBLE = "waiting", "done", "impossible"
WAIT_S = 30.0
_FOUND = {"outcomes": COLUMNS, "fronts": FRONT_COLUMNS}
_AGAIN = "choose another --out"
_TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE points (number INTEGER PRIMARY KEY, settings TEXT NOT NULL, plan TEXT, key TEXT, status TEXT NOT NULL,
    reason TEXT);
CREATE INDEX points_of_plan ON points (plan, number);
CREATE TABLE outcomes (point INTEGER NOT NULL, {", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())},
    PRIMARY KEY (point, method, bits, state)) WITHOUT ROWID;
CREATE TABLE fronts (point INTEGER NOT NULL, {", ".join(f"{name} {kind}" for name, kind in FRONT_COLUMNS.items())},
    PRIMARY KEY (point, bits, front_point)) WITHOUT ROWID;
CREATE TABLE searches (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trainings (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE told (kind TEXT NOT NULL, key TEXT NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
"""


class _SearchAnswer(BaseModel):
    """An answer of a search: a mapping, or why there is none, or why there is no answer."""

    model_config = ConfigDict(extra="forbid")

    mapping: Mapping | None = None
    stats: Stats | None = None
    proved_optimal: bool = False
    evaluated: int = 0
    lower_bound: float | None = None
    gap: float | None = None
    padded: dict[str, int] | None = None
    whole: Whole | None = None
    front: KeptFront | None = None
    reasons: tuple[Reason, ...] = ()
    refused: str | None = None


class Finished(NamedTuple):
    """What a point came to: rows of :data:`COLUMNS` and of :data:`FRONT_COLUMNS`, or a ``reason`` why none."""

    number: int
    reason: str | None = None
    outcomes: Sequence[tuple[Any, ...]] = ()
    fronts: Sequence[tuple[Any, ...]] = ()


class Store:
    """The file. Raises TqhwError where it cannot be read or written, is damaged, or is another sweep's."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self._connection = path, connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction."""
        with _guarded(self.path), self._connection:
            yield self._connection

    def read(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows one after the other."""
        with _guarded(self.path):
            yield from self._connection.execute(query, values)

    def one(self, query: str, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row, or None."""
        return next((row[0] for row in self.read(query, values)), None)

    def meta(self, key: str) -> Any:
        """What was written down of the sweep as a whole."""
        text = self.one("SELECT value FROM meta WHERE key = ?", (key,))
        return None if text is None else parse_json(text, str(self.path))

    def put_meta(self, **values: Any) -> None:
        with self.writing() as connection:
            rows = [(key, json.dumps(value)) for key, value in values.items()]
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def known(self, kind: str) -> set[str]:
        """The keys of the searches, or trainings, that are answered."""
        return {key for (key,) in self.read(f"SELECT key FROM {kind}")}

    def put_search(self, key: str, answer: Found | Invalid | str, seconds: float) -> None:
        """Keeps an answer; a text says why there is none."""
        with self.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO searches VALUES (?, ?)", (key, _search_text(answer)))
            connection.execute("INSERT OR REPLACE INTO told VALUES ('search', ?, ?)", (key, seconds))

    def search(self, key: str, goal: Goal) -> Found | Invalid | str | None:
        """An answer, or why there is none; None where the search is still to be done. ``goal``: what it was for."""
        text = self.one("SELECT answer FROM searches WHERE key = ?", (key,))
        if text is None:
            return None
        kept = checked(_SearchAnswer, parse_json(text, str(self.path)), f"{self.path}: search {key[:12]}", _AGAIN)
        if kept.refused is not None:
            return kept.refused
        if kept.mapping is None or kept.stats is None:
            return Invalid(kept.reasons)
        first = (kept.mapping, kept.stats, kept.proved_optimal, kept.evaluated, 0.0, kept.lower_bound, kept.gap)
        front = kept.front.front(goal) if kept.front is not None and isinstance(goal, Tradeoff) else None
        return Found(*first, front=front, padded=kept.padded, whole=kept.whole)

    def put_training(self, key: str, answer: Measured | str, seconds: float) -> None:
        """Keeps what a training measured; a text says why it did not."""
        text = json.dumps(answer if isinstance(answer, str) else [answer[0], [plain(one) for one in answer[1]]])
        with self.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO trainings VALUES (?, ?)", (key, text))
            connection.execute("INSERT OR REPLACE INTO told VALUES ('training', ?, ?)", (key, seconds))

    def training(self, key: str) -> Measured | str | None:
        """What a training measured, or why it did not; None where it is still to be done."""
        text = self.one("SELECT answer FROM trainings WHERE key = ?", (key,))
        if text is None:
            return None
        found = parse_json(text, str(self.path))
        if isinstance(found, str):
            return found
        return checked(tuple[str, list[Accuracy]], found, f"{self.path}: training {key[:12]}", _AGAIN)

    def forget_refused(self) -> None:
        """Searches and trainings that had no answer, by a fault perhaps that is mended, are to be done again."""
        with self.writing() as connection:
            connection.execute("""DELETE FROM searches WHERE answer LIKE '{"refused"%'""")
            connection.execute("""DELETE FROM trainings WHERE answer LIKE '"%'""")

    def end_points(self, last: int) -> None:
        """``last``: the number of the last point that there is. Outcomes of points now impossible are forgotten."""
        with self.writing() as connection:
            connection.execute("DELETE FROM points WHERE number > ?", (last,))
            for table in _FOUND:
                connection.execute(
                    f"DELETE FROM {table} WHERE point IN (SELECT number FROM points WHERE status = '{IMPOSSIBLE}')"
                )

    def counts(self) -> dict[str, int]:
        """How many points have which status."""
        return dict(self.read("SELECT status, count(*) FROM points GROUP BY status"))

    def plan_points(self, rows: Iterable[tuple[int, str, str | None, str | None]]) -> None:
        """Number, settings, plan, and reason (of one that is impossible from the start) of points."""
        with self.writing() as connection:
            connection.executemany(
                "INSERT INTO points VALUES (?1, ?2, ?3, NULL, iif(?4 IS NULL, 'waiting', 'impossible'), ?4) ON CONFLICT"
                " (number) DO UPDATE SET settings = ?2, plan = ?3, status = iif(?4 IS NULL, status, 'impossible'),"
                " reason = iif(?4 IS NULL, reason, ?4), key = iif(?4 IS NULL, key, NULL)",
                rows,
            )

    def points_of(self, plan: str) -> list[tuple[int, str, str | None, str]]:
        """Number, settings, key and status of a plan's points."""
        rows = self.read("SELECT number, settings, key, status FROM points WHERE plan = ? ORDER BY number", (plan,))
        return [(number, settings, key, status) for number, settings, key, status in rows]

    def wait_for(self, rows: Iterable[tuple[str, int]]) -> None:
        """Key and number of points whose results are still to come."""
        with self.writing() as connection:
            found = list(rows)
            connection.executemany(
                "UPDATE points SET key = ?, status = 'waiting', reason = NULL WHERE number = ?", found
            )
            _forget(connection, [number for _, number in found])

    def finish_points(self, points: Iterable[Finished]) -> None:
        """Keeps what points came to.

        An impossible one has no key, so that it is looked at again when the sweep is started again.
        """
        with self.writing() as connection:
            for number, reason, *found in points:
                status = DONE if reason is None else IMPOSSIBLE
                connection.execute(
                    "UPDATE points SET status = ?1, reason = ?2, key = iif(?2 IS NULL, key, NULL) WHERE number = ?3",
                    (status, reason, number),
                )
                _forget(connection, [number])
                for (table, columns), rows in zip(_FOUND.items(), found, strict=True):
                    places = ", ".join("?" * (len(columns) + 1))
                    connection.executemany(f"INSERT INTO {table} VALUES ({places})", [(number, *row) for row in rows])


def _forget(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """What was found at points."""
    given = [(number,) for number in numbers]
    for table in _FOUND:
        connection.executemany(f"DELETE FROM {table} WHERE point = ?", given)


@contextmanager
def opened(folder: str | Path, write: bool = False) -> Iterator[Store]:
    """The results in a sweep's folder; with ``write``, they are made where there are none."""
    path = Path(folder) / FILE
    if not write and not path.is_file():
        raise TqhwError("no such file", place=str(path), lever="name the folder of a sweep")
    with _guarded(path):
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path if write else _to_read(path), timeout=WAIT_S, uri=not write)
    try:
        with _guarded(path):
            _prepare(path, connection, write)
        yield Store(path, connection)
    finally:
        connection.close()


def _to_read(path: Path) -> str:
    """The address of a file to be read.

    For that, too, SQLite makes a log beside it. Where we may make none, and no writer has, it is told that nobody does.
    """
    address = f"{path.resolve().as_uri()}?mode=ro"
    archived = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    return f"{address}&immutable=1" if archived else address


def _prepare(path: Path, connection: sqlite3.Connection, write: bool) -> None:
    application, schema = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if write:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    if empty and write:
        with connection:
            connection.executescript(
                f"BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; {_TABLES} COMMIT;"
            )
    elif application != APPLICATION:
        raise TqhwError("is not the results of a sweep", place=str(path), lever=_AGAIN)
    elif schema != SCHEMA:
        raise TqhwError(f"is of version {schema}, this tqhw reads {SCHEMA}", place=str(path), lever=_AGAIN)


@contextmanager
def _guarded(path: Path) -> Iterator[None]:
    """Whatever the disk or the file does not let us do, as one message."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        told = str(error)
        if "full" in told:
            lever = "make room and start the sweep again: it goes on from what is kept"
        elif "readonly" in told or "locked" in told or "unable to open" in told:
            lever = "may it be written to, and by one sweep at a time? or choose another --out"
        else:
            lever = "the file is damaged: move it away, or choose another --out"
        raise TqhwError(told, place=str(path), lever=lever) from None
    except OSError as error:
        raise TqhwError(f"cannot be written: {error.strerror}", place=str(path), lever=_AGAIN) from None


def _search_text(answer: Found | Invalid | str) -> str:
    if isinstance(answer, str):
        return json.dumps({"refused": answer})
    if isinstance(answer, Invalid):
        return json.dumps({"reasons": [plain(reason) for reason in answer.reasons]})
    return json.dumps(
        {
            "mapping": plain(answer.mapping),
            "stats": answer.stats.as_json(),
            "proved_optimal": answer.proved_optimal,
            "evaluated": answer.evaluated,
            "lower_bound": answer.lower_bound,
            "gap": answer.gap,
            **({} if answer.padded is None else {"padded": dict(answer.padded)}),
            **({} if answer.whole is None else {"whole": plain(answer.whole)}),
            **({} if answer.front is None else {"front": front_payload(answer.front)}),
        }
    )
