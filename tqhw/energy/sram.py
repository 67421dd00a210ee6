"""On-chip SRAM: CACTI 7 as Accelergy's CACTI plug-in calls it, from tables of its answers.

Source: accelergy-cacti-plug-in, commit 291018b, with CACTI 1ffd8df. A macro that CACTI cannot make (narrower than
32 bits, a width that is no multiple of 8, fewer than 64 rows per bank) is a scaled one, by the plug-in's own
rules. Between tabulated sizes the macro is interpolated, log-log bilinear in depth and width, and says so.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from tqhw.energy.query import Note, Primitive, Query, table
from tqhw.errors import TqhwError

# Errors of the interpolation, measured on sizes off the grid (data/README.md).
DENSE_ERROR = "median / 90th percentile / largest in %: read 0.5 / 5.6 / 25, write 0.3 / 2.6 / 18"
COARSE_ERROR = "median / 90th percentile / largest in %: read 4 / 14 / 31, write 2 / 10 / 22"


@dataclass(frozen=True)
class Macro:
    """One SRAM: pJ per access of a row, pJ of leakage per ns, um^2, and ns between two accesses."""

    read_pj: float
    write_pj: float
    leak_pj_per_ns: float
    area_um2: float
    cycle_ns: float
    interpolated: str = ""  # what it was interpolated between, empty where the table has it

    def scaled(self, dynamic: float, leak: float, area: float) -> Macro:
        """The macro with its dynamic energies, leakage and area times a factor each."""
        return replace(
            self,
            read_pj=self.read_pj * dynamic,
            write_pj=self.write_pj * dynamic,
            leak_pj_per_ns=self.leak_pj_per_ns * leak,
            area_um2=self.area_um2 * area,
        )


def _row_macro(row: Mapping[str, str]) -> Macro:
    return Macro(
        read_pj=float(row["read_pj"]),
        write_pj=float(row["write_pj"]),
        leak_pj_per_ns=float(row["leak_pj_per_cycle"]),  # of 1 ns
        area_um2=float(row["area_um2"]),
        cycle_ns=float(row["random_cycle_ns"]),
    )


@cache
def _exact() -> dict[tuple[int, int, int, int], Macro]:
    """Tabulated macros by depth, width, banks and ports."""
    found = {(int(row["depth"]), int(row["width"]), 1, 1): _row_macro(row) for row in table("sram_dense.csv")}
    for row in table("sram.csv"):  # printed with more digits: it wins
        depth, width, banks, ports = (int(row[k]) for k in ("depth", "width", "n_banks", "n_rw_ports"))
        found[depth, width, banks, ports] = _row_macro(row)
    return found


@cache
def _grid(banks: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The depths and widths at which every combination is tabulated, of macros with one port."""
    if banks == 1:
        sizes = [(int(row["depth"]), int(row["width"])) for row in table("sram_dense.csv")]
    else:
        sizes = [(d, w) for d, w, b, p in _exact() if (b, p) == (banks, 1) and d >= 64 * b and w >= 32 and w % 8 == 0]
    return tuple(sorted({d for d, _ in sizes})), tuple(sorted({w for _, w in sizes}))


BANKS = (1, 2, 4, 8, 16, 32)


def sram_macro(width: int, depth: int, banks: int = 1, ports: int = 1, place: str | None = None) -> Macro:
    """The SRAM of ``depth`` rows of ``width`` bits in ``banks`` banks with ``ports`` read-write ports, 45 nm.

    Raises TqhwError where neither the table nor an interpolation in it has that size.
    """
    exact = _exact().get((depth, width, banks, ports))
    return exact if exact is not None else _by_rule(width, depth, banks, ports, place)


def _by_rule(width: int, depth: int, banks: int, ports: int, place: str | None) -> Macro:
    """The macro that CACTI is asked for instead, scaled to the size."""
    asked_banks = 1 << (banks - 1).bit_length()
    asked_width = max(math.ceil(width / 8) * 8, 32)
    asked_depth = max(depth, 64 * banks)
    width_share, depth_share = width / asked_width, depth / asked_depth
    macro = _cacti(asked_width, asked_depth, asked_banks, ports, place)
    return macro.scaled(
        dynamic=(0.7 * width_share + 0.3) * depth_share ** (1.56 / 2),
        leak=width_share * depth_share * banks / asked_banks,
        area=width_share * depth_share,
    )


