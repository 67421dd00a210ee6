"""The outcomes of a sweep as one table, a row for every point, method, precision and state."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError
from tqhw.sweep.outcomes import COLUMNS
from tqhw.sweep.store import Store, opened
from tqhw.system.files import sweep as clear

BATCH = 10_000
_TYPES = {"TEXT": "string", "INTEGER": "int64", "REAL": "float64"}
_ROWS = f"""SELECT number, settings, status, reason, {", ".join(COLUMNS)} FROM points
LEFT JOIN outcomes ON point = number ORDER BY number, method, bits, state"""


def heads(store: Store) -> tuple[list[str], list[str]]:
    """The keys that the sweep sets, and all columns; ``set.bits`` is the key, ``bits`` the precision of the outcome."""
    texts = store.read("SELECT settings FROM points ORDER BY number")
    keys = [*dict.fromkeys(key for (text,) in texts for key in json.loads(text))]
    others = ("status", "reason", *COLUMNS)
    return keys, ["point", *(f"set.{key}" if key in others else key for key in keys), *others]


def rows(store: Store, keys: list[str]) -> Iterator[list[Any]]:
    """The values of :func:`heads`; lists and maps among the settings as JSON."""
    for number, settings, status, reason, *outcome in store.read(_ROWS):
        given = json.loads(settings)
        yield [number, *(_plain(given.get(key)) for key in keys), status, reason, *outcome]


def export(folder: str | Path, out: str | Path) -> int:
    """Writes the table as CSV or Parquet, by the end of its name; how many rows it has.

    Raises TqhwError for another end, for Parquet without pyarrow, and where it cannot be written.
    """
    target = Path(out)
    writers = {".csv": _csv, ".parquet": _parquet}
    if target.suffix not in writers:
        raise TqhwError(
            f"'{target.suffix}' is no kind of table", place=str(out), lever="end the name in .csv or .parquet"
        )
    with opened(folder) as store:
        keys, columns = heads(store)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            prefix = f".{target.name}."
            clear(target.parent, prefix)
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=prefix)
            os.close(handle)
            try:
                count = writers[target.suffix](Path(name), columns, rows(store, keys), keys)
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


def to_frame(folder: str | Path) -> Any:
    """The table as a pandas frame. Raises TqhwError without pandas."""
    try:
        import pandas
    except ImportError:
        raise TqhwError("pandas is not installed", place="to_frame", lever="install it, or export a CSV") from None
    with opened(folder) as store:
        keys, columns = heads(store)
        return pandas.DataFrame(list(rows(store, keys)), columns=columns)


def _csv(path: Path, columns: list[str], found: Iterator[list[Any]], keys: list[str]) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for row in found:
            writer.writerow(["" if value is None else value for value in row])
            count += 1
    return count


def _parquet(path: Path, columns: list[str], found: Iterator[list[Any]], keys: list[str]) -> int:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise TqhwError("pyarrow is not installed", place=".parquet", lever="pip install 'tqhw[parquet]'") from None
    schema = pyarrow.schema([(name, getattr(pyarrow, _TYPES[kind])()) for name, kind in _kinds(columns)])
    texts = [0 < number <= len(keys) for number in range(len(columns))]
    count = 0
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(found, BATCH)):
            arrays = [
                pyarrow.array([str(v) if text and v is not None else v for v in values], field.type)
                for values, field, text in zip(zip(*batch, strict=True), schema, texts, strict=True)
            ]
            writer.write_table(pyarrow.table(arrays, schema=schema))
            count += len(batch)
    return count


def _kinds(columns: list[str]) -> Iterator[tuple[str, str]]:
    """SQL types of the columns; settings may be numbers here and words there, and are text."""
    for name in columns:
        yield name, "INTEGER" if name == "point" else COLUMNS.get(name, "TEXT").split()[0]


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else value
