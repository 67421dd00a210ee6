"""Accelergy's Aladdin plug-in beyond single units: register files, crossbars and wires, by its own formulas.

Source: accelergy-aladdin-plug-in, commit 5e2e126, which knows 40 and 45 nm only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tqhw.energy.aladdin_plugin import PLAIN, check_node, entry
from tqhw.energy.query import Note, Primitive, Query

_FJ_PER_BIT_MM = 0.2 * 1.627e-15  # J per bit and um of a wire
_UNITS_UM = {"mm": 1e3, "um": 1.0, "nm": 1e-3}


def _seconds(query: Query, arguments: Mapping[str, Any]) -> float:
    asked = replace(query, attributes={**query.attributes, **arguments})
    return query.cycle_seconds * asked.number("action_latency_cycles", 1)


def _regfile(query: Query, value: str, latency: float, compare_latency: float) -> float:
    depth = query.whole("depth")
    comparisons = depth * math.ceil(math.log2(depth)) / 32
    one_bit, compare = (
        entry(name, value, query, at) for name, at in (("reg", latency), ("comparator", compare_latency))
    )
    return one_bit + compare * comparisons


def _regfile_energy_j(query: Query, action: str, arguments: Mapping[str, Any]) -> float:
    check_node(query)
    latency = _seconds(query, arguments)
    return _regfile(query, "idle_pj" if action == "leak" else "dynamic_pj", latency, latency) * 1e-12


def _regfile_area_m2(query: Query) -> float:
    check_node(query)
    return _regfile(query, "area_um2", query.cycle_seconds, 5e-9) * 1e-12  # its comparators are of the 5 ns row


def _regfile_notes(query: Query) -> tuple[Note, ...]:
    text = "regfile costs the same for every width, as in Accelergy: one bit of a register and the comparators"
    return (Note("caution", f"{text}; give an ERT, or take the subclass register_file, for energies that follow it"),)


def _crossings(query: Query) -> float:
    return query.whole("n_inputs") * query.whole("n_outputs") / 4 * query.whole("width") / 32


def _crossbar_energy_j(query: Query, action: str, arguments: Mapping[str, Any]) -> float:
    check_node(query)
    value = "idle_pj" if action == "leak" else "dynamic_pj"
    return entry("crossbar", value, query, _seconds(query, arguments)) * _crossings(query) * 1e-12


def _crossbar_area_m2(query: Query) -> float:
    check_node(query)
    return entry("crossbar", "area_um2", query, query.cycle_seconds) * _crossings(query) * 1e-12


def _wire_energy_j(query: Query, action: str, arguments: Mapping[str, Any]) -> float:
    check_node(query)
    return 0.0 if action == "leak" else query.whole("width") * _FJ_PER_BIT_MM * _length_um(query)


def _wire_area_m2(query: Query) -> float:
    _wire_energy_j(query, "leak", {})
    return 0.0


def _length_um(query: Query) -> float:
    text = str(query.attributes.get("length"))
    for unit, um in _UNITS_UM.items():
        if unit in text:
            number, factor = text.partition(unit)[0], um
            break
    else:
        number, factor = text, 1.0
    try:
        return float(number) * factor
    except ValueError:
        raise query.refusal(
            f"length '{text}' is no length", 'write it as "1mm", "100um", "500nm" or a number of um'
        ) from None


def primitives() -> dict[str, Primitive]:
    """The classes by name."""
    return {
        "regfile": Primitive(PLAIN, _regfile_energy_j, _regfile_area_m2, _regfile_notes, reads=("depth", "width")),
        "crossbar": Primitive(
            ("transfer", "transfer_random", *PLAIN),
            _crossbar_energy_j,
            _crossbar_area_m2,
            reads=("n_inputs", "n_outputs", "width"),
        ),
        "wire": Primitive(("transfer", "transfer_random"), _wire_energy_j, _wire_area_m2, reads=("width", "length")),
    }
