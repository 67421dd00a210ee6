"""In what two JSON documents differ, key by key, as a message needs it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

_ABSENT: Final = object()


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The keys whose values differ, nested ones as ``section.key``, with both values as YAML writes them."""
    found: dict[str, tuple[str, str]] = {}
    for key in sorted({*there, *here}):
        one, other = there.get(key, _ABSENT), here.get(key, _ABSENT)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found |= {f"{key}.{inner}": values for inner, values in differences(one, other).items()}
        elif one != other:
            found[key] = _text(one), _text(other)
    return found


def beyond_rounding(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """:func:`differences`, but for the last bits of numbers in lists, in which sums of another machine may differ."""
    near = {key for key in {*there} & {*here} if _near(there[key], here[key])}
    return differences(*({key: value for key, value in one.items() if key not in near} for one in (there, here)))


def _near(one: Any, other: Any) -> bool:
    if not isinstance(one, list) or not isinstance(other, list) or len(one) != len(other):
        return bool(one == other)
    numbers = all(isinstance(value, int | float) for value in (*one, *other))
    return numbers and all(math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-6) for a, b in zip(one, other, strict=True))


def _text(value: Any) -> str:
    if value is _ABSENT:
        return "not given"
    if isinstance(value, Mapping):
        return "a section"
    return value if isinstance(value, str) else json.dumps(value)
