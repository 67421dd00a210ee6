"""Reading experiment files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqhw import options
from tqhw.experiment.schema import Experiment, in_order
from tqhw.options import apply_setting, documented_keys, place_of, read
from tqhw.spec import yamlio


def load(path: str | Path, settings: Sequence[str] = ()) -> Experiment:
    """The experiment in a YAML file, with ``key.sub=value`` settings on top.

    Raises TqhwError with line, nearest known key and rule for whatever does not fit.
    """
    return parse(yamlio.load(path), str(path), settings)


def parse(document: Any, source: str = "experiment", settings: Sequence[str] = ()) -> Experiment:
    """A YAML document as an experiment; see :func:`load`."""
    return read(Experiment, _with(document, source, settings), source, settings)


def hints(path: str | Path, settings: Sequence[str] = ()) -> tuple[str, ...]:
    """What of a file is read as earlier versions wrote it, and how it is written today, with its line."""
    top = _with(yamlio.load(path), str(path), settings)
    return tuple(f"{place_of(key.split('.'), top, str(path), settings)}: {text}" for key, text in options.hints(top))


def _with(document: Any, source: str, settings: Sequence[str]) -> yamlio.Map:
    top = yamlio.as_map(document, source, "an experiment")
    for setting in settings:
        apply_setting(top, setting)
    return top


def keys_table() -> str:
    """The keys as a Markdown table: what ``tqhw run --keys`` prints and docs/experiment.md holds."""
    lines = ["| key | default | meaning |", "| --- | --- | --- |"]
    found = [*documented_keys(Experiment)]
    order = in_order(dict.fromkeys(key.partition(".")[0] for key, _, _ in found))
    rows = sorted(found, key=lambda row: order.index(row[0].partition(".")[0]))
    lines += [f"| `{key}` | `{default}` | {' '.join(meaning.split())} |" for key, default, meaning in rows]
    return "\n".join(lines) + "\n"
