"""Words of a width per data space, on hardware whose memories have one width: ``Weights=2,Inputs=8,Outputs@DRAM=8``.

Timeloop knows one word size per memory. Here a memory keeps its rows, and a row holds as many words of a data space as
fit: capacity is counted in rows, an access moves one row of one data space and costs what the energy table says, and
bandwidth counts bits. Every mapping so counted is one of unmodified Timeloop on the memory split into one component per
data space, each as deep as its rows in that mapping.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from tqhw.errors import TqhwError, unknown
from tqhw.spec.fields import is_whole
from tqhw.spec.hardware import Hardware, Level, PackedRows, PackedSpace

PLACE = "word_bits"
WORDS = "words.yaml"  # beside an architecture, in the folder of a run
MAX_BITS = 512
PackingStyle = Literal["pack", "ideal"]
PACKINGS: tuple[PackingStyle, ...] = ("pack", "ideal")
LEVER = "for example Weights=2,Inputs=8,Outputs@DRAM=8"


@dataclass(frozen=True)
class WordBits:
    """Bits of a word by data space, and of single levels; a data space that is not named keeps the file's width.

    ``packing``: ``pack`` puts floor(row bits / bits) words into a row and leaves the rest as padding, ``ideal`` fills
    every row to its last bit, which no memory does.
    """

    bits: tuple[tuple[str, int], ...]
    at: tuple[tuple[str, str, int], ...] = ()  # data space, level, bits
    packing: PackingStyle = "pack"

    def as_json(self) -> dict[str, Any]:
        """As a document: what :func:`parse_word_bits` reads, and the packing."""
        levels = {f"{space}@{level}": bits for space, level, bits in self.at}
        return {"word_bits": {**dict(self.bits), **levels}, "packing": self.packing}

    def check_whole(self, space: str, place: str = PLACE) -> None:
        """Raises TqhwError where words of ``space`` have a width here: an architecture takes them in digits."""
        if space in [name for name, _ in self.bits] + [name for name, _, _ in self.at]:
            message = f"this architecture takes {space} in digits, whose width is its own"
            raise TqhwError(message, place=place, lever="give --param weight_bits=BITS")

    def of(self, space: str, level: str, otherwise: int) -> int:
        """Bits of a word of ``space`` in ``level``."""
        for name, where, bits in self.at:
            if (name, where) == (space, level):
                return bits
        return dict(self.bits).get(space, otherwise)


def parse_word_bits(
    given: str | Mapping[str, Any],
    packing: str | None = None,
    place: str = PLACE,
    otherwise: Mapping[str, int] | None = None,
) -> WordBits:
    """Reads ``Weights=2,Outputs@DRAM=8`` or a mapping of the same names to bits; ``otherwise``: of names not in it.

    ``packing``: None for the default, whole words.

    Raises TqhwError for what is no such list, a width that is not 1 to 512, a name twice, an unknown packing.
    """
    style = next((name for name in PACKINGS if name == (packing or WordBits.packing)), None)
    if style is None:
        raise unknown("packing", str(packing), PACKINGS, place)
    everywhere: dict[str, int] = {}
    at: dict[tuple[str, str], int] = {}
    for key, value in _items(given, place):
        if not is_whole(value) or value > MAX_BITS:
            raise TqhwError(
                f"{key}: {value!r} bits must be a whole number from 1 to {MAX_BITS}", place=place, lever=LEVER
            )
        space, _, level = key.partition("@")
        if not space or key.count("@") > 1 or ("@" in key and not level):
            raise TqhwError(f"'{key}' is neither a data space nor DATA_SPACE@LEVEL", place=place, lever=LEVER)
        if space in everywhere if not level else (space, level) in at:
            raise TqhwError(f"'{key}' is given twice", place=place, lever="keep one")
        if level:
            at[space, level] = int(value)
        else:
            everywhere[space] = int(value)
    for key, bits in (otherwise or {}).items():
        space, _, level = key.partition("@")
        if level:
            at.setdefault((space, level), bits)
        else:
            everywhere.setdefault(space, bits)
    return WordBits(tuple(everywhere.items()), tuple((*key, bits) for key, bits in at.items()), style)


def _items(given: str | Mapping[str, Any], place: str) -> Iterable[tuple[str, Any]]:
    if isinstance(given, Mapping):
        return [(str(key), value) for key, value in given.items()]
    items: list[tuple[str, Any]] = []
    for item in given.split(","):
        name, equals, bits = (text.strip() for text in item.partition("="))
        if not equals or not name:
            raise TqhwError(f"'{item.strip()}' is not DATA_SPACE=BITS", place=place, lever=LEVER)
        items.append((name, int(bits) if bits.isascii() and bits.isdigit() and len(bits) < 8 else bits))
    return items


def apply_word_bits(
    hardware: Hardware, word_bits: WordBits, spaces: Iterable[str], place: str = PLACE, wide: Iterable[str] = ()
) -> Hardware:
    """The hardware with its memories packed for the data spaces of a problem.

    A memory with a limit, where words of several data spaces may share a row, stays as it is if all of these have its
    own width.
    ``wide``: data spaces whose words may take several rows. Raises TqhwError for a data space or a level that is not
    there, and for other words wider than a row.
    """
    names = tuple(spaces)
    levels = [level.name for level in hardware.levels if level.kind == "storage"]
    for space in [name for name, _ in word_bits.bits] + [name for name, _, _ in word_bits.at]:
        if space not in names:
            raise unknown("data space", space, names, place)
    for _, level, _ in word_bits.at:
        if level not in levels:
            raise unknown("level", level, levels, place)
    packed = (_packed(v, word_bits, names, place, tuple(wide)) if v.kind == "storage" else v for v in hardware.levels)
    return replace(hardware, levels=tuple(packed))


def is_packed(hardware: Hardware) -> bool:
    """Whether data spaces may have words of several widths in one of its memories."""
    return any(level.packing is not None for level in hardware.levels)


def _packed(level: Level, word_bits: WordBits, names: tuple[str, ...], place: str, wide: tuple[str, ...]) -> Level:
    row_bits = level.block_size * level.word_bits
    kept = level.constraints.kept(names, level.constraints.place or f"constraints of {level.node}")
    own = all(word_bits.of(name, level.name, level.word_bits) == level.word_bits for name in names)
    if own and level.size is not None:
        return level
    spaces = []
    for name in names:
        bits = word_bits.of(name, level.name, level.word_bits)
        if bits > row_bits and kept[name] is not False and name not in wide:
            raise TqhwError(
                f"a word of {bits} bits of {name} is wider than the {row_bits} bits of a row of {level.name}",
                place=place,
                lever=f"give {name}@{level.name}=BITS up to {row_bits}, or the memory a larger `width`",
            )
        common = math.gcd(bits, row_bits)
        words, rows = max(1, row_bits // bits), -(-bits // row_bits)  # whole words, or a word in whole rows
        if word_bits.packing == "ideal":
            words, rows = row_bits // common, bits // common
        spaces.append(PackedSpace(name, bits, words, rows))
    depth = None
    if level.size is not None:
        depth = math.floor(level.size // level.block_size / level.multiple_buffering)
    return replace(level, packing=PackedRows(row_bits, depth, tuple(spaces)))
