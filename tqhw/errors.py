"""One error type for everything that a user can mend.

A message says the value, the rule it breaks, the place it stands at and the lever that mends it; the command
line prints it without a traceback and exits with code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MANY = 12
"""So many names are listed beside a suggestion; of more, the suggestion is easier to find alone."""


class TqhwError(Exception):
    """A bad input. ``place`` is a file, line or key; ``lever`` is what to do about it."""

    def __init__(self, message: str, *, place: str | None = None, lever: str | None = None) -> None:
        self.message = message
        self.place = place
        self.lever = lever
        text = message if place is None else f"{place}: {message}"
        if lever is not None:
            text = f"{text} ({lever})"
        super().__init__(text)


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


def unknown(kind: str, name: str, known: Iterable[str], place: str | None = None) -> TqhwError:
    """The error for a misspelt or unknown name of a ``kind`` (level, dimension, option, ...)."""
    return TqhwError(f"unknown {kind} '{name}'", place=place, lever=nearest(name, known))
