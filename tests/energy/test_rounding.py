"""The 6 digits that Accelergy prints, where the exact value lies half-way between two of them."""

from __future__ import annotations

import pytest

from tests.energy.reference import COMMON, rows
from tqhw.energy import component_costs

SIZES = ("width", "depth", "n_banks", "n_rw_ports")
TIES = rows("ties.csv")


@pytest.mark.parametrize("class_", sorted({row["class"] for row in TIES}))
def test_ties_fall_as_accelergys(class_: str) -> None:
    for row in (row for row in TIES if row["class"] == class_):
        sizes = {name: int(row[name]) for name in SIZES if row[name]}
        action = () if row["action"] == "area" else (row["action"],)
        costs = component_costs(class_, {**sizes, **COMMON}, action)
        ours = costs.energies_pj[row["action"]] if action else costs.area_um2
        assert ours == float(row["printed"]), (sizes, row["action"])


def test_the_leakage_of_a_scratchpad_that_was_printed_one_off() -> None:
    spad = component_costs("spad_sram", {"row_bits": 16, "rows": 192, **COMMON})
    assert spad.energies_pj["leak"] == 1.5255e-05
