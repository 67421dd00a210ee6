"""A multiplier narrows with the words that it reads, as Accelergy costs one of these widths."""

from __future__ import annotations

import pytest

from tqhw import energy
from tqhw.energy.operands import Operands
from tqhw.spec import parse_architecture, yamlio

ARCH = """
architecture:
  version: 0.4
  nodes:
  - !Component {{name: DRAM, class: DRAM, attributes: {{width: 64, datawidth: 8}}}}
  - !Component {{name: mac, class: compute, subclass: {class_}, attributes: {{{attributes}}}}}
variables: {{version: 0.4, technology: "45nm", global_cycle_seconds: 1e-9}}
"""
LONE = """
components:
  version: 0.4
  classes:
  - name: lone
    attributes: {technology: must_specify, global_cycle_seconds: must_specify, bits: 16}
    subcomponents:
    - {name: times, class: aladdin_multiplier, attributes: {width: bits}}
    actions:
    - {name: compute, subcomponents: [{name: times, actions: [{name: multiply}]}]}
    - {name: leak, subcomponents: [{name: times, actions: [{name: leak}]}]}
"""


def mac(class_: str, attributes: str, operands: Operands | None = None) -> tuple[float, float, list[str]]:
    """pJ of an operation, um^2, and the notes."""
    document = parse_architecture(yamlio.parse(ARCH.format(class_=class_, attributes=attributes)), "test")
    own = energy.parse_components(yamlio.parse(LONE), "own")
    found = energy.tables(document, own, operands=operands)
    return found.ert.energy_pj("mac", "compute"), found.art.areas["mac"], [n.text for n in found.notes]


@pytest.mark.parametrize(
    "operands, told", [((2, 8), "2, b_bits: 8"), ((None, 3), "8, b_bits: 3"), ((5, None), "5, b_bits: 8")]
)
def test_widths_per_operand_are_those_of_the_class(operands: Operands, told: str) -> None:
    assert mac("int_mac", "a_bits: 8, b_bits: 8", operands) == mac("int_mac", f"a_bits: {told}")


def test_a_lone_width_becomes_two() -> None:
    """Accelergy's lone width costs 32 x width bits; two widths cost their product."""
    (alone, *_), (narrow, *_) = mac("lone", "bits: 16"), mac("lone", "bits: 16", (2, 8))
    assert narrow / alone == pytest.approx(2 * 8 / (32 * 16), rel=1e-5)


def test_one_quadratic_width_is_taken_in_proportion() -> None:
    whole, narrow = mac("intmultiplier", "width: 8"), mac("intmultiplier", "width: 8", (2, 8))
    assert narrow[0] / whole[0] == pytest.approx(1 / 4, rel=1e-5)
    assert narrow[1] / whole[1] == pytest.approx(1 / 4, rel=1e-5)
    assert "intmultiplier of 2 x 8 bits: its 8 x 8 in proportion" in narrow[2]
    assert mac("intmultiplier", "width: 8", (8, 8)) == whole


def test_of_a_mac_the_adder_stays() -> None:
    adder, multiplier = mac("intadder", "width: 8"), mac("intmultiplier", "width: 8")
    narrow = mac("intmac", "width: 8", (2, 8))
    assert narrow[0] == pytest.approx(adder[0] + multiplier[0] / 4, rel=1e-5)
    assert narrow[1] == pytest.approx(adder[1] + multiplier[1] / 4, rel=1e-5)


@pytest.mark.parametrize("class_, attributes", [("int_mac", "a_bits: 8, b_bits: 8"), ("intmultiplier", "width: 8")])
def test_widths_that_are_the_file_s_own_are_no_reason_to_say_that_it_does_not_follow(
    class_: str, attributes: str
) -> None:
    for operands in ((8, 8), (2, 8)):
        assert not any("does not follow" in note for note in mac(class_, attributes, operands)[2])


def test_what_does_not_follow_is_told() -> None:
    adder = mac("intadder", "width: 8", (2, 8))
    assert adder[0] == mac("intadder", "width: 8")[0]
    assert "no multiplier in it is known, so its energy does not follow word_bits" in adder[2]
    float_ = mac("fpmac", "exponent: 8, mantissa: 23", (2, 8))
    assert float_[0] == mac("fpmac", "exponent: 8, mantissa: 23")[0]
    assert "fpmac is no integer multiplier and keeps its width" in float_[2]
