"""CACTI's answers, tabulated per technology node, and what lies between them.

CACTI itself runs at five nodes. Its energies jump where it partitions a macro differently, so an interpolation is as
good as the table is dense: it is log-log bilinear in depth and width, in the smallest tabulated cell around a size.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from tqhw.energy.query import PICO, table

CACTI_NODES = (22, 32, 45, 65, 90)
BANKS = (1, 2, 4, 8, 16, 32)
_CACTI_DIGITS, _TABLE_DIGITS = 6, 12
Size = tuple[int, int]
"""Depth in rows of all banks, width in bits."""


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


def asked(width: int, depth: int, banks: int) -> tuple[int, int, int]:
    """Width, depth and banks that CACTI is asked for in the place of these."""
    return max(math.ceil(width / 8) * 8, 32), max(depth, 64 * banks), 1 << (banks - 1).bit_length()


@cache
def macros(node: int) -> dict[tuple[int, int, int, int], Macro]:
    """What CACTI made at a node by depth, width, banks and ports."""
    found = {}
    for row in table("sram_nodes.csv"):
        if int(row["node"]) == node:
            depth, width, banks, ports = (int(row[k]) for k in ("depth", "width", "n_banks", "n_rw_ports"))
            found[depth, width, banks, ports] = _row_macro(row, banks, _CACTI_DIGITS)
    if node == 45:
        for row in table("sram_dense.csv"):
            found[int(row["depth"]), int(row["width"]), 1, 1] = _row_macro(row, 1, _CACTI_DIGITS)
        found.update({size: macro for size, macro in _answers_at_45(_CACTI_DIGITS) if _is_cactis(size)})
    return found


@cache
def answers() -> dict[tuple[int, int, int, int], Macro]:
    """What Accelergy answered at 45 nm for sizes that CACTI was not asked for: scaled macros, by the plug-in."""
    return {size: macro for size, macro in _answers_at_45(_TABLE_DIGITS) if not _is_cactis(size)}


def _answers_at_45(digits: int) -> Iterator[tuple[tuple[int, int, int, int], Macro]]:
    for row in table("sram.csv"):
        depth, width, banks, ports = (int(row[k]) for k in ("depth", "width", "n_banks", "n_rw_ports"))
        yield (depth, width, banks, ports), _row_macro(row, banks, digits)


def _is_cactis(size: tuple[int, int, int, int]) -> bool:
    depth, width, banks, _ = size
    return asked(width, depth, banks) == (width, depth, banks)


@cache
def _columns(node: int, banks: int) -> dict[int, tuple[int, ...]]:
    """The tabulated depths of every width, of macros with one port."""
    depths: dict[int, list[int]] = {}
    for depth, width, b, ports in macros(node):
        if (b, ports) == (banks, 1):
            depths.setdefault(width, []).append(depth)
    return {width: tuple(sorted(depths[width])) for width in sorted(depths)}


def bounds(node: int, banks: int) -> tuple[Size, Size]:
    """The least and the largest depth and width that a cell surrounds."""
    columns = _columns(node, banks)
    deepest = max(columns.values(), key=lambda depths: depths[-1])
    return (deepest[0], min(columns)), (deepest[-1], max(columns))


def between(node: int, depth: int, width: int, banks: int) -> Macro | None:
    """The macro of a size between tabulated ones; None where no cell surrounds it."""
    cell = _cell(node, depth, width, banks)
    if cell is None:
        return None
    (d0, d1), (w0, w1) = cell
    along_depth, along_width = _along(d0, d1, depth), _along(w0, w1, width)
    corners = [
        (macros(node)[d, w, banks, 1], share_d * share_w)
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


@cache
def _cell(node: int, depth: int, width: int, banks: int) -> tuple[Size, Size] | None:
    """The smallest cell (two depths, two widths, which may be equal) of tabulated corners around a size."""
    columns = _columns(node, banks)
    best: tuple[float, tuple[Size, Size]] | None = None
    for w0 in (w for w in columns if w <= width):
        for w1 in (w for w in columns if w >= width and (w == w0) == (w0 == width)):
            common = columns[w0] if w0 == w1 else sorted({*columns[w0]} & {*columns[w1]})
            upper = bisect_left(common, depth)
            if upper == len(common) or (upper == 0 and common[0] != depth):
                continue
            d1 = common[upper]
            d0 = d1 if d1 == depth else common[upper - 1]
            extent = math.log(w1 / w0) + math.log(d1 / d0)
            if best is None or extent < best[0] - 1e-12:
                best = extent, ((d0, d1), (w0, w1))
    return None if best is None else best[1]


def _along(low: int, high: int, value: int) -> float:
    """How far between the logarithms of two sizes ``value`` lies, 0 to 1."""
    return 0.0 if low == high else math.log(value / low) / math.log(high / low)
