"""Accelergy's ``aladdin_*`` classes: its Library plug-in's 40 nm, 1 ns entries, scaled to 45 nm.

Source: Accelergy Library plug-in, commit ba4e9da. Every entry is linear in its width, for any width.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tqhw.energy.query import Note, Primitive, Query, table

# The plug-in's factors from 40 to 45 nm. They carry its inverted interpolation between nodes (the right one of
# the same table would give 1.150778 and 1.461538) and were both 1 before January 2025.
ENERGY_SCALE = 1.265241016612673
AREA_SCALE = 1.7384615384615385


def _width_factor(query: Query, entry_bits: int) -> float:
    """The width over the entry's. ``datawidth`` is the plug-in's other name for ``width``: the first given counts."""
    given = [name for name in query.attributes if name in ("width", "datawidth")]
    return query.whole(given[0]) / entry_bits if given else 1.0


def _operand_factor(query: Query, entry_bits: int) -> float:
    operands = [name for name in ("width_a", "width_b") if name in query.attributes]
    if not operands:
        return _width_factor(query, entry_bits)
    if len(operands) == 1 or "width" in query.attributes:
        raise query.refusal(
            "Accelergy multiplies the factors of all widths that it is given",
            "give width_a and width_b and no width",
        )
    return query.whole("width_a") / entry_bits * query.whole("width_b") / entry_bits


def _factor(query: Query, entry_bits: int) -> float:
    if query.class_ == "aladdin_multiplier":
        return _operand_factor(query, entry_bits)
    return _width_factor(query, entry_bits)


def _energy_pj(row: Mapping[str, str], query: Query, action: str, arguments: Mapping[str, Any]) -> float:
    factor = _factor(query, int(row["entry_bits"])) * ENERGY_SCALE
    if action == "leak":
        return float(row["leak_pj_per_ns"]) * factor * query.cycle_seconds / 1e-9
    return float(row["energy_pj"]) * factor if action in row["actions"].split() else 0.0


def _area_um2(row: Mapping[str, str], query: Query) -> float:
    return float(row["area_um2"]) * AREA_SCALE * _factor(query, int(row["entry_bits"]))


def _notes(row: Mapping[str, str], query: Query) -> tuple[Note, ...]:
    bits = int(row["entry_bits"])
    has_width = "width" in query.attributes or "datawidth" in query.attributes
    if query.class_ == "aladdin_multiplier":
        if has_width and query.attributes.get("width") != bits:
            text = (
                f"a multiplier with a lone width is linear in it, as in Accelergy, not quadratic: {bits} x width bits"
            )
            return (Note("caution", f"{text}; give width_a and width_b"),)
        has_width = has_width or "width_a" in query.attributes
    if not has_width and bits > 1:
        ignored = "n_bits is not read; " if "n_bits" in query.attributes else ""
        return (
            Note(
                "caution",
                f"{query.class_} without a width is costed at {bits} bits, as in Accelergy ({ignored}give width)",
            ),
        )
    return ()


def _primitive(row: Mapping[str, str]) -> Primitive:
    return Primitive(
        actions=(*row["actions"].split(), *row["free_actions"].split()),
        energy_pj=partial(_energy_pj, row),
        area_um2=partial(_area_um2, row),
        notes=partial(_notes, row),
    )


def primitives() -> dict[str, Primitive]:
    """The classes by name."""
    return {row["class"]: _primitive(row) for row in table("aladdin_library.csv")}
