from __future__ import annotations

import pytest

from tqhw.scenario.memory import Port, Traffic, WeightPath

PACKED = Port(64, 512.0, 600.0)
IDEAL = Port(64, 512.0, 600.0, ideal=True)


@pytest.mark.parametrize(
    ("bits", "rows", "padding"),
    [(2, 32, 48), (6, 100, 400), (8, 125, 0), (32, 500, 0), (64, 1000, 0), (96, 2000, 32000)],
)
def test_a_thousand_words_in_rows_of_64_bits(bits: int, rows: int, padding: int) -> None:
    assert PACKED.read(1000, bits) == Traffic(rows * 64, padding, rows * 512.0)
    assert PACKED.write(1000, bits).energy_pj == rows * 600.0


def test_ideal_packing_costs_the_bits_alone() -> None:
    assert IDEAL.read(1000, 6) == Traffic(6000, 0, 6000 / 64 * 512.0)


def test_flows_add_and_multiply() -> None:
    assert Traffic(64, 4, 1.0) + Traffic(64, 0, 2.0) == Traffic(128, 4, 3.0)
    assert Traffic(64, 4, 1.5).times(3) == Traffic(192, 12, 4.5)


def test_weights_fit_when_their_rows_do() -> None:
    path = WeightPath(PACKED, PACKED, buffer_rows=100)
    assert path.fits([(1000, 6)])
    assert not path.fits([(1000, 6), (1, 2)])
    assert not WeightPath(PACKED).fits([])
