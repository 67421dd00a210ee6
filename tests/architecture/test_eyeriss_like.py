"""The template arch/eyeriss_like: what it renders at every weight width, and how its levels follow from it."""

from __future__ import annotations

import pytest

from tqhw.architecture import render

WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 16, 32)


@pytest.mark.parametrize("bits", WIDTHS)
def test_every_weight_width_gives_its_own_words_and_whole_rows(bits: int) -> None:
    rendered = render("eyeriss_like", {"weight_bits": bits})
    levels = {level.name: level for level in rendered.hardware.levels}
    assert list(levels) == [
        "psum_spad",
        "weights_spad",
        "ifmap_spad",
        "inter_PE_spatial",
        "inter_PE_column_spatial",
        "psum_glb",
        "act_glb",
        "DRAM_activations",
        "DRAM_weights",
    ]
    assert (levels["DRAM_weights"].word_bits, levels["DRAM_weights"].block_size) == (bits, 64 // bits)
    assert (levels["weights_spad"].word_bits, levels["weights_spad"].size) == (bits, 384)
    assert rendered.hardware.compute.component.attributes["a_bits"] == bits
