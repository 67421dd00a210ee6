"""In what two JSON documents differ, key by key, as a message needs it."""

from __future__ import annotations

import json
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


def _text(value: Any) -> str:
    if value is _ABSENT:
        return "not given"
    if isinstance(value, Mapping):
        return "a section"
    return value if isinstance(value, str) else json.dumps(value)
