"""Results of earlier versions, brought to the form of today's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# How version 1 named and drew its methods, of which its results said nothing.
_METHODS: Final = (
    ("truncquant", "TruncQuant", "#0072B2", {"marker": "o", "zorder": 4}, True, ""),
    ("any_precision", "Any-Precision", "#D55E00", {"marker": "s", "zorder": 3}, True, "requantize"),
    (
        "multi_model",
        "Multi-model",
        "#009E73",
        {"marker": "^", "markerfacecolor": "white", "markersize": 6.5, "zorder": 3},
        True,
        "",
    ),
    ("fixed", "Fixed", "#000000", {"linestyle": ":", "zorder": 2}, False, ""),
)
_FIELDS: Final = ("name", "label", "colour", "style", "switches", "choice")


def upgraded(document: Any) -> Any:
    """A document of schema version 1 in the form of version 2; any other as it is."""
    if not isinstance(document, dict) or document.get("schema_version") != 1:
        return document
    summary = document.get("summary")
    rows = [_ratio(row) for row in summary] if isinstance(summary, list) else summary
    methods = [dict(zip(_FIELDS, row, strict=True)) for row in _METHODS]
    return {**document, "schema_version": 2, "methods": methods, "summary": rows}


def _ratio(row: Any) -> Any:
    """``any_precision (fused)`` was one text."""
    if not isinstance(row, Mapping):
        return row
    found = dict(row)
    for side in ("numerator", "denominator"):
        text = found.get(side)
        method, bracket, way = text.partition(" (") if isinstance(text, str) else (text, "", "")
        found[side], found[f"{side}_way"] = method, way.removesuffix(")") if bracket else None
    return found
