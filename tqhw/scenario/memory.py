"""What crosses the DRAM's interface: words packed into rows, the padding between them, and the energy."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Traffic:
    """Bits that cross an interface (``padding_bits`` of them carry nothing) and what that costs."""

    bits: int = 0
    padding_bits: int = 0
    energy_pj: float = 0.0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.bits + other.bits, self.padding_bits + other.padding_bits, self.energy_pj + other.energy_pj)

    def times(self, count: int) -> Traffic:
        return Traffic(self.bits * count, self.padding_bits * count, self.energy_pj * count)


@dataclass(frozen=True)
class Port:
    """A memory that moves rows of ``row_bits``; energies in pJ per row.

    ``ideal``: words straddle rows and a part of a row costs that part (no real memory does this: it is the bound
    that packing can reach). Otherwise a row holds floor(row_bits / bits) words and the rest is padding.
    """

    row_bits: int
    read_pj: float
    write_pj: float
    ideal: bool = False

    def words_per_row(self, bits: int) -> int:
        """Words of ``bits`` in a row; 0 where one word needs several rows."""
        return self.row_bits // bits

    def rows(self, words: int, bits: int) -> int:
        """Rows that ``words`` take up when they are packed without straddling."""
        per_row = self.words_per_row(bits)
        return math.ceil(words / per_row) if per_row else words * math.ceil(bits / self.row_bits)

    def read(self, words: int, bits: int) -> Traffic:
        """Reads ``words`` of ``bits`` in a row, one after the other."""
        return self._move(words, bits, self.read_pj)

    def write(self, words: int, bits: int) -> Traffic:
        """Writes ``words`` of ``bits`` in a row, one after the other."""
        return self._move(words, bits, self.write_pj)

    def _move(self, words: int, bits: int, row_pj: float) -> Traffic:
        payload = words * bits
        if self.ideal:
            return Traffic(payload, 0, payload / self.row_bits * row_pj)
        rows = self.rows(words, bits)
        return Traffic(rows * self.row_bits, rows * self.row_bits - payload, rows * row_pj)


@dataclass(frozen=True)
class WeightPath:
    """How weights reach the array: the DRAM that holds them and, where there is one, their on-chip buffer.

    ``buffer_rows``: rows of the buffer, 0 where there is none or it also holds other data.
    """

    dram: Port
    buffer: Port | None = None
    buffer_rows: int = 0

    def fits(self, weights: list[tuple[int, int]]) -> bool:
        """Whether all of ``weights`` (words, bits of each layer) lie in the buffer at once."""
        if self.buffer is None:
            return False
        return sum(self.buffer.rows(words, bits) for words, bits in weights) <= self.buffer_rows
