"""CACTI's answers along the depth of a memory, one column for every width that it can make.

CACTI minimises the square of the access time times the energy of a read over all ways to divide a macro. Ways whose
energies differ by a third are within a percent in that, so that its choice, and the energy with it, changes from one
row to the next. A column has the depths on both sides of each such change that was seen; between two of its rows
energies are taken for powers of the depth, as they are where CACTI divides the macro in one way.

The file has three arrays for each node and count of banks: where the columns of 32, 40, ... 1024 bits end, the depths
as differences, and the logarithms of the answers as differences of 16-bit codes (``data/README.md``).
"""

from __future__ import annotations

import io
import math
from bisect import bisect_left
from functools import cache
from importlib import resources
from typing import Any, Final, NamedTuple

import numpy as np

from tqhw.energy.sram_tables import Macro

FILE: Final = "sram_columns.npz"
NODES: Final = (22, 32, 45, 65)
LEAST_BITS, STEP_BITS = 32, 8
_PER_OCTAVE: Final = 1500
"""Codes per factor of two: an answer is kept within 0.03 %."""
_ORIGIN: Final = -10
"""The logarithm, to base 2, of what a code of 0 says: pJ of a read, of a write, uW of leakage per bank, um^2, ns."""


class _Columns(NamedTuple):
    ends: np.ndarray[Any, Any]  # [widths] where a width's rows end
    depths: np.ndarray[Any, Any]  # [rows]
    octaves: np.ndarray[Any, Any]  # [5, rows] logarithms to base 2


@cache
def _file() -> Any:
    """The archive; an array is unpacked when it is asked for."""
    return np.load(io.BytesIO(resources.files("tqhw.energy").joinpath("data", FILE).read_bytes()))


@cache
def _columns(node: int, banks: int) -> _Columns:
    kept = {name: _file()[f"{node}nm_{banks}_{name}"] for name in ("ends", "depths", "codes")}
    codes = np.cumsum(kept["codes"], axis=1, dtype=np.uint16)
    return _Columns(kept["ends"], np.cumsum(kept["depths"]), codes / _PER_OCTAVE + _ORIGIN)


def deepest(node: int, banks: int) -> int:
    """The rows at which the columns of a node and a count of banks end; 0 where there are none."""
    return int(_columns(node, banks).depths.max()) if node in NODES else 0


def along(node: int, depth: int, width: int, banks: int) -> Macro | None:
    """The macro between the next depths of its width's column; None where the file has no such column or depth.

    ``width`` in bits; ``depth`` in rows of all ``banks``; ``node`` in nm.
    """
    number, beside = divmod(width - LEAST_BITS, STEP_BITS)
    if node not in NODES or beside or number < 0:
        return None
    columns = _columns(node, banks)
    if number >= len(columns.ends):
        return None
    start, end = (0 if number == 0 else int(columns.ends[number - 1])), int(columns.ends[number])
    depths = columns.depths[start:end]
    above = bisect_left(depths, depth)
    if above == len(depths) or depth < depths[0]:
        return None
    below = above if depths[above] == depth else above - 1
    low, high = int(depths[below]), int(depths[above])
    share = 0.0 if low == high else math.log(depth / low) / math.log(high / low)
    octaves = columns.octaves[:, start + below] * (1 - share) + columns.octaves[:, start + above] * share
    read_pj, write_pj, leak_uw, area_um2, cycle_ns = (float(value) for value in 2.0**octaves)
    return Macro(
        read_pj * 1e-12,
        write_pj * 1e-12,
        leak_uw * 1e-6 * banks,
        area_um2 * 1e-12,
        cycle_ns * 1e-9,
        f"{low} to {high} rows of {width} bits",
    )
