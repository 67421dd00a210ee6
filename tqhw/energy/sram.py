"""On-chip SRAM: CACTI 7 as Accelergy's CACTI plug-in calls it, from tables of its answers.

Source: accelergy-cacti-plug-in, commit 291018b, with CACTI 1ffd8df. A macro that CACTI cannot make (narrower than
32 bits, a width that is no multiple of 8, fewer than 64 rows per bank) is a scaled one, and one at another node is
made of those at CACTI's own nodes, both by the plug-in's own rules. Between tabulated sizes the macro is interpolated,
and says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tqhw.energy.query import Note, Primitive, Query
from tqhw.energy.sram_columns import along, deepest
from tqhw.energy.sram_tables import BANKS, CACTI_NODES, Macro, answers, asked, between, bounds, macros
from tqhw.energy.technology import LEAST_NM, MOST_NM, cacti_nm
from tqhw.errors import TqhwError

# Error of the interpolation, measured on fresh random sizes (data/README.md).
ERROR = (
    "median / 90th percentile / largest in %: read 0.1 / 0.3 / 8.0, write 0.1 / 0.4 / 3.5, leak 0.2 / 0.7 / 3.8,"
    " area 0.1 / 0.6 / 15.4"
)


def sram_macro(
    width: int, depth: int, banks: int = 1, ports: int = 1, place: str | None = None, node: int = 45
) -> Macro:
    """The SRAM of ``depth`` rows of ``width`` bits in ``banks`` banks with ``ports`` read-write ports at ``node`` nm.

    Raises TqhwError where neither the table nor an interpolation in it has that size.
    """
    parts = [(_at(base, width, depth, banks, ports, place), factors) for base, factors in _bases(node)]
    if len(parts) == 1 and parts[0][1] == (1.0, 1.0, 1.0, 1.0):
        return parts[0][0]
    fields = ("read_j", "leak_w", "area_m2", "cycle_s")

    def total(name: str, factor: str) -> float:
        return math.fsum(getattr(macro, name) * factors[fields.index(factor)] for macro, factors in parts)

    return Macro(
        total("read_j", "read_j"),
        total("write_j", "read_j"),
        total("leak_w", "leak_w"),
        total("area_m2", "area_m2"),
        total("cycle_s", "cycle_s"),
        next((macro.interpolated for macro, _ in parts if macro.interpolated), ""),
    )


Factors = tuple[float, float, float, float]
"""Of the dynamic energies, the leakage, the area and the time between two accesses."""


def _bases(node: int) -> list[tuple[int, Factors]]:
    """CACTI's own nodes that the plug-in runs for a node, with the factors by which their answers are summed."""
    low, high = CACTI_NODES[0], CACTI_NODES[-1]
    if node < low:  # IRDS 2022's FinFETs, as the plug-in reads them
        ratio = node / low
        return [(low, (ratio**0.5, 0.79 * ratio**0.5, ratio, 1.0))]
    if node > high:
        ratio = (node / high) ** 2
        return [(high, (ratio,) * 4)]
    below, above = max(n for n in CACTI_NODES if n <= node), min(n for n in CACTI_NODES if n >= node)
    if below == above:
        return [(node, (1.0,) * 4)]
    share = (node - below) / (above - below)
    return [(below, (1 - share,) * 4), (above, (share,) * 4)]


def _at(node: int, width: int, depth: int, banks: int, ports: int, place: str | None) -> Macro:
    """The macro at one of CACTI's own nodes: by the plug-in's rule from CACTI's answer, or as Accelergy gave it."""
    asked_width, asked_depth, asked_banks = asked(width, depth, banks)
    answer = answers().get((depth, width, banks, ports)) if node == 45 else None
    if answer is not None and (asked_depth, asked_width, asked_banks, ports) not in macros(node):
        return answer
    return _by_rule(node, width, depth, banks, ports, place)


def _by_rule(node: int, width: int, depth: int, banks: int, ports: int, place: str | None) -> Macro:
    """The macro that CACTI is asked for instead, scaled to the size."""
    asked_width, asked_depth, asked_banks = asked(width, depth, banks)
    width_share, depth_share = width / asked_width, depth / asked_depth
    macro = _cacti(node, asked_width, asked_depth, asked_banks, ports, place)
    return macro.scaled(
        dynamic=(0.7 * width_share + 0.3) * depth_share ** (1.56 / 2),
        banks=banks / asked_banks,
        size=width_share * depth_share,
    )


