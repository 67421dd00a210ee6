"""Columns of CACTI's answers against whole runs of CACTI, and their ends."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest

from tests.energy.test_sram import errors
from tqhw.energy import sram_columns
from tqhw.energy.sram_columns import NODES, along, deepest
from tqhw.energy.sram_tables import BANKS, macros


@pytest.mark.parametrize("node", NODES)
def test_they_are_the_whole_runs_of_the_tables(node: int) -> None:
    """Codes of 16 bits and thinned columns leave a third of a percent."""
    found = []
    for (depth, width, banks, ports), macro in macros(node).items():
        here = along(node, depth, width, banks)
        if here is not None and ports == 1:
            found.append(max(errors(here, macro)))
    assert len(found) > 1000
    assert median(found) < 0.002
    assert max(found) < 0.004


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("banks", BANKS)
def test_every_width_has_a_column_to_the_same_depth(node: int, banks: int) -> None:
    columns = sram_columns._columns(node, banks)
    assert len(columns.ends) == 125  # 32 to 1024 bits
    starts = np.concatenate([[0], columns.ends[:-1]])
    for start, end in zip(starts, columns.ends, strict=True):
        depths = columns.depths[start:end]
        assert np.all(np.diff(depths) > 0)
        assert depths[0] <= 64 * (banks // 2 + 1 if banks > 2 else banks)
        assert depths[-1] == deepest(node, banks) == 200_000


@pytest.mark.parametrize(
    ("node", "depth", "width", "banks"),
    [
        (90, 1000, 64, 1),
        (45, 1000, 60, 1),
        (45, 1000, 24, 1),
        (45, 1000, 1032, 1),
        (45, 63, 64, 1),
        (45, 200_001, 64, 1),
    ],
)
def test_what_no_column_has(node: int, depth: int, width: int, banks: int) -> None:
    assert along(node, depth, width, banks) is None
    assert deepest(90, banks) == 0


def test_between_two_rows_an_energy_is_a_power_of_the_depth() -> None:
    below, above = 2**20, 0
    for depth in range(1000, 3000):
        found = along(32, depth, 64, 1)
        assert found is not None
        low, high = (int(text) for text in found.interpolated.removesuffix(" rows of 64 bits").split(" to "))
        assert low <= depth <= high
        below, above = min(below, low), max(above, high)
        ends = [along(32, end, 64, 1) for end in (low, high)]
        energies = sorted(end.read_j for end in ends if end is not None)
        assert energies[0] * (1 - 1e-12) <= found.read_j <= energies[1] * (1 + 1e-12)
    assert below <= 1000 and above >= 2999
