"""Words of a width per data space: what is read, what is refused, and how words lie in rows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mapper.places import machine
from tqhw.errors import TqhwError
from tqhw.spec import Level, flatten, parse_architecture, yamlio
from tqhw.spec.word_bits import WordBits, apply_word_bits, parse_word_bits

NAMES = ("Weights", "Inputs", "Outputs")
MACHINE = """
architecture:
  version: 0.4
  nodes:
  - !Component {name: DRAM, class: DRAM, attributes: {width: 64, datawidth: 8}}
  - !Component {name: Buffer, class: SRAM, attributes: {width: 32, datawidth: 8, depth: 10, multiple_buffering: 3}}
  - !Component
    name: Reg
    class: regfile
    attributes: {width: 8, datawidth: 8, depth: 1}
    constraints: {dataspace: {keep_only: [Weights]}}
  - !Component {name: mac, class: compute}
"""


def level(text: str | dict[str, Any], name: str, packing: str = "pack") -> Level:
    hardware = flatten(parse_architecture(yamlio.parse(MACHINE), "test"))
    packed = apply_word_bits(hardware, parse_word_bits(text, packing), NAMES)
    return next(level for level in packed.levels if level.name == name)


def rows(found: Level) -> dict[str, tuple[int, int, int]]:
    assert found.packing is not None
    return {space.name: (space.bits, space.words, space.rows) for space in found.packing.spaces}


def test_text_and_mapping_say_the_same() -> None:
    told = WordBits((("Weights", 2), ("Outputs", 16)), (("Outputs", "DRAM", 8),))
    assert parse_word_bits(" Weights = 2, Outputs=16,Outputs@DRAM=8") == told
    assert parse_word_bits({"Weights": 2, "Outputs": 16, "Outputs@DRAM": 8}) == told


def test_words_of_a_template_stand_where_nothing_else_is_said() -> None:
    otherwise = {"Outputs": 24, "Outputs@DRAM": 8, "Inputs": 4}
    found = parse_word_bits("Weights=2,Outputs@DRAM=16,Inputs=8", otherwise=otherwise)
    assert found == parse_word_bits("Weights=2,Inputs=8,Outputs=24,Outputs@DRAM=16")


def test_a_row_holds_what_fits() -> None:
    found = level("Weights=3,Outputs=16,Outputs@DRAM=8", "Buffer")
    assert rows(found) == {"Weights": (3, 10, 1), "Inputs": (8, 4, 1), "Outputs": (16, 2, 1)}
    assert found.packing is not None
    assert (found.packing.row_bits, found.packing.rows) == (32, 3)  # 10 rows for three copies
    assert rows(level("Weights=3,Outputs=16,Outputs@DRAM=8", "DRAM"))["Outputs"] == (8, 8, 1)


def test_words_of_a_memorys_own_width_leave_it_as_it_is() -> None:
    hardware = flatten(parse_architecture(yamlio.parse(MACHINE), "test"))
    limited = [level for level in hardware.levels if level.size is not None]
    packed = apply_word_bits(hardware, parse_word_bits("Weights=8,Inputs=8,Outputs@Buffer=8"), NAMES).levels
    assert [level for level in packed if level.size is not None] == limited
    assert packed[-1].packing is not None  # the DRAM: whatever stands in it, weights are fetched at their own width
    assert level("Weights@DRAM=4,Inputs=8", "Buffer").packing is None


def test_ideal_rows_have_no_padding() -> None:
    assert rows(level("Weights=3", "Buffer", "ideal"))["Weights"] == (3, 32, 3)


def test_a_level_that_never_keeps_a_data_space_does_not_mind_its_words() -> None:
    assert rows(level("Outputs=16", "Reg"))["Outputs"] == (16, 1, 2)


def test_words_of_some_data_spaces_may_take_several_rows() -> None:
    hardware = flatten(parse_architecture(yamlio.parse(MACHINE), "test"))
    packed = apply_word_bits(hardware, parse_word_bits("Weights=20"), NAMES, wide=["Weights"])
    reg = next(level for level in packed.levels if level.name == "Reg")
    assert rows(reg)["Weights"] == (20, 1, 3)


@pytest.mark.parametrize(
    "text, message",
    [
        ("Weights", "'Weights' is not DATA_SPACE=BITS"),
        ("=2", "'=2' is not DATA_SPACE=BITS"),
        ("", "'' is not DATA_SPACE=BITS"),
        ("Weights=0", "Weights: 0 bits must be a whole number from 1 to 512"),
        ("Weights=513", "Weights: 513 bits must be"),
        ("Weights=2.5", "Weights: '2.5' bits must be"),
        ("Weights=" + "9" * 400, "bits must be"),
        ("Weights=2,Weights=4", "'Weights' is given twice"),
        ("Weights@=2", "neither a data space nor DATA_SPACE@LEVEL"),
        ("W@a@b=2", "neither a data space nor DATA_SPACE@LEVEL"),
        ("Wieghts=2", "unknown data space 'Wieghts' (did you mean 'Weights'?"),
        ("Weights@GLB=2", "unknown level 'GLB'"),
        ("Inputs=64", "a word of 64 bits of Inputs is wider than the 32 bits of a row of Buffer"),
        ("Weights=16", "a word of 16 bits of Weights is wider than the 8 bits of a row of Reg"),
    ],
)
def test_bad_widths(text: str, message: str) -> None:
    with pytest.raises(TqhwError) as error:
        level(text, "Buffer")
    assert message in str(error.value)
    assert str(error.value).startswith("word_bits: ")


def test_an_unknown_packing() -> None:
    with pytest.raises(TqhwError, match="unknown packing 'tight'"):
        parse_word_bits("Weights=2", "tight")


def test_fan_outs_stay_as_they_are() -> None:
    hardware = machine("two_level_array")[0]
    packed = apply_word_bits(hardware, parse_word_bits("Weights=2"), NAMES)
    assert [level for level in packed.levels if level.kind == "fanout"] == [
        level for level in hardware.levels if level.kind == "fanout"
    ]