def _cacti(node: int, width: int, depth: int, banks: int, ports: int, place: str | None) -> Macro:
    """A macro that CACTI itself can make, tabulated or interpolated."""
    own = macros(node).get((depth, width, banks, ports))
    if own is not None:
        return own
    what = f"SRAM of {depth} rows x {width} bits, {banks} bank{'s' * (banks > 1)}, {ports} port{'s' * (ports > 1)}"
    if banks not in BANKS or ports != 1:
        raise TqhwError(
            f"{what} is not tabulated: between tabulated sizes there are {', '.join(map(str, BANKS))} banks, 1 port",
            place=place,
            lever="choose one of these counts, or give an ERT and ART that Accelergy made",
        )
    found = along(node, depth, width, banks) or between(node, depth, width, banks)
    if found is None:
        (least, _), (most, widest) = bounds(node, banks)
        raise TqhwError(
            f"{what} is out of range: tabulated are {least} to {max(most, deepest(node, banks))} rows and up to"
            f" {widest} bits",
            place=place,
            lever="split the memory, or give an ERT and ART that Accelergy made",
        )
    return found


def _macro(query: Query) -> Macro:
    width, depth, banks, ports = (query.whole(name, default) for name, default in _SIZES)
    return sram_macro(width, depth, banks, ports, query.place, _node(query))


def _node(query: Query) -> int:
    """The node that the plug-in reads. Raises TqhwError where it refuses the technology, or the tables end."""
    technology = query.attributes.get("technology")
    try:
        return cacti_nm(technology)
    except ValueError:
        raise query.refusal(
            f"technology '{technology}' is no whole node from {LEAST_NM} to {MOST_NM} nm",
            'write it as "45nm", or give an ERT and ART that Accelergy made',
        ) from None


_NOT_READ = ("n_rdwr_ports", "n_rd_ports", "n_wr_ports", "n_ports", "num_ports")
_SIZES = (("width", None), ("depth", None), ("n_banks", 1), ("n_rw_ports", 1))


def _energy_j(query: Query, action: str, arguments: Mapping[str, Any]) -> float:
    macro = _macro(query)
    if action == "leak":
        seconds = replace(query, attributes={**query.attributes, **arguments}).cycle_seconds
        return macro.leak_w * seconds
    # The plug-in's rough split: 30 % decode the address, 70 % move the data.
    share = 0.7 * bool(arguments.get("data_delta", True)) + 0.3 * bool(arguments.get("address_delta", True))
    return (macro.read_j if action == "read" else macro.write_j) * share


def _notes(query: Query) -> tuple[Note, ...]:
    macro = _macro(query)
    banks = query.whole("n_banks", 1)
    size = f"SRAM {query.whole('depth')} x {query.whole('width')} bits in {banks} bank{'s' * (banks > 1)}"
    notes = []
    if macro.interpolated:
        text = f"{size} interpolated between {macro.interpolated}; its error, {ERROR}"
        notes.append(Note("interpolated", text))
    for name in _NOT_READ:
        if query.attributes.get(name, 1) not in (0, 1):
            text = f"{size}: Accelergy does not read '{name}', the memory is costed with one port (give n_rw_ports)"
            notes.append(Note("caution", text))
    if macro.cycle_s > query.cycle_seconds:
        times = f"{macro.cycle_s * 1e9:.3g} ns per access, the cycle is {query.cycle_seconds * 1e9:.3g} ns"
        text = f"{size} takes {times}; an access counts as one cycle all the same"
        notes.append(Note("caution", text))
    return tuple(notes)


def primitives() -> dict[str, Primitive]:
    """The class by its two names."""
    reads = ("width", "depth", "n_banks", "n_rw_ports", *_NOT_READ)
    sram = Primitive(("read", "write", "update"), _energy_j, lambda query: _macro(query).area_m2, _notes, reads)
    return {"SRAM": sram, "sram": sram}
