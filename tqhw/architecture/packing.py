"""How many words a row of a memory holds, and what is padding.

Timeloop moves whole rows of whole words: a row of W bits holds floor(W / bits) words, none across two rows
(policy ``pack``). ``width`` may be given only where the words fill the row, otherwise Timeloop aborts; then
``block_size`` says how many words an access moves. Fractional packing (policy ``ideal``) would use the padding too,
so the same words would cost ``utilization`` times as many accesses; no Timeloop run can show that, it is computed
after the fact.
"""

from __future__ import annotations

from dataclasses import dataclass

from tqhw.errors import TqhwError
from tqhw.spec import Hardware


@dataclass(frozen=True)
class Packing:
    """The words of ``word_bits`` in one physical row of ``row_bits`` of a memory."""

    component: str
    row_bits: int
    word_bits: int
    words_per_row: int

    @property
    def padding_bits(self) -> int:
        """Bits of a row that hold no word."""
        return self.row_bits - self.words_per_row * self.word_bits

    @property
    def utilization(self) -> float:
        """Bits used / bits of the row; under ``ideal`` the accesses (and their energy) shrink by this factor."""
        return self.words_per_row * self.word_bits / self.row_bits


def words_per_row(row_bits: int, bits: int) -> int:
    """Whole words of ``bits`` in a row. Raises TqhwError where not even one fits."""
    if bits > row_bits:
        raise TqhwError(f"a word of {bits} bits does not fit a row of {row_bits} bits", lever="widen the row")
    return row_bits // bits


def row(row_bits: int, bits: int) -> str:
    """The attributes of a row, in the form that unmodified Timeloop accepts, e.g. ``row(64, 6)``.

    ``row_bits`` is for the energy tables only; ``width`` or ``block_size``, and ``datawidth``, are Timeloop's.
    """
    words = words_per_row(row_bits, bits)
    size = f"width: {row_bits}" if row_bits % bits == 0 else f"block_size: {words}"
    return f"row_bits: {row_bits}, {size}, datawidth: {bits}"


def packings(hardware: Hardware) -> tuple[Packing, ...]:
    """How every memory of the hardware packs its words, outermost first.

    The physical row is the attribute ``row_bits``, else ``width``; a memory with neither has no padding.
    """
    result = []
    for level in reversed(hardware.levels):
        if level.component is None:
            continue
        used = level.block_size * level.cluster_size * level.word_bits
        attributes = level.component.attributes
        row_bits = attributes.get("row_bits", attributes.get("width", used))
        if isinstance(row_bits, bool) or not isinstance(row_bits, int | float) or row_bits != int(row_bits):
            raise TqhwError(f"{level.name}: row_bits '{row_bits}' must be a whole number", place=level.component.place)
        if used > row_bits:
            raise TqhwError(
                f"{level.name}: {level.block_size} words of {level.word_bits} bits do not fit a row of {row_bits}",
                place=level.component.place,
                lever="lower `block_size` or raise `row_bits`",
            )
        result.append(Packing(level.name, int(row_bits), level.word_bits, level.block_size * level.cluster_size))
    return tuple(result)


def words_per_cycle(bits_per_cycle: float, row_bits: int, bits: int) -> float:
    """Words that cross a port of ``bits_per_cycle``: whole rows are moved, and only words count, not the padding."""
    words = bits_per_cycle / row_bits * words_per_row(row_bits, bits)
    return int(words) if words == int(words) else words