def _cacti(width: int, depth: int, banks: int, ports: int, place: str | None) -> Macro:
    """A macro that CACTI itself can make, tabulated or interpolated."""
    exact = _exact().get((depth, width, banks, ports))
    if exact is not None and depth >= 64 * banks:  # below, the row is a scaled one itself
        return exact
    what = f"SRAM of {depth} rows x {width} bits, {banks} bank{'s' * (banks > 1)}, {ports} port{'s' * (ports > 1)}"
    if banks not in BANKS or ports != 1:
        raise TqhwError(
            f"{what} is not tabulated: between tabulated sizes there are {', '.join(map(str, BANKS))} banks, 1 port",
            place=place,
            lever="choose one of these counts, or give an ERT and ART that Accelergy made",
        )
    depths, widths = _grid(banks)
    if not (depths[0] <= depth <= depths[-1] and width <= widths[-1]):
        raise TqhwError(
            f"{what} is out of range: tabulated are {depths[0]} to {depths[-1]} rows and up to {widths[-1]} bits",
            place=place,
            lever="split the memory, or give an ERT and ART that Accelergy made",
        )
    return _interpolate(depth, width, banks, depths, widths)


def _interpolate(depth: int, width: int, banks: int, depths: tuple[int, ...], widths: tuple[int, ...]) -> Macro:
    d0, d1, along_depth = _bracket(depths, depth)
    w0, w1, along_width = _bracket(widths, width)
    corners = [
        (_exact()[d, w, banks, 1], share_d * share_w)
        for d, share_d in ((d0, 1 - along_depth), (d1, along_depth))
        for w, share_w in ((w0, 1 - along_width), (w1, along_width))
    ]

    def mean(name: str) -> float:
        return math.exp(sum(share * math.log(getattr(macro, name)) for macro, share in corners))

    return Macro(
        mean("read_pj"),
        mean("write_pj"),
        mean("leak_pj_per_ns"),
        mean("area_um2"),
        mean("cycle_ns"),
        f"{d0} to {d1} rows and {w0} to {w1} bits",
    )


def _bracket(grid: tuple[int, ...], value: int) -> tuple[int, int, float]:
    """The two grid values around ``value`` and how far between their logarithms it lies, 0 to 1."""
    upper = bisect_left(grid, value)
    if grid[upper] == value:
        return value, value, 0.0
    low, high = grid[upper - 1], grid[upper]
    return low, high, math.log(value / low) / math.log(high / low)


def _macro(query: Query) -> Macro:
    for name in ("n_rdwr_ports", "n_ports", "num_ports"):
        if query.attributes.get(name, 1) != 1:
            raise query.refusal(f"Accelergy does not read '{name}'", "the attribute is n_rw_ports")
    sizes = {name: query.whole(name, default) for name, default in _SIZES}
    return sram_macro(sizes["width"], sizes["depth"], sizes["n_banks"], sizes["n_rw_ports"], query.place)


_SIZES = (("width", None), ("depth", None), ("n_banks", 1), ("n_rw_ports", 1))


def _energy_pj(query: Query, action: str, arguments: Mapping[str, Any]) -> float:
    macro = _macro(query)
    if action == "leak":
        seconds = replace(query, attributes={**query.attributes, **arguments}).cycle_seconds
        return macro.leak_pj_per_ns * seconds / 1e-9
    # The plug-in's rough split: 30 % decode the address, 70 % move the data.
    share = 0.7 * bool(arguments.get("data_delta", True)) + 0.3 * bool(arguments.get("address_delta", True))
    return (macro.read_pj if action == "read" else macro.write_pj) * share


def _notes(query: Query) -> tuple[Note, ...]:
    macro = _macro(query)
    banks = query.whole("n_banks", 1)
    size = f"SRAM {query.whole('depth')} x {query.whole('width')} bits in {banks} bank{'s' * (banks > 1)}"
    notes = []
    if macro.interpolated:
        error = DENSE_ERROR if banks == 1 else COARSE_ERROR
        text = f"{size} interpolated between {macro.interpolated}; its error, {error}"
        notes.append(Note("interpolated", text))
    cycle_ns = query.cycle_seconds * 1e9
    if macro.cycle_ns > cycle_ns:
        times = f"{macro.cycle_ns:.3g} ns per access, the cycle is {cycle_ns:.3g} ns"
        text = f"{size} takes {times}; an access counts as one cycle all the same"
        notes.append(Note("caution", text))
    return tuple(notes)


def primitives() -> dict[str, Primitive]:
    """The class by its two names."""
    sram = Primitive(("read", "write", "update"), _energy_pj, lambda query: _macro(query).area_um2, _notes)
    return {"SRAM": sram, "sram": sram}
