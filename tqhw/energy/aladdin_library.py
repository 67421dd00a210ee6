"""Accelergy's ``aladdin_*`` classes: its Library plug-in's 40 nm, 1 ns entries, scaled to a technology node.

Source: Accelergy Library plug-in, commit ba4e9da. Every entry is linear in its width, for any width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from tqhw.energy.library_scale import area_scale, energy_scale
from tqhw.energy.query import Note, Primitive, Query, table
from tqhw.energy.technology import LEAST_NM, MOST_NM, library_nm


def _widths(query: Query) -> tuple[str, ...]:
    """The attributes that count as widths. ``datawidth`` is another name for ``width``: the first of them counts."""
    operands = tuple(name for name in ("width_a", "width_b") if name in query.attributes)
    if query.class_ != "aladdin_multiplier" or not operands:
        return tuple(name for name in query.attributes if name in ("width", "datawidth"))[:1]
    if len(operands) == 1 or "width" in query.attributes:
        raise query.refusal(
            "Accelergy multiplies the factors of all widths that it is given",
            "give width_a and width_b and no width",
        )
    return operands


def _factor(query: Query, entry_bits: int, node: float, cycles: float = 1.0) -> float:
    """The product of a factor per attribute, in the order of the attributes."""
    factors = {name: query.whole(name) / entry_bits for name in _widths(query)}
    factors.update(technology=node, global_cycle_seconds=cycles)
    return math.prod(factors[name] for name in query.attributes if name in factors)


def _node(query: Query) -> float | None:
    """The node to scale to. Raises TqhwError for a technology that the plug-in refuses."""
    technology = query.attributes.get("technology")
    try:
        return library_nm(technology)
    except ValueError:
        raise query.refusal(
            f"technology '{technology}' is no node from {LEAST_NM} to {MOST_NM} nm",
            'write it as "45nm", or give an ERT and ART that Accelergy made',
        ) from None


def _energy_j(row: Mapping[str, str], query: Query, action: str, arguments: Mapping[str, Any]) -> float:
    bits = int(row["entry_bits"])
    if action == "leak":
        factor = _factor(query, bits, energy_scale(_node(query)), query.cycle_seconds / 1e-9)
        return float(row["leak_pj_per_ns"]) * factor * 1e-12
    charged = action in row["actions"].split()
    return float(row["energy_pj"]) * _factor(query, bits, energy_scale(_node(query))) * 1e-12 if charged else 0.0


def _area_m2(row: Mapping[str, str], query: Query) -> float:
    return float(row["area_um2"]) * _factor(query, int(row["entry_bits"]), area_scale(_node(query))) * 1e-12


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
        energy_j=partial(_energy_j, row),
        area_m2=partial(_area_m2, row),
        notes=partial(_notes, row),
        reads=("width", "datawidth", *(("width_a", "width_b") if row["class"] == "aladdin_multiplier" else ())),
    )


def primitives() -> dict[str, Primitive]:
    """The classes by name."""
    return {row["class"]: _primitive(row) for row in table("aladdin_library.csv")}
