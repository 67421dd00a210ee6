"""Writes the golden renderings in data/: ``python -m tests.architecture.regenerate``, then read the diff."""

from __future__ import annotations

from pathlib import Path

from tqhw.architecture import render
from tqhw.spec.yamlio import write_text

DATA = Path(__file__).parent / "data"
GOLDEN: dict[str, tuple[str, dict[str, str]]] = {
    "eyeriss_like_w8": ("eyeriss_like", {}),
    "eyeriss_like_w6_glb": ("eyeriss_like", {"weight_bits": "6", "weights_through_glb": "true"}),
    "eyeriss_like_w2_packed": ("eyeriss_like", {"weight_bits": "2", "fetch_bits": "8", "multiplier": "fixed"}),
    "eyeriss_like_w3_fixed_row_spilling": (
        "eyeriss_like",
        {"weight_bits": "3", "weights_spad_row": "fixed", "psums_in_dram": "true", "packing": "ideal"},
    ),
    "eyeriss_like_fp32": ("eyeriss_like", {"weight_bits": "32", "activation_bits": "32", "dram_bandwidth": "100"}),
    "weight_stationary_w8": ("weight_stationary", {}),
    "weight_stationary_w5_psum24": ("weight_stationary", {"weight_bits": "5", "psum_bits": "24"}),
}

if __name__ == "__main__":
    for name, (template, params) in GOLDEN.items():
        write_text(DATA / f"{name}.yaml", render(template, params).text)
