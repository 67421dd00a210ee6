"""What a bit width may be: 1 to 8 for integer codes, and 32 for the unquantized weight in joint training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tqhw.errors import TqhwError

MAX_BITS: Final = 8
FULL: Final = 32
"""The precision of normalised, unquantized weights (column 32 of the TruncQuant paper's table)."""


def check_bits(bits: object, *, place: str = "bits", stored: int = MAX_BITS) -> int:
    """``bits`` as an int between 1 and ``stored``; a TqhwError that names ``place`` otherwise."""
    if isinstance(bits, bool) or not isinstance(bits, int):
        raise TqhwError(f"{bits!r} is not a whole number of bits", place=place, lever=f"use 1 to {stored}")
    if not 1 <= bits <= stored:
        why = f"the codes are stored at {stored} bits" if stored < MAX_BITS else "codes have 1 to 8 bits"
        raise TqhwError(f"{bits} bits cannot be had: {why}", place=place, lever=f"use 1 to {stored}")
    return bits


def check_precisions(precisions: Iterable[object], *, place: str = "precisions") -> tuple[int, ...]:
    """A list of precisions, each 1 to 8 or 32, without repetition, in rising order."""
    listed = list(precisions)
    if not listed:
        raise TqhwError("the list of precisions is empty", place=place, lever="give at least one of 1 to 8")
    checked = [FULL if bits == FULL else check_bits(bits, place=place) for bits in listed]
    if len(set(checked)) != len(checked):
        raise TqhwError(f"{checked} names a precision twice", place=place, lever="name each precision once")
    return tuple(sorted(checked))


def top_code(bits: int) -> int:
    """``M_n = 2^n - 1``, the largest code of n bits."""
    return (1 << bits) - 1
