"""Words of a width per data space, said of a design: its memories are packed, its multiplier narrows with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from tqhw.backends.protocol import Design
from tqhw.errors import TqhwError, unknown
from tqhw.spec import Shape
from tqhw.spec.word_bits import PLACE, WordBits, apply_word_bits

Multiplier = Literal["match", "fixed"]
MULTIPLIERS: tuple[Multiplier, ...] = ("match", "fixed")


def with_word_bits(
    design: Design,
    word_bits: WordBits,
    shape: Shape,
    multiplier: str | None = None,
    place: str = PLACE,
    wide: Iterable[str] = (),
) -> Design:
    """The design for problems of ``shape``.

    ``multiplier``: ``match``, or None, makes its operands as wide as the words, ``fixed`` leaves them as the
    architecture says.
    Raises TqhwError as :func:`tqhw.spec.word_bits.apply_word_bits` does.
    """
    multiplier = multiplier or MULTIPLIERS[0]
    if multiplier not in MULTIPLIERS:
        raise unknown("multiplier", multiplier, MULTIPLIERS, "multiplier")
    hardware = apply_word_bits(design.hardware, word_bits, shape.data_space_names, place, wide)
    given = dict(word_bits.bits)
    factors = [given.get(space.name) for space in shape.data_spaces if not space.read_write]
    narrows = multiplier == "match" and len(factors) == 2 and factors != [None, None]
    return replace(design, hardware=hardware, operands=(factors[0], factors[1]) if narrows else None)


def check_plain(design: Design, backend: str) -> None:
    """Raises TqhwError for packed memories, which no program of Timeloop knows."""
    if any(level.packing is not None for level in design.hardware.levels):
        raise TqhwError(
            f"Timeloop has one word size per memory, so {backend} cannot map this",
            place=PLACE,
            lever="map with the embedded engine, and verify what it found",
        )
