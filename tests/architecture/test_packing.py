"""Words per row, padding, and the two forms of a row that Timeloop takes."""

from __future__ import annotations

import pytest

from tqhw.architecture.packing import packings, row, words_per_cycle, words_per_row
from tqhw.errors import TqhwError
from tqhw.spec import Hardware, flatten, parse_architecture, yamlio


def test_words_fill_a_row_from_whole_words_only() -> None:
    assert [words_per_row(64, bits) for bits in range(1, 9)] == [64, 32, 21, 16, 12, 10, 9, 8]
    assert words_per_row(64, 33) == 1


def test_a_word_wider_than_the_row_is_refused() -> None:
    with pytest.raises(TqhwError, match=r"a word of 32 bits does not fit a row of 16 bits \(widen the row\)"):
        words_per_row(16, 32)


def test_width_only_where_the_words_fill_the_row() -> None:
    assert row(64, 8) == "row_bits: 64, width: 64, datawidth: 8"
    assert row(64, 6) == "row_bits: 64, block_size: 10, datawidth: 6"
    assert row(16, 16) == "row_bits: 16, width: 16, datawidth: 16"


def test_a_port_moves_whole_rows_and_only_words_count() -> None:
    # The reference's 6 bit weight buffer: two rows of ten words per cycle.
    assert words_per_cycle(128, 64, 6) == 20
    assert words_per_cycle(100, 64, 6) == pytest.approx(15.625)
    assert isinstance(words_per_cycle(128, 64, 8), int)


def hardware_with(attributes: str, instances: int = 1) -> Hardware:
    text = (
        "architecture:\n  version: 0.4\n  nodes:\n"
        f"  - !Component {{name: memory, class: storage, spatial: {{meshX: {instances}}},"
        f" attributes: {{{attributes}}}}}\n"
        "  - !Component {name: mac, class: compute}\n"
    )
    return flatten(parse_architecture(yamlio.parse(text, "text"), "text"))


def test_padding_is_what_the_words_leave_of_the_physical_row() -> None:
    (packing,) = packings(hardware_with("row_bits: 64, block_size: 12, datawidth: 5"))
    assert (packing.component, packing.row_bits, packing.word_bits, packing.words_per_row) == ("memory", 64, 5, 12)
    assert packing.padding_bits == 4
    assert packing.utilization == 60 / 64


def test_a_cluster_shares_the_row() -> None:
    (packing,) = packings(hardware_with("width: 64, datawidth: 8, cluster_size: 4", instances=4))
    assert (packing.words_per_row, packing.padding_bits) == (8, 0)


def test_a_memory_without_a_physical_row_has_no_padding() -> None:
    (packing,) = packings(hardware_with("block_size: 3, datawidth: 7"))
    assert (packing.row_bits, packing.utilization) == (21, 1.0)


def test_words_beyond_the_physical_row_are_refused() -> None:
    with pytest.raises(TqhwError, match=r"memory: 11 words of 6 bits do not fit a row of 64"):
        packings(hardware_with("row_bits: 64, block_size: 11, datawidth: 6"))


@pytest.mark.parametrize("row_bits", ["wide", "6.5", "true"])
def test_a_row_of_no_whole_number_is_refused(row_bits: str) -> None:
    with pytest.raises(TqhwError, match=r"memory: row_bits '.*' must be a whole number"):
        packings(hardware_with(f"row_bits: {row_bits}, block_size: 1, datawidth: 1"))
