import pytest

from tests.energy.reference import COMMON, close, rows
from tests.energy.test_tables import architecture
from tqhw.energy import SPAD_CLASSES, component_costs, spad_class, tables
from tqhw.errors import TqhwError

# Weights scratchpad of 192 rows, a row being 2 weights: read and write pJ by row bits, as Accelergy has them.
READ_WRITE = {
    "register_file": {4: (1.835, 1.835), 8: (1.881, 1.881), 12: (1.926, 1.926), 16: (1.972, 1.972)},
    "smartbuffer_rf": {4: (0.993, 0.947), 8: (1.933, 1.842), 12: (2.874, 2.737), 16: (3.814, 3.632)},
    "sram": {4: (0.374, 0.912), 8: (0.459, 1.118), 12: (0.543, 1.324), 16: (0.628, 1.530)},
}


def energies(spad_model: str, rows_: int, row_bits: int) -> dict[str, float]:
    attributes = {"rows": rows_, "row_bits": row_bits, **COMMON}
    return dict(component_costs(spad_class(spad_model), attributes).energies_pj)


@pytest.mark.parametrize("spad_model", sorted(SPAD_CLASSES))
def test_the_weights_scratchpad(spad_model: str) -> None:
    for row_bits, (read, write) in READ_WRITE[spad_model].items():
        found = energies(spad_model, 192, row_bits)
        assert found["read"] == pytest.approx(read, abs=6e-4)
        assert found["write"] == found["update"] == pytest.approx(write, abs=6e-4)


@pytest.mark.parametrize(("spad_model", "saving"), [("smartbuffer_rf", 0.74), ("register_file", 0.07), ("sram", 0.40)])
def test_what_2_bits_save_of_an_8_bit_read(spad_model: str, saving: float) -> None:
    narrow, wide = (energies(spad_model, 192, 2 * bits)["read"] for bits in (2, 8))
    assert 1 - narrow / wide == pytest.approx(saving, abs=0.006)


def test_every_tabulated_size() -> None:
    classes = {"register_file": "spad_register_file", "smartbuffer_RF": "spad_smartbuffer_rf"}
    for row in rows("register_file.csv"):
        attributes = {"rows": int(row["depth"]), "row_bits": int(row["width"]), **COMMON}
        costs = component_costs(classes[row["definition"]], attributes)
        assert costs.energies_pj["leak"] == close(float(row["leak_pj_per_cycle"]))
        assert costs.area_um2 == close(float(row["area_um2"]))
        for action in ("read", "write", "update"):
            assert costs.energies_pj[action] == close(float(row[f"{action}_pj"])), row


@pytest.mark.parametrize("spad_model", sorted(SPAD_CLASSES))
def test_costing_an_architecture_by_another_model(spad_model: str) -> None:
    named = {
        model: architecture("subclass: sram_buffer", f"subclass: {class_}") for model, class_ in SPAD_CLASSES.items()
    }
    wanted = tables(named[spad_model])
    for other in SPAD_CLASSES:
        assert tables(named[other], spad_model=spad_model).ert.energies == wanted.ert.energies
    # What is no scratchpad stays as it is.
    assert tables(architecture(), spad_model=spad_model).ert == tables(architecture()).ert


def test_an_unknown_model() -> None:
    with pytest.raises(TqhwError, match=r"unknown spad_model 'smartbufer_rf' \(did you mean 'smartbuffer_rf'\?"):
        tables(architecture(), spad_model="smartbufer_rf")
