"""The outcomes of a sweep as one table, a row for every point, method, precision and state; and its fronts."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError
from tqhw.sweep.outcomes import COLUMNS, FRONT_COLUMNS
from tqhw.sweep.store import Store, opened
from tqhw.system.files import sweep as clear

BATCH = 10_000
_TEXT = "string"
_TYPES = {"TEXT": _TEXT, "INTEGER": "int64", "REAL": "float64"}
_WHY = {"status": "TEXT", "reason": "TEXT"}


@dataclass(frozen=True)
class _Kind:
    """``columns``: behind the settings, with their SQL types. ``query``: number and settings of a point, and these."""

    columns: Mapping[str, str]
    query: str


OUTCOMES = _Kind(
    {**_WHY, **COLUMNS},
    f"""SELECT number, settings, status, reason, {", ".join(COLUMNS)} FROM points
LEFT JOIN outcomes ON point = number ORDER BY number, method, bits, state""",
)
FRONTS = _Kind(
    FRONT_COLUMNS,
    f"""SELECT number, settings, {", ".join(FRONT_COLUMNS)} FROM fronts JOIN points ON point = number
ORDER BY number, bits, front_point""",
)


def heads(store: Store, kind: _Kind) -> tuple[list[str], list[str]]:
    """The keys that the sweep sets, and all columns; ``set.bits`` is the key, ``bits`` the precision of the outcome."""
    texts = store.read("SELECT settings FROM points ORDER BY number")
    keys = [*dict.fromkeys(key for (text,) in texts for key in json.loads(text))]
    return keys, ["point", *(f"set.{key}" if key in kind.columns else key for key in keys), *kind.columns]


def rows(store: Store, kind: _Kind, keys: list[str]) -> Iterator[list[Any]]:
    """The values of :func:`heads`; lists and maps among the settings as JSON."""
    for number, settings, *found in store.read(kind.query):
        given = json.loads(settings)
        yield [number, *(_plain(given.get(key)) for key in keys), *found]


def has_fronts(folder: str | Path) -> bool:
    """Whether points have fronts of their own: their searches were for two objectives."""
    with opened(folder) as store:
        return store.one("SELECT 1 FROM fronts LIMIT 1") is not None


def export(folder: str | Path, out: str | Path, fronts: bool = False) -> int:
    """Writes the table as CSV or Parquet, by the end of its name; how many rows it has.

    With ``fronts``, the points of the networks' fronts in the place of outcomes: a row for every point of the sweep,
    precision and point of the front.
    Raises TqhwError for another end, for Parquet without pyarrow, and where it cannot be written.
    """
    target = Path(out)
    writers = {".csv": _csv, ".parquet": _parquet}
    if target.suffix not in writers:
        raise TqhwError(
            f"'{target.suffix}' is no kind of table", place=str(out), lever="end the name in .csv or .parquet"
        )
    kind = FRONTS if fronts else OUTCOMES
    with opened(folder) as store:
        keys, columns = heads(store, kind)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            prefix = f".{target.name}."
            clear(target.parent, prefix)
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=prefix)
            os.close(handle)
            try:
                count = writers[target.suffix](Path(name), columns, rows(store, kind, keys), [*_types(kind, keys)])
                umask = os.umask(0)
                os.umask(umask)
                Path(name).chmod(0o666 & ~umask)
                Path(name).replace(target)
            finally:
                Path(name).unlink(missing_ok=True)
        except OSError as error:
            raise TqhwError(
                f"cannot be written: {error.strerror}", place=str(out), lever="choose another place"
            ) from None
    return count


def to_frame(folder: str | Path, fronts: bool = False) -> Any:
    """The table as a pandas frame; ``fronts`` as in :func:`export`. Raises TqhwError without pandas."""
    try:
        import pandas
    except ImportError:
        raise TqhwError("pandas is not installed", place="to_frame", lever="install it, or export a CSV") from None
    kind = FRONTS if fronts else OUTCOMES
    with opened(folder) as store:
        keys, columns = heads(store, kind)
        return pandas.DataFrame(list(rows(store, kind, keys)), columns=columns)


def _csv(path: Path, columns: list[str], found: Iterator[list[Any]], types: list[str]) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for row in found:
            writer.writerow(["" if value is None else value for value in row])
            count += 1
    return count


def _parquet(path: Path, columns: list[str], found: Iterator[list[Any]], types: list[str]) -> int:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise TqhwError("pyarrow is not installed", place=".parquet", lever="pip install 'tqhw[parquet]'") from None
    schema = pyarrow.schema([(name, getattr(pyarrow, kind)()) for name, kind in zip(columns, types, strict=True)])
    count = 0
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(found, BATCH)):
            arrays = [
                pyarrow.array([str(v) if kind == _TEXT and v is not None else v for v in values], field.type)
                for values, field, kind in zip(zip(*batch, strict=True), schema, types, strict=True)
            ]
            writer.write_table(pyarrow.table(arrays, schema=schema))
            count += len(batch)
    return count


def _types(kind: _Kind, keys: list[str]) -> Iterator[str]:
    """Types of the columns; settings may be numbers here and words there, and are text."""
    yield _TYPES["INTEGER"]
    yield from (_TEXT for _ in keys)
    yield from (_TYPES[sql.split()[0]] for sql in kind.columns.values())


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else value
