"""A figure in all formats; and figures of earlier runs, kept by a hash of all that decides them."""

from __future__ import annotations

import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tqhw.errors import TqhwError
from tqhw.results import Results
from tqhw.system.files import content_digest
from tqhw.system.json_files import checked
from tqhw.system.kept_answers import KeptAnswers, cache_folder, digest
from tqhw.system.packaged import code_digest, runs_as_read

PRINTERS = ("matplotlib", "numpy", "pillow", "fonttools", "kiwisolver")  # packages whose version may change a byte
MOST = 400  # figures, of about 150 kB each
FOLDERS = ("hardware", "problems")  # of a run, what figures may look at


@dataclass(frozen=True)
class FigureFiles:
    """A figure in all formats."""

    png: bytes
    svg: str
    pdf: bytes


@dataclass(frozen=True)
class _KeptFigure:
    """The same as JSON has it."""

    png: str
    svg: str
    pdf: str


class KeptFigures:
    """The figures of some results, and of the folder of their ``run``: drawn once, and taken from then on."""

    def __init__(self, results: Results, run: Path | None) -> None:
        self._answers = KeptAnswers(cache_folder() / "figures.sqlite", "figures", "cache of figures", "drawn", MOST)
        self._told: set[str | None] = {None}
        seen = [] if run is None else [content_digest(run / folder) for folder in FOLDERS]
        text = json.dumps(replace(results, provenance={}).as_json())  # in the order of its keys, which may be drawn
        self._of = digest([code_digest(*PRINTERS), text, seen])

    def taken(self, name: str, draw: Callable[[], FigureFiles]) -> FigureFiles:
        """The figure of that name, which ``draw`` draws where it is not kept."""
        key = digest([name, self._of])
        found = _figure(self._answers, key)
        if found is None:
            found = draw()
            if runs_as_read():
                self._answers.put(key, {"png": _text(found.png), "svg": found.svg, "pdf": _text(found.pdf)})
        if self._answers.warning not in self._told:
            logging.getLogger("tqhw").warning(self._answers.warning)
            self._told.add(self._answers.warning)
        return found


def _figure(answers: KeptAnswers, key: str) -> FigureFiles | None:
    payload = answers.get(key)
    if payload is None:
        return None
    try:
        kept = checked(_KeptFigure, payload, str(answers.path), what="a figure")
        return FigureFiles(b64decode(kept.png, validate=True), kept.svg, b64decode(kept.pdf, validate=True))
    except (TqhwError, ValueError):
        answers.doubt("what is kept is no figure")
        return None


def _text(content: bytes) -> str:
    return b64encode(content).decode("ascii")
