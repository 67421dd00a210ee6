"""docs/energy.md is held to what the code does."""

import re
from pathlib import Path

import pytest

from tests.energy.reference import COMMON, close
from tqhw.energy import SPAD_CLASSES, component_costs, parse_components, spad_class, sram_macro
from tqhw.spec import yamlio

TEXT = (Path(__file__).parents[2] / "docs" / "energy.md").read_text(encoding="utf-8")


def test_the_example_component() -> None:
    block = re.search(r"^    components:\n(?:    .*\n)+", TEXT, re.MULTILINE)
    assert block is not None
    own = parse_components(yamlio.parse(block.group(), "energy.md"), "energy.md")
    costs = component_costs("tagged_store", {"rows": 128, **COMMON}, components=own)
    compare = 0.02947 * 1.265241016612673 * 7 / 32
    assert costs.energies_pj["read"] == close(sram_macro(32, 128).read_pj + 0.5 * 128 * compare)
    assert set(costs.energies_pj) == {"read", "write", "update", "leak"}


@pytest.mark.parametrize("spad_model", sorted(SPAD_CLASSES))
def test_the_printed_figures(spad_model: str) -> None:
    row = re.search(rf"^\| `{spad_model}` read \|(.*)\|$", TEXT, re.MULTILINE)
    assert row is not None
    *cells, saving = (cell.strip() for cell in row.group(1).split("|"))
    found = [
        component_costs(spad_class(spad_model), {"rows": 192, "row_bits": 2 * bits, **COMMON}).energies_pj["read"]
        for bits in (1, 2, 4, 6, 8)
    ]
    assert cells == [f"{energy:.3f}" for energy in found]
    assert saving == f"{1 - found[1] / found[-1]:.0%}".replace("%", " %")
