"""Top-level sections and versions of Timeloop documents: what a reader takes, passes by, or may not miss.

Source: timeloopfe v4 ``specification.py``. A file may hold a whole specification; who reads one section of it says
which others stood there.
"""

from __future__ import annotations

from tqhw.errors import TqhwError, unknown
from tqhw.spec.yamlio import Map

VERSION = "0.4"
_SECTIONS = (
    *("architecture", "variables", "components", "compound_components", "constraints", "problem", "mapping"),
    *("mapper", "mapspace", "sparse_optimizations", "globals", "ERT", "ART"),
)
_PARTS = ("components", "constraints", "mapping", "globals")  # also as a part of a longer name
_CHANGE_NUMBERS = {  # what would give other numbers if it were read
    "sparse_optimizations": "sparse optimizations are not modelled; remove the section",
    "globals": "functions and variables of one's own are not run here; write the values out",
    "constraints": "write them at their nodes, under `constraints:`",
}


def passed_by(top: Map, read: tuple[str, ...]) -> tuple[str, ...]:
    """A note on the sections beside those that are ``read``; empty where there is none.

    Raises TqhwError for a section that would change the numbers, and for one that Timeloop does not have.
    """
    others = []
    for key, value in top.items():
        if key in read or "ignore" in key:
            continue
        kind = key if key in _SECTIONS else next((part for part in _PARTS if part in key), None)
        if kind is None:
            raise unknown("section", key, dict.fromkeys((*read, *_SECTIONS)), top.place(key))
        if kind in _CHANGE_NUMBERS and not _empty(value):
            raise TqhwError(f"the section '{key}' is not read", place=top.place(key), lever=_CHANGE_NUMBERS[kind])
        others.append(key)
    return (f"{top.source}: not read here: {', '.join(others)}",) if others else ()


def _empty(value: object) -> bool:
    return not value or (
        isinstance(value, Map) and all(key == "version" or _empty(part) for key, part in value.items())
    )


def check_version(entry: Map) -> None:
    """Refuses a ``version`` that does not fit a v0.4 document; without one, nothing is said."""
    version = entry.get("version")
    if version is not None and str(version) != VERSION:
        raise TqhwError(
            f"version '{version}' does not fit: what follows is read as {VERSION}",
            place=entry.place("version"),
            lever=f"write `version: {VERSION}` if it is; trees of v0.2 and v0.3 have `subtree` and `local`",
        )
