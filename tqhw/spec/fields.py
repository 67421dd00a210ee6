"""Checks of single fields of a document: what a stranger wrote is a list, a name, a number, or is refused."""

from __future__ import annotations

import re
import sys
from typing import Any

from tqhw.errors import TqhwError

_NAME = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)


LARGEST = 2**53
"""Above it a double, in which energies are added up, does not hold every whole number."""
_LARGEST_DOUBLE = sys.float_info.max


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{str(value)[:60]!r}"


def as_list(value: Any, place: str, what: str) -> list[Any]:
    """``value`` if it is a list; nothing is the empty list. A bare word is refused, not read letter by letter."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise TqhwError(
            f"{what} must be a list, found {_shown(value)}", place=place, lever=f"write [{str(value)[:60]}]"
        )
    return list(value)


def as_name(value: Any, place: str, what: str) -> str:
    """``value`` if it is a name that Timeloop and Accelergy can carry through their files."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise TqhwError(
            f"{what} must be a name, found {_shown(value)}",
            place=place,
            lever="a letter or _, then letters, digits, _ and -",
        )
    return str(value)


def as_names(value: Any, place: str, what: str, star: bool = False) -> tuple[str, ...]:
    """A list of names; nothing is the empty list. ``star``: ``*``, which means all of them, is allowed too."""
    items = as_list(value, place, what)
    return tuple("*" if star and v == "*" else as_name(v, place, f"an entry of {what}") for v in items)


def is_whole(value: Any, least: int = 1) -> bool:
    """A whole number (``4`` or ``4.0``, not ``true``) of at least ``least`` that a double holds."""
    return is_number(value) and value == int(value) and value >= least


def is_number(value: Any) -> bool:
    """A finite number that a double holds, not ``true``."""
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= _LARGEST_DOUBLE


def as_flag(value: Any, place: str, what: str) -> bool:
    """``true`` or ``false``."""
    if not isinstance(value, bool):
        raise TqhwError(f"{what} must be true or false, found {_shown(value)}", place=place)
    return value
