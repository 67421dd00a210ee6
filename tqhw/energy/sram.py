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

from tqhw.energy.query import PICO, Note, Primitive, Query, table
from tqhw.errors import TqhwError

# Errors of the interpolation, measured on sizes off the grid (data/README.md).
DENSE_ERROR = "median / 90th percentile / largest in %: read 0.5 / 5.6 / 25, write 0.3 / 2.6 / 18"
COARSE_ERROR = "median / 90th percentile / largest in %: read 4 / 14 / 31, write 2 / 10 / 22"


@dataclass(frozen=True)
class Macro:
    """One SRAM: J per access of a row, W of leakage, m^2, and s between two accesses.

    These are the units of the plug-in, in which CACTI's answers are scaled (see :class:`Primitive`).
    """

    read_j: float
    write_j: float
    leak_w: float
    area_m2: float
    cycle_s: float
    interpolated: str = ""  # what it was interpolated between, empty where the table has it

    @property
    def read_pj(self) -> float:
        return self.read_j * PICO

    @property
    def write_pj(self) -> float:
        return self.write_j * PICO

    @property
    def area_um2(self) -> float:
        return self.area_m2 * PICO

    def scaled(self, dynamic: float, banks: float, size: float) -> Macro:
        """The macro with its dynamic energies, its banks that leak, and its size times a factor each."""
        return replace(
            self,
            read_j=self.read_j * dynamic,
            write_j=self.write_j * dynamic,
            leak_w=self.leak_w * banks * size,
            area_m2=self.area_m2 * size,
        )


def _row_macro(row: Mapping[str, str], banks: int, digits: int) -> Macro:
    """A row of a table; CACTI's own have the ``digits`` that it prints, in nJ, mW per bank, mm^2 and ns."""
    leak_mw = float(f"{float(row['leak_pj_per_cycle']) / banks:.{digits}g}")  # of 1 ns
    return Macro(
        read_j=float(f"{row['read_pj']}e-3") * 1e-9,
        write_j=float(f"{row['write_pj']}e-3") * 1e-9,
        leak_w=leak_mw * 1e-3 * banks,
        area_m2=float(f"{row['area_um2']}e-6") * 1e-6,
        cycle_s=float(row["random_cycle_ns"]) * 1e-9,
    )


@cache
def _exact() -> dict[tuple[int, int, int, int], Macro]:
    """Tabulated macros by depth, width, banks and ports."""
    found = {}
    for row in table("sram_dense.csv"):
        found[int(row["depth"]), int(row["width"]), 1, 1] = _row_macro(row, 1, CACTI_DIGITS)
    for row in table("sram.csv"):
        depth, width, banks, ports = (int(row[k]) for k in ("depth", "width", "n_banks", "n_rw_ports"))
        own = _asked(width, depth, banks) == (width, depth, banks)
        found[depth, width, banks, ports] = _row_macro(row, banks, CACTI_DIGITS if own else TABLE_DIGITS)
    return found


def _asked(width: int, depth: int, banks: int) -> tuple[int, int, int]:
    """Width, depth and banks that CACTI is asked for in the place of these."""
    return max(math.ceil(width / 8) * 8, 32), max(depth, 64 * banks), 1 << (banks - 1).bit_length()


@cache
def _grid(banks: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The depths and widths at which every combination is tabulated, of macros with one port."""
    if banks == 1:
        sizes = [(int(row["depth"]), int(row["width"])) for row in table("sram_dense.csv")]
    else:
        sizes = [(d, w) for d, w, b, p in _exact() if (b, p) == (banks, 1) and d >= 64 * b and w >= 32 and w % 8 == 0]
    return tuple(sorted({d for d, _ in sizes})), tuple(sorted({w for _, w in sizes}))


BANKS = (1, 2, 4, 8, 16, 32)
CACTI_DIGITS, TABLE_DIGITS = 6, 12


def sram_macro(width: int, depth: int, banks: int = 1, ports: int = 1, place: str | None = None) -> Macro:
    """The SRAM of ``depth`` rows of ``width`` bits in ``banks`` banks with ``ports`` read-write ports, 45 nm.

    Raises TqhwError where neither the table nor an interpolation in it has that size.
    """
    exact = _exact().get((depth, width, banks, ports))
    if exact is not None and _cactis_own(*_asked(width, depth, banks), ports) is None:
        return exact
    return _by_rule(width, depth, banks, ports, place)


def _cactis_own(width: int, depth: int, banks: int, ports: int) -> Macro | None:
    """The tabulated macro that CACTI itself made: of a row below its least sizes, the plug-in made a scaled one."""
    return _exact().get((depth, width, banks, ports)) if _asked(width, depth, banks) == (width, depth, banks) else None


def _by_rule(width: int, depth: int, banks: int, ports: int, place: str | None) -> Macro:
    """The macro that CACTI is asked for instead, scaled to the size."""
    asked_width, asked_depth, asked_banks = _asked(width, depth, banks)
    width_share, depth_share = width / asked_width, depth / asked_depth
    macro = _cacti(asked_width, asked_depth, asked_banks, ports, place)
    return macro.scaled(
        dynamic=(0.7 * width_share + 0.3) * depth_share ** (1.56 / 2),
        banks=banks / asked_banks,
        size=width_share * depth_share,
    )


def _cacti(width: int, depth: int, banks: int, ports: int, place: str | None) -> Macro:
    """A macro that CACTI itself can make, tabulated or interpolated."""
    own = _cactis_own(width, depth, banks, ports)
    if own is not None:
        return own
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
        mean("read_j"),
        mean("write_j"),
        mean("leak_w"),
        mean("area_m2"),
        mean("cycle_s"),
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
    for name in _NOT_READ:
        if query.attributes.get(name, 1) != 1:
            raise query.refusal(f"Accelergy does not read '{name}'", "the attribute is n_rw_ports")
    sizes = {name: query.whole(name, default) for name, default in _SIZES}
    return sram_macro(sizes["width"], sizes["depth"], sizes["n_banks"], sizes["n_rw_ports"], query.place)


_NOT_READ = ("n_rdwr_ports", "n_ports", "num_ports")
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
        error = DENSE_ERROR if banks == 1 else COARSE_ERROR
        text = f"{size} interpolated between {macro.interpolated}; its error, {error}"
        notes.append(Note("interpolated", text))
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
