"""The template arch/weight_stationary: an accelerator that is nothing but two files in arch/."""

from __future__ import annotations

from pathlib import Path

import pytest

from tqhw.architecture import folders, render

WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 16, 32)


def test_it_needs_no_python() -> None:
    path = folders.find("weight_stationary").path
    assert sorted(file.name for file in path.iterdir()) == ["arch.yaml.j2", "params.yaml"]
    room = Path(folders.__file__).parent
    mentions = [file.name for file in room.glob("*.py") if "weight_stationary" in file.read_text()]
    assert mentions == []


@pytest.mark.parametrize("bits", WIDTHS)
def test_every_weight_width_gives_its_own_words_and_whole_rows(bits: int) -> None:
    rendered = render("weight_stationary", {"weight_bits": bits})
    levels = {level.name: level for level in rendered.hardware.levels}
    assert list(levels) == [
        "weight_reg",
        "inter_PE_spatial",
        "inter_PE_column_spatial",
        "accumulator",
        "unified_buffer",
        "weight_buffer",
        "DRAM_activations",
        "DRAM_weights",
    ]
    assert (levels["DRAM_weights"].word_bits, levels["DRAM_weights"].block_size) == (bits, 64 // bits)
    assert levels["weight_buffer"].size == 4096 * (128 // bits)
    assert (levels["weight_reg"].size, levels["weight_reg"].instances) == (4, 256)
    assert rendered.hardware.compute.instances == 256


def test_columns_take_output_channels_and_rows_take_what_is_summed() -> None:
    levels = {level.name: level for level in render("weight_stationary").hardware.levels}
    columns = levels["inter_PE_column_spatial"].constraints.spatial
    rows = levels["inter_PE_spatial"].constraints.spatial
    assert set("CMRSNPQG") - set(columns.factors) == {"M"}
    assert set("CMRSNPQG") - set(rows.factors) == {"C", "R", "S"}
    assert levels["accumulator"].constraints.temporal.permutation == ("Q", "P", "N")
