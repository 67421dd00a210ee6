"""Energies of allocations and of switches between them, against sums by hand from docs/scenarios.md.

Rows of the DRAM and of the weight buffer have 64 bits: of b-bit weights floor(64 / b) stand in one. A read of the DRAM
costs 512 pJ, a write into the buffer 10, an inference 1000 in the array, 150 in the buffer (100 of weights' writes)
and 512 for activations.
"""

from __future__ import annotations

import pytest

from tests.scenario.networks import layer, network
from tqhw.allocation.energies import LayerEnergies
from tqhw.scenario.ways import Options

WEIGHTS, FIXED, CHANNELS, TRUNCATION = (320, 640), 64, 16, 0.25
NORM = 2 * CHANNELS * 32 // 64


def energies(rows: int | None, layout: str) -> LayerEnergies:
    layers = (*(layer(weights) for weights in WEIGHTS), layer(FIXED, fixed_bits=8))
    options = Options(layout=layout, truncation=TRUNCATION)
    return LayerEnergies(network(*layers, rows=rows, channels=CHANNELS), (0, 1), options)


def rows_of(weights: int, bits: int) -> int:
    return -(-weights // (64 // bits))


def fetched(layout: str, bits: int) -> int:
    return 8 if layout == "packed" else bits


def steady_pj(bits: tuple[int, int], layout: str, resident: bool) -> float:
    total = 0.0
    for weights, width in zip((*WEIGHTS, FIXED), (*bits, 8), strict=True):
        if resident:
            total += 1000 + 50 + 512
            continue
        fixed = weights == FIXED
        total += 1000 + 150 + 512 + 512 * rows_of(weights, 8 if fixed else fetched(layout, width))
        total += 0 if fixed else cut_pj(weights, width, layout)
    return total


def cut_pj(weights: int, bits: int, layout: str) -> float:
    """Of packed weights that are fetched whole and run at fewer bits."""
    return TRUNCATION * weights if layout == "packed" and bits < 8 else 0.0


def load_pj(weights: int, bits: int, layout: str) -> float:
    into = 512 * rows_of(weights, fetched(layout, bits)) + 10 * rows_of(weights, bits)
    return into + cut_pj(weights, bits, layout)


@pytest.mark.parametrize("layout", ["bitplane", "packed"])
@pytest.mark.parametrize("rows", [None, 60, 200])
@pytest.mark.parametrize("bits", [(2, 2), (8, 2), (2, 8), (6, 6)])
def test_a_steady_inference(bits: tuple[int, int], rows: int | None, layout: str) -> None:
    needed = sum(rows_of(w, b) for w, b in zip((*WEIGHTS, FIXED), (*bits, 8), strict=True))
    resident = rows is not None and needed <= rows
    assert resident == {None: False, 60: bits == (2, 2), 200: True}[rows]
    found = energies(rows, layout).energy_mj(bits)
    assert found == pytest.approx(steady_pj(bits, layout, resident) / 1e9, rel=1e-12)


@pytest.mark.parametrize("layout", ["bitplane", "packed"])
@pytest.mark.parametrize(
    ("rows", "source", "target", "loaded"),
    [
        (None, (8, 2), (2, 2), ()),
        (None, (2, 2), (8, 8), ()),
        (60, (2, 2), (8, 2), ()),  # none is resident any more: every inference fetches all
        (60, (8, 2), (2, 2), (0, 1, 2)),  # nothing was in the buffer: layers that do not switch are loaded, too
        (60, (6, 8), (2, 2), (0, 1, 2)),
        (100, (2, 2), (6, 2), (0,)),  # both are resident, but not all planes
        (100, (6, 2), (2, 2), (0,)),
        (200, (2, 2), (8, 8), (0, 1)),  # bit planes are all there, packed weights were cut
    ],
)
def test_a_switch(
    rows: int | None, source: tuple[int, int], target: tuple[int, int], loaded: tuple[int, ...], layout: str
) -> None:
    loaded = () if rows == 200 and layout == "bitplane" else loaded
    energy_mj, bits = energies(rows, layout).switch(source, target)
    pj, moved = 512.0 * NORM, NORM
    for index in loaded:
        if index == 2:
            pj += 512 * rows_of(FIXED, 8) + 10 * rows_of(FIXED, 8)
            moved += rows_of(FIXED, 8)
        else:
            pj += load_pj(WEIGHTS[index], target[index], layout)
            moved += rows_of(WEIGHTS[index], fetched(layout, target[index]))
    assert energy_mj == pytest.approx(pj / 1e9, rel=1e-9)
    assert bits == 64 * moved
