"""The values that a key takes: a list, a range, or draws."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tqhw.errors import TqhwError, shown, unknown

MAX_VALUES = 100_000
"""Of one key."""
_RANGE = ("from", "to", "step", "times")
_DRAW = ("from", "to", "log")


def listed(given: Any, place: str) -> list[Any]:
    """A list, or a range with both ends: {from: 1, to: 9, step: 2}, or by a factor, {from: 8, to: 64, times: 2}.

    Raises TqhwError for anything else, and for nothing.
    """
    if isinstance(given, Mapping) and "from" in given:
        given = _range(given, place)
    if not isinstance(given, list):
        lever = "write [2, 4, 8], {from: 2, to: 8, step: 2} or {from: 2, to: 8, times: 2}"
        raise TqhwError(f"{shown(given)} is no list of values", place=place, lever=lever)
    if not given:
        raise TqhwError("the list of values is empty", place=place, lever="give one at least")
    return given


def _range(given: Mapping[str, Any], place: str) -> list[Any]:
    _known(given, _RANGE, place)
    low, high = _number(given, "from", place), _number(given, "to", place)
    if "times" in given and "step" in given:
        raise TqhwError("step and times are two kinds of ranges", place=place, lever="give one of them")
    factor, step = given.get("times"), given.get("step", 1)
    by = _number(given, "times", place) if factor is not None else _number({"step": step}, "step", place)
    if (factor is None and by <= 0) or (factor is not None and (by <= 1 or low <= 0)):
        lever = "step is above 0, times above 1, and a range by factors starts above 0"
        raise TqhwError("the range does not go up", place=place, lever=lever)
    if low > high:
        lever = "give the lower end as from"
        raise TqhwError(f"the list of values is empty: from {low:g} to {high:g}", place=place, lever=lever)
    values: list[Any] = []
    while True:
        number = len(values)
        value = low + number * by if factor is None else low * by**number
        if value > high * (1 + 1e-12):
            return values
        if number == MAX_VALUES:
            raise TqhwError(f"the range has more than {MAX_VALUES} values", place=place, lever="take wider steps")
        values.append(value)


def once(values: Sequence[Any], place: str) -> None:
    """Raises TqhwError for a value that stands twice: its points would be equal."""
    seen: set[str] = set()
    for value in values:
        told = json.dumps(value, sort_keys=True, default=str)
        if told in seen:
            raise TqhwError(f"{told} is given twice", place=place, lever="equal points are counted once: keep one")
        seen.add(told)


def drawn(given: Any, place: str) -> Callable[[random.Random], Any]:
    """How a value is drawn: one of a list, or from a range, whole where both ends are, of magnitudes with log: true."""
    if isinstance(given, list):
        values = listed(given, place)
        return lambda source: values[source.randrange(len(values))]
    if not isinstance(given, Mapping) or not {"from", "to"} <= given.keys():
        lever = "write [2, 4, 8], {from: 2, to: 8} or {from: 2, to: 512, log: true}"
        raise TqhwError(f"{shown(given)} is nothing to draw from", place=place, lever=lever)
    _known(given, _DRAW, place)
    low, high = _number(given, "from", place), _number(given, "to", place)
    log = given.get("log", False)
    if not isinstance(log, bool) or high < low or (log and low <= 0):
        raise TqhwError("the range is none", place=place, lever="from is at most to; with log: true it is above 0")
    whole = isinstance(low, int) and isinstance(high, int)

    def draw(source: random.Random) -> Any:
        if whole and not log:
            return source.randint(int(low), int(high))
        value = math.exp(source.uniform(math.log(low), math.log(high))) if log else source.uniform(low, high)
        return min(max(round(value), low), high) if whole else value

    return draw


def _known(given: Mapping[str, Any], keys: tuple[str, ...], place: str) -> None:
    for key in given:
        if key not in keys:
            raise unknown("key of a range", str(key), keys, place)


def _number(given: Mapping[str, Any], key: str, place: str) -> float:
    value = given.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TqhwError(f"{key} is {shown(value)}, no number", place=place)
    return value
