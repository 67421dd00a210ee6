"""Words of a width per data space, said of a design: its memories are packed, its multiplier narrows with them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from tqhw import energy
from tqhw.backends.protocol import Design, Target
from tqhw.errors import TqhwError, unknown
from tqhw.spec import Shape
from tqhw.spec.stats import ENERGY_TOLERANCE
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
    if design.digits is not None:
        word_bits.check_whole(design.digits.data_space, place)
    hardware = apply_word_bits(design.hardware, word_bits, shape.data_space_names, place, wide)
    given = dict(word_bits.bits)
    factors = [given.get(space.name) for space in shape.data_spaces if not space.read_write]
    narrows = multiplier == "match" and len(factors) == 2 and factors != [None, None]
    return replace(design, hardware=hardware, operands=(factors[0], factors[1]) if narrows else None)


def with_operands(target: Target) -> Target:
    """Accelergy's tables with the multiplier's operands as wide as the design says, which Accelergy is not asked.

    It is the packaged rule (:mod:`tqhw.energy.operands`), taken where the packaged tables give what Accelergy gave for
    the operands as the architecture has them. Raises TqhwError where they do not.
    """
    design = target.design
    if design.operands is None:
        return target
    name = design.hardware.compute.name
    own = energy.own_components(design.components_text, design.name)
    given = target.ert.energy_pj(name, "compute")
    for adder in energy.ADDERS:
        try:
            known = energy.tables(design.architecture, own, adder=adder).ert.energy_pj(name, "compute")
        except TqhwError:  # what the packaged tables do not know, nobody narrows
            continue
        if math.isclose(given, known, rel_tol=ENERGY_TOLERANCE):
            narrow = energy.tables(design.architecture, own, operands=design.operands, adder=adder)
            return replace(
                target,
                ert=replace(target.ert, energies={**target.ert.energies, name: narrow.ert.energies[name]}),
                art=replace(target.art, areas={**target.art.areas, name: narrow.art.areas[name]}),
                notes=(*target.notes, *(f"{n.component}: {n.text}" for n in narrow.notes if n.component == name)),
            )
    raise TqhwError(
        f"Accelergy gives {given:g} pJ for a compute of '{name}', the packaged tables another number",
        place=f"{PLACE} ({design.architecture.component(name).place})",
        lever="set the multiplier to `fixed`, or take energies from the packaged tables",
    )
