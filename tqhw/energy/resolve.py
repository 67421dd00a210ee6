"""Values of a component file: expressions, the ranges in names, and what Accelergy hands down unasked."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from tqhw.errors import TqhwError
from tqhw.spec.expression import evaluate
from tqhw.spec.yamlio import Quoted

_NAME = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\[([^\[\]]*)\])?\s*")


def resolve(raw: Mapping[str, Any], names: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The values of ``raw``, in order: each sees ``names`` and, before them, the values above it.

    A text in quotes stays as it is; any other is an expression. Raises TqhwError for a bad one.
    """
    result: dict[str, Any] = {}
    for key, value in raw.items():
        if isinstance(value, str) and not isinstance(value, Quoted):
            value = evaluate(value, {**names, **result}, f"{place}: {key}")
            value = Quoted(value) if isinstance(value, str) else value
        result[key] = value
    return result


def number(raw: Any, names: Mapping[str, Any], place: str) -> float:
    """A scale: a number of at least 0, or an expression that gives one."""
    value = resolve({"": raw}, names, place)[""]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise TqhwError(f"'{raw}' gives '{value}', it must be a number of at least 0", place=place)
    return float(value)


def index(text: str, names: Mapping[str, Any], place: str) -> int:
    """One bound of a range. Accelergy cuts a fraction off; here it is an error."""
    value = evaluate(text, names, place)
    if isinstance(value, str) or value != int(value):
        raise TqhwError(f"the range bound '{text}' gives '{value}', it must be a whole number", place=place)
    return int(value)


def bounds(text: str, names: Mapping[str, Any], place: str) -> tuple[int, int]:
    """``first..last``, or a single index, which is both."""
    first, dots, last = text.partition("..")
    low = index(first, names, place)
    high = index(last, names, place) if dots else low
    if high < low:
        raise TqhwError(f"the range '{text}' is {low}..{high}, which ends before it starts", place=place)
    return low, high


def name_and_range(text: str, names: Mapping[str, Any], place: str) -> tuple[str, tuple[int, int] | None]:
    """``cells[1..rows]`` -> ``("cells", (1, 192))``; without brackets the range is None."""
    match = _NAME.fullmatch(text)
    if match is None:
        lever = "one range at most; Accelergy drops every further one"
        raise TqhwError(f"'{text}' must be a name or name[first..last]", place=place, lever=lever)
    name, inside = match.groups()
    return name, None if inside is None else bounds(inside, names, place)


def _lever(key: str) -> str:
    example = {"global_cycle_seconds": "1e-9", "technology": "45nm"}[key]
    file = f"`variables: {{{key}: {example}}}`"
    return f"set it among the architecture's variables; a file of {file} beside it adds variables"


def hand_down(attributes: dict[str, Any], parent: Mapping[str, Any], place: str) -> None:
    """Adds what every component inherits without naming it: cycle time, technology, counts of 1.

    Raises TqhwError where there is no cycle time or technology to inherit.
    """
    for key, default in (
        ("global_cycle_seconds", None),
        ("technology", None),
        ("action_latency_cycles", 1),
        ("n_instances", 1),
    ):
        value = attributes.get(key, parent.get(key, default))
        if key == "technology" and key in attributes:
            continue  # `null` is an answer of its own, by which the Library does not scale
        if value is None:
            raise TqhwError(f"'{key}' is not given", place=place, lever=_lever(key))
        attributes.setdefault(key, value)
    attributes.setdefault("cycle_seconds", attributes["global_cycle_seconds"])
