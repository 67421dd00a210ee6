"""One error type for everything that a user can mend.

A message says the value, the rule it breaks, the place it stands at and the lever that mends it; the command
line prints it without a traceback and exits with code 2.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MANY = 12
"""So many names are listed beside a suggestion; of more, the suggestion is easier to find alone."""


LONGEST = 300
"""So many characters of a word or of digits are told in a row; whoever wrote more finds it by its beginning."""
_LONG = re.compile(rf"[^\s/]{{{LONGEST + 1},}}")


class TqhwError(Exception):
    """A bad input. ``place`` is a file, line or key; ``lever`` is what to do about it.

    Its text is one line that every terminal can print, whatever the input holds.
    """

    def __init__(self, message: str, *, place: str | None = None, lever: str | None = None) -> None:
        self.message = message
        self.place = place
        self.lever = lever
        text = message if place is None else f"{place}: {message}"
        if lever is not None:
            text = f"{text} ({lever})"
        super().__init__(_printable(text))


def shown(value: Any) -> str:
    """A value for a message, in quotes where it is a text: its beginning, if it is long, deep or without end."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1024:
        return f"a whole number of {value.bit_length()} bits"
    if isinstance(value, dict | list | tuple):
        kind = "map" if isinstance(value, dict) else "list"
        return f"a {kind} of {len(value)}"
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def no_file(path: object, lever: str | None = None) -> TqhwError:
    """The error for a path that is no file: a folder, or nothing that is there."""
    rule = "is a folder, where a file is needed" if Path(str(path)).is_dir() else "there is no such file"
    return TqhwError(rule, place=str(path), lever=lever)


def _printable(text: str) -> str:
    """``text`` in one line, with escapes for what is no character of a line, and long runs cut."""
    text = _LONG.sub(lambda run: f"{run[0][:60]}... ({len(run[0])} characters)", " ".join(text.splitlines()))
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def nearest(name: str, known: Iterable[str]) -> str:
    """A lever that names the known name nearest to ``name`` and lists the others."""
    names = [str(k) for k in known]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    folded = {k.lower(): k for k in names}
    if name.lower() in folded:
        close = [folded[name.lower()]]
    if close and len(names) > MANY:
        return f"did you mean '{close[0]}'?"
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}known: {', '.join(names)}" if names else "none is known here"


def unknown(
    kind: str,
    name: str,
    known: Iterable[str],
    place: str | None = None,
    elsewhere: Mapping[str, Iterable[str]] | None = None,
) -> TqhwError:
    """The error for a misspelt or unknown name of a ``kind`` (level, dimension, option, ...).

    ``elsewhere``: names that other places take, by the place in words: a name that is one of them belongs there.
    """
    homes = [home for home, names in (elsewhere or {}).items() if name in names]
    lever = f"it belongs to {' or '.join(homes)}; known: {', '.join(known)}" if homes else nearest(name, known)
    return TqhwError(f"unknown {kind} '{name}'", place=place, lever=lever)
