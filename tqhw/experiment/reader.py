"""Reading experiment files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqhw.experiment.schema import Experiment
from tqhw.options import apply_setting, documented_keys, read
from tqhw.spec import yamlio


def load(path: str | Path, settings: Sequence[str] = ()) -> Experiment:
    """The experiment in a YAML file, with ``key.sub=value`` settings on top.

    Raises TqhwError with line, nearest known key and rule for whatever does not fit.
    """
    return parse(yamlio.load(path), str(path), settings)


def parse(document: Any, source: str = "experiment", settings: Sequence[str] = ()) -> Experiment:
    """A YAML document as an experiment; see :func:`load`."""
    top = yamlio.as_map(document, source, "an experiment")
    for setting in settings:
        apply_setting(top, setting)
    return read(Experiment, top, source, settings)


def keys_table() -> str:
    """The keys as a Markdown table: what ``tqhw run --keys`` prints and docs/experiment.md holds."""
    lines = ["| key | default | meaning |", "| --- | --- | --- |"]
    rows = documented_keys(Experiment)
    lines += [f"| `{key}` | `{default}` | {' '.join(meaning.split())} |" for key, default, meaning in rows]
    return "\n".join(lines) + "\n"
