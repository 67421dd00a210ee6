"""What it costs to quantize one FP32 weight (the baseline's step that truncation saves), and to truncate one.

Composed here from tabulated units; no Accelergy output. The 40 nm numbers are taken unscaled unless the estimate
says otherwise. Not included: registers around the unit, control, leakage, transcendental steps such as tanh.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tqhw.energy.aladdin_plugin import table_row
from tqhw.energy.library_scale import energy_scale
from tqhw.errors import TqhwError, unknown

# M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014: 45 nm, 0.9 V.
HOROWITZ_FP32_PJ: Mapping[str, float] = {"add": 0.9, "multiply": 3.7}
_FP32_TABLES = {"add": "fp_sp_adder", "multiply": "fp_sp_multiplier"}
_PLUGIN = "Accelergy Aladdin plug-in, 1 ns"
_SHIFTER = "Aladdin's shifter table, which no Accelergy class reaches"

QUANTIZER_ESTIMATES: Mapping[str, str] = {
    "affine_low": "scale, align, round and clamp; Horowitz' FP32 multiply (the low end, in the baseline's favour)",
    "affine_tables": "the same steps, Accelergy's FP32 multiply",
    "affine_high": "affine_tables scaled from 40 to 45 nm like Accelergy's library (the high end)",
    "power_of_two": "a power-of-two scale: an exponent add instead of the multiply",
}
TRUNCATION_ESTIMATES: Mapping[str, str] = {
    "wires": "the kept bits are wired, no gate switches",
    "mask": "one AND per stored bit",
    "shifter_stages": "a barrel shifter of the stored width: the 32-bit entry by bits times stages",
    "shifter_linear": "the 32-bit entry by bits",
}


@dataclass(frozen=True)
class QuantizerStep:
    """One unit's work on one weight."""

    name: str
    unit: str
    energy_pj: float
    source: str


def quantizer_energy_pj(bits: int, estimate: str) -> float:
    """pJ to quantize one FP32 weight to ``bits`` (1 to 32) bits; ``estimate`` is one of QUANTIZER_ESTIMATES.

    About 4.5 pJ by affine_low. Raises TqhwError for an unknown estimate or number of bits.
    """
    return sum(step.energy_pj for step in quantizer_steps(bits, estimate))


def quantizer_steps(bits: int, estimate: str) -> tuple[QuantizerStep, ...]:
    """The steps of :func:`quantizer_energy_pj`, each with its source."""
    _whole_bits(bits)
    if estimate not in QUANTIZER_ESTIMATES:
        raise unknown("quantizer estimate", estimate, QUANTIZER_ESTIMATES)
    if estimate == "affine_high":
        return tuple(_scaled(step) for step in quantizer_steps(bits, "affine_tables"))
    if estimate == "power_of_two":
        scale = _adder("exponent add", 8)
    else:
        origin = "horowitz" if estimate == "affine_low" else "accelergy"
        source = "Horowitz, ISSCC 2014" if origin == "horowitz" else _PLUGIN
        scale = QuantizerStep("scale multiply", "FP32 multiplier", fp32_energy_pj("multiply", origin), source)
    compare, select = _dynamic_pj("comparator"), _dynamic_pj("bitwise")
    return (
        scale,
        _adder("exponent difference", 8),
        QuantizerStep("mantissa alignment", "32-bit shifter", _dynamic_pj("shifter"), _SHIFTER),
        _adder("rounding", 24),
        _adder("sign", bits),
        QuantizerStep("clamp, compare", "two 32-bit comparators", 2 * compare, _PLUGIN),
        QuantizerStep("clamp, select", f"{bits}-bit select", bits * select, _PLUGIN),
    )


def quantizer_range_pj() -> tuple[float, float]:
    """The sourced range of the affine quantizer: affine_low at 2 bits to affine_high at 8 bits."""
    return quantizer_energy_pj(2, "affine_low"), quantizer_energy_pj(8, "affine_high")


def truncation_energy_pj(stored_bits: int, estimate: str) -> float:
    """pJ to cut one integer weight of ``stored_bits`` to fewer; ``estimate`` is one of TRUNCATION_ESTIMATES."""
    _whole_bits(stored_bits)
    if estimate not in TRUNCATION_ESTIMATES:
        raise unknown("truncation estimate", estimate, TRUNCATION_ESTIMATES)
    stages = math.ceil(math.log2(stored_bits))
    share = {"shifter_stages": stored_bits * stages / (32 * 5), "shifter_linear": stored_bits / 32}
    if estimate in share:
        return _dynamic_pj("shifter") * share[estimate]
    return stored_bits * _dynamic_pj("bitwise") if estimate == "mask" else 0.0


def fp32_energy_pj(operation: str, source: str = "accelergy") -> float:
    """pJ of one FP32 ``add``, ``multiply`` or ``mac``, by ``accelergy`` (its 1 ns tables) or ``horowitz``.

    Accelergy's are nine (multiply) and eighteen (add) times Horowitz'.
    """
    if operation == "mac":
        return fp32_energy_pj("add", source) + fp32_energy_pj("multiply", source)
    if operation not in _FP32_TABLES:
        raise unknown("FP32 operation", operation, (*_FP32_TABLES, "mac"))
    if source not in ("accelergy", "horowitz"):
        raise unknown("source of FP32 energies", source, ("accelergy", "horowitz"))
    return _dynamic_pj(_FP32_TABLES[operation]) if source == "accelergy" else HOROWITZ_FP32_PJ[operation]


def _dynamic_pj(table: str) -> float:
    return float(table_row(table, 1e-9)["dynamic_pj"])


def _adder(name: str, bits: int) -> QuantizerStep:
    return QuantizerStep(name, f"{bits}-bit adder", _dynamic_pj("adder") * bits / 32, _PLUGIN)


def _scaled(step: QuantizerStep) -> QuantizerStep:
    scale = energy_scale(45)
    return replace(step, energy_pj=step.energy_pj * scale, source=f"{step.source}, x {scale:.3f}")


def _whole_bits(bits: int) -> None:
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 32:
        raise TqhwError(f"bits '{bits}' must be a whole number from 1 to 32")
