"""A multiplier whose operands are as wide as the words that they read.

Accelergy's `aladdin_multiplier` has a width per operand. The Aladdin plug-in's `intmultiplier` (and the one in its
`intmac`) has one width and is quadratic in it: of two widths it is taken as proportional to their product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tqhw.energy.part import Part
from tqhw.energy.primitives import primitive
from tqhw.energy.query import Note, Primitive, Query

Operands = tuple[int | None, int | None]
"""Bits of the two factors; None: as wide as the architecture says."""

_FLOATS = ("fpmultiplier", "fpmac")
_QUADRATIC = ("intmultiplier", "intmac")
_INTEGERS = ("aladdin_multiplier", *_QUADRATIC)


AdderOf = Callable[[Query], Primitive]


def narrowed(part: Part, operands: Operands, adder_of: AdderOf = primitive) -> tuple[Part, tuple[Note, ...]]:
    """The compute unit with its integer multipliers at these widths, and what a reader must know of it.

    ``adder_of`` gives the `intadder` that an `intmac` of the same estimator holds.
    """
    notes: list[Note] = []
    found = _narrowed(part, operands, adder_of, notes)
    if not notes and not any(class_ in _INTEGERS for class_ in _classes(part)):
        notes.append(Note("caution", "no multiplier in it is known, so its energy does not follow word_bits"))
    return found, tuple(dict.fromkeys(notes))


def _classes(part: Part) -> Iterator[str]:
    """Of the primitives that it is made of."""
    if part.compound is None:
        yield part.query.class_
    for sub in part.parts.values():
        yield from _classes(sub)


def _narrowed(part: Part, operands: Operands, adder_of: AdderOf, notes: list[Note]) -> Part:
    if part.compound is not None:
        parts = {name: _narrowed(sub, operands, adder_of, notes) for name, sub in part.parts.items()}
        return replace(part, parts=parts)
    query = part.query
    if query.class_ in _FLOATS:
        notes.append(Note("caution", f"{query.class_} is no integer multiplier and keeps its width"))
    if query.class_ == "aladdin_multiplier":
        return replace(part, query=replace(query, attributes=_library_widths(query, operands)))
    if query.class_ in _QUADRATIC:
        width = query.whole("width")
        a, b = (width if bits is None else bits for bits in operands)
        if a * b != width * width:
            notes.append(Note("caution", f"{query.class_} of {a} x {b} bits: its {width} x {width} in proportion"))
        return replace(part, primitive=_proportional(part, a * b / (width * width), adder_of))
    return part


def _library_widths(query: Query, operands: Operands) -> Mapping[str, Any]:
    """The attributes with a width per operand in the place of a single one."""
    lone = query.attributes.get("width", query.attributes.get("datawidth", 32))
    given = (query.attributes.get("width_a", lone), query.attributes.get("width_b", lone))
    a, b = (own if bits is None else bits for own, bits in zip(given, operands, strict=True))
    others = {k: v for k, v in query.attributes.items() if k not in ("width", "datawidth", "width_a", "width_b")}
    return {"width_a": a, "width_b": b, **others}


def _proportional(part: Part, share: float, adder_of: AdderOf) -> Primitive:
    """`intmultiplier` or `intmac` with its multiplier's energy and area times ``share``."""
    assert part.primitive is not None
    whole, sums = part.primitive, replace(part.query, class_="intadder")
    adder = adder_of(sums) if part.query.class_ == "intmac" else None

    def energy_j(query: Query, action: str, arguments: Mapping[str, Any]) -> float:
        rest = 0.0 if adder is None else adder.energy_j(sums, "leak" if action == "leak" else "add", arguments)
        return rest + share * (whole.energy_j(query, action, arguments) - rest)

    def area_m2(query: Query) -> float:
        rest = 0.0 if adder is None else adder.area_m2(sums)
        return rest + share * (whole.area_m2(query) - rest)

    return replace(whole, energy_j=energy_j, area_m2=area_m2)
