"""What each method keeps in DRAM to serve all precisions of an experiment."""

from __future__ import annotations

from dataclasses import dataclass

from tqhw.errors import unknown
from tqhw.results import METHODS, StorageRow
from tqhw.scenario.methods import FLOAT_BITS, Options

FOLDED, TRAINED = 2, 4
"""Numbers per channel of a batch norm: scale and shift; or weight, bias, mean and variance as training left them."""


@dataclass(frozen=True)
class Parameters:
    """The numbers of a model. ``weights``: of layers that follow the precision; ``scales``: one per tensor or
    channel of them. ``fixed_bits``: bits of all weights of layers with a precision of their own, together.
    ``others``: biases and whatever else stays FP32.
    """

    weights: int
    scales: int
    fixed_bits: int
    norm_channels: int
    others: int

    def float_megabytes(self, norm_values: int = FOLDED) -> float:
        """The ordinary FP32 model."""
        numbers = self.weights + norm_values * self.norm_channels + self.others
        return (numbers * FLOAT_BITS + self.fixed_bits) / 8e6


def storage(
    method: str, bits: tuple[int, ...], parameters: Parameters, options: Options, norm_values: int = FOLDED
) -> StorageRow:
    """The parts in MB. Raises TqhwError for an unknown method."""
    weights, scales = parameters.weights, parameters.scales * FLOAT_BITS
    copy = 0
    if method == "truncquant":
        codes = weights * options.stored_bits
    elif method == "any_precision":
        codes = weights * FLOAT_BITS
        copy = 0 if options.requantize == "streaming" else weights * max(bits)
    elif method == "multi_model":
        codes, scales = weights * sum(bits), scales * len(bits)
    elif method == "fixed":
        codes, bits = weights * options.stored_bits, (options.stored_bits,)
    else:
        raise unknown("method", method, METHODS, "methods")
    parts = {
        "codes": codes / 8e6,
        "scales": scales / 8e6,
        "batch_norm": len(bits) * norm_values * parameters.norm_channels * FLOAT_BITS / 8e6,
        "quantized_copy": copy / 8e6,
        "unquantized": (parameters.fixed_bits + parameters.others * FLOAT_BITS) / 8e6,
    }
    return StorageRow(method, bits, sum(parts.values()), parts)
