"""Accelergy's Aladdin plug-in: integer and float units from 40 nm tables, used unscaled for 45 nm; no other node.

Source: accelergy-aladdin-plug-in, commit 5e2e126. The cycle time picks the row of a table; adders are linear in
their bits, multipliers quadratic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from tqhw.energy.query import Note, Primitive, Query, table
from tqhw.energy.technology import is_aladdin


@dataclass(frozen=True)
class _Unit:
    """One table, how many bits its entries have, the power of the bits that it scales with, and how.

    ``sloped``: by the slope of a line (or parabola) from zero through the entry, else by the share of the bits.
    """

    table: str
    entry_bits: int
    power: int = 1
    sloped: bool = False

    def scaled(self, entry: float, bits: int) -> float:
        """The entry for a number of bits, rounded as the plug-in's own arithmetic rounds it."""
        if bits == self.entry_bits:
            return entry
        if self.sloped:
            return float(entry / self.entry_bits**self.power * bits**self.power)
        return entry * (bits / self.entry_bits)


_FLOAT = {  # up to 32 bits, above
    "add": (_Unit("fp_sp_adder", 32, 1, True), _Unit("fp_dp_adder", 64, 1, True)),
    "multiply": (_Unit("fp_sp_multiplier", 32, 2, True), _Unit("fp_dp_multiplier", 64, 2, True)),
}
_INTEGER: dict[str, tuple[_Unit, ...]] = {
    "reg": (_Unit("reg", 1),),
    "comparator": (_Unit("comparator", 32),),
    "counter": (_Unit("counter", 32),),
    "bitwise": (_Unit("bitwise", 1),),
    "intadder": (_Unit("adder", 32, 1, True),),
    "intmultiplier": (_Unit("multiplier", 32, 2, True),),
}
_INTEGER["intmac"] = (*_INTEGER["intadder"], *_INTEGER["intmultiplier"])
_FLOATS = {"fpadder": ("add",), "fpmultiplier": ("multiply",), "fpmac": ("add", "multiply")}

# The plug-in charges the full energy for any name but leak, `idle` and most `*_gated` included: only names that
# mean what they cost are known here.
PLAIN = ("access", "read", "write", "update", "compute")
_ACTIONS = {
    "comparator": ("compare",),
    "counter": ("count",),
    "bitwise": ("process",),
    "intadder": ("add", "add_random"),
    "fpadder": ("add", "add_random"),
    "intmultiplier": ("multiply", "mult_random", "mult_reused", "mult_gated"),
    "fpmultiplier": ("multiply", "mult_random", "mult_reused", "mult_gated"),
    "fpmac": ("mac", "mac_random"),
    "intmac": ("mac", "mac_random", "mac_gated", "mac_reused"),
}


@cache
def _rows(name: str) -> dict[str, Mapping[str, str]]:
    return {row["latency_ns"]: row for row in table("aladdin_tables.csv") if row["table"] == name}


def table_row(name: str, latency_seconds: float) -> Mapping[str, str]:
    """The row that the plug-in takes for a latency: the next whole ns, the table's first row where it has none."""
    seconds = math.ceil(latency_seconds * 1e9) / 1e9 if latency_seconds > 0.75e-9 else 0.5e-9
    if seconds > 10e-9:
        seconds = 10e-9
    elif seconds > 6e-9:
        seconds = 6e-9
    rows = _rows(name)
    return rows.get(f"{seconds * 1e9:g}") or next(iter(rows.values()))


def entry(name: str, value: str, query: Query, latency_seconds: float) -> float:
    """``value`` of a table's row for a latency; an idle energy is for a cycle, not for the row's time."""
    row = table_row(name, latency_seconds)
    found = float(row[value])
    return found * (query.cycle_seconds / (float(row["latency_ns"]) * 1e-9)) if value == "idle_pj" else found


def check_node(query: Query) -> None:
    """Raises TqhwError where the plug-in does not answer, which is everywhere but at 40 and 45 nm."""
    technology = query.attributes.get("technology")
    if not is_aladdin(technology):
        raise query.refusal(
            f"technology '{technology}' is not tabulated, Accelergy's Aladdin plug-in knows 40 and 45 nm",
            f"{_ELSEWHERE.get(query.class_, 'take aladdin_ units, which scale')}, or give an ERT and ART",
        )


_ELSEWHERE = {
    "intadder": "take aladdin_adder, or give n_bits and set energy.adder: neurosim",
    "intmultiplier": "take aladdin_multiplier",
    "intmac": "take int_mac",
    "regfile": "take the subclass register_file",
    "reg": "take aladdin_register",
    "comparator": "take aladdin_comparator",
    "counter": "take aladdin_counter",
}


def _units(query: Query) -> tuple[tuple[_Unit, int], ...]:
    """The tables of a class, each with the bits to cost."""
    if query.class_ not in _FLOATS:
        return tuple((unit, query.whole("width")) for unit in _INTEGER[query.class_])
    bits = query.whole("exponent") + query.whole("mantissa")
    if bits > 64:
        raise query.refusal(f"exponent + mantissa of {bits} bits is above the 64 that are tabulated")
    return tuple((_FLOAT[kind][bits > 32], bits) for kind in _FLOATS[query.class_])


def _energy_j(query: Query, action: str, arguments: Mapping[str, Any]) -> float:
    check_node(query)
    cycle = query.cycle_seconds
    asked = replace(query, attributes={**query.attributes, **arguments})
    latency = cycle * asked.number("action_latency_cycles", 1)
    total = 0.0
    for unit, bits in _units(query):
        multiplies = unit.power == 2
        if action == "leak" or (multiplies and action.endswith("_gated")):
            total += unit.scaled(entry(unit.table, "idle_pj", query, latency), bits)
        else:
            reused = multiplies and action.endswith("_reused")
            total += (0.85 if reused else 1.0) * unit.scaled(entry(unit.table, "dynamic_pj", query, latency), bits)
    return total * 1e-12


def _area_m2(query: Query) -> float:
    check_node(query)
    cycle = query.cycle_seconds
    areas = (unit.scaled(float(table_row(unit.table, cycle)["area_um2"]), bits) for unit, bits in _units(query))
    return sum(areas) * 1e-12


def _notes(query: Query) -> tuple[Note, ...]:
    if query.class_ == "bitwise" and query.whole("width") > 1:
        return (Note("caution", "bitwise counts its entry once per bit, which is probably a whole word's"),)
    if query.class_ in ("fpmultiplier", "fpmac"):
        return (Note("caution", "the plug-in's float multiplier area equals its adder's, probably a copy"),)
    return ()


def primitives() -> dict[str, Primitive]:
    """The classes by name."""
    return {
        name: Primitive(
            (*_ACTIONS.get(name, ()), *PLAIN),
            _energy_j,
            _area_m2,
            _notes,
            reads=("exponent", "mantissa")
            if name in _FLOATS
            else ("width", "n_bits")
            if name == "intadder"
            else ("width",),
        )
        for name in (*_INTEGER, *_FLOATS)
    }
