import pytest

from tests.energy.reference import close, rows
from tqhw.energy import (
    QUANTIZER_ESTIMATES,
    fp32_energy_pj,
    quantizer_energy_pj,
    quantizer_range_pj,
    quantizer_steps,
    truncation_energy_pj,
)
from tqhw.errors import TqhwError

COMPOSED = {
    "float32 to int, affine, Accelergy tables": "affine_tables",
    "float32 to int, affine, Horowitz multiply": "affine_low",
    "float32 to int, power-of-two scale": "power_of_two",
}
TRUNCATIONS = {
    "truncate int8 to fewer bits, fixed wires": "wires",
    "truncate int8 to fewer bits, mask": "mask",
    "truncate int8 to fewer bits, barrel shifter 8 bit, linear in bits": "shifter_linear",
    "truncate int8 to fewer bits, barrel shifter 8 bit, bits x stages": "shifter_stages",
}


def test_every_step_and_sum_of_the_sourced_table() -> None:
    for name, estimate in COMPOSED.items():
        table = [row for row in rows("quantizer.csv") if row["estimate"] == name]
        for bits in sorted({int(row["bits"]) for row in table}):
            of_bits = [row for row in table if int(row["bits"]) == bits]
            steps = [float(row["energy_pj_per_weight"]) for row in of_bits if row["step"] != "total"]
            assert [step.energy_pj for step in quantizer_steps(bits, estimate)] == pytest.approx(steps, rel=1e-9)
            total = next(float(row["energy_pj_per_weight"]) for row in of_bits if row["step"] == "total")
            assert quantizer_energy_pj(bits, estimate) == close(total, 1e-9)
    for name, estimate in TRUNCATIONS.items():
        for row in rows("quantizer.csv"):
            if row["estimate"] == name:
                assert truncation_energy_pj(8, estimate) == close(float(row["energy_pj_per_weight"]), 1e-9)


def test_the_default_is_the_low_end_of_the_range() -> None:
    assert quantizer_range_pj() == pytest.approx((4.4, 45.8), abs=0.05)
    for bits in range(1, 9):
        default = quantizer_energy_pj(bits, "affine_low")
        assert default == pytest.approx(4.5, abs=0.1)
        affine = [quantizer_energy_pj(bits, name) for name in QUANTIZER_ESTIMATES if name.startswith("affine")]
        assert default == min(affine)
        assert quantizer_energy_pj(bits, "affine_high") == max(affine) == close(affine[1] * 1.265241016612673)


def test_truncation_is_free_by_default_and_never_dearer_than_quantizing() -> None:
    assert truncation_energy_pj(8, "wires") == 0
    assert 0 < truncation_energy_pj(8, "shifter_stages") < truncation_energy_pj(8, "shifter_linear")
    assert truncation_energy_pj(8, "mask") < quantizer_energy_pj(8, "power_of_two")
    assert truncation_energy_pj(1, "shifter_stages") == 0


def test_fp32_operations() -> None:
    assert fp32_energy_pj("multiply") == 35.3
    assert fp32_energy_pj("add") == 16.679
    assert fp32_energy_pj("mac") == close(51.979)
    assert fp32_energy_pj("mac", "horowitz") == close(4.6)


@pytest.mark.parametrize("bits", [0, 33, 2.0, True, "2"])
def test_bad_bits(bits: int) -> None:
    with pytest.raises(TqhwError, match=f"bits '{bits}' must be a whole number from 1 to 32"):
        quantizer_energy_pj(bits, "affine_low")
    with pytest.raises(TqhwError, match="must be a whole number from 1 to 32"):
        truncation_energy_pj(bits, "mask")


def test_unknown_names() -> None:
    with pytest.raises(TqhwError, match=r"unknown quantizer estimate 'afine_low' \(did you mean 'affine_low'"):
        quantizer_energy_pj(2, "afine_low")
    with pytest.raises(TqhwError, match=r"unknown truncation estimate 'wire' \(did you mean 'wires'"):
        truncation_energy_pj(8, "wire")
    with pytest.raises(TqhwError, match="unknown FP32 operation 'divide'"):
        fp32_energy_pj("divide")
    with pytest.raises(TqhwError, match="unknown source of FP32 energies 'guess'"):
        fp32_energy_pj("add", "guess")
