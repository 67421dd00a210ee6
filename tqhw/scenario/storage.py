"""What each method keeps in DRAM to serve all precisions of an experiment."""

from __future__ import annotations

from dataclasses import dataclass

from tqhw.results import StorageRow
from tqhw.scenario.methods import METHODS
from tqhw.scenario.ways import FLOAT_BITS, Options

FOLDED, TRAINED = 2, 4
"""Numbers per channel of a batch norm: scale and shift; or weight, bias, mean and variance as training left them."""


@dataclass(frozen=True)
class ModelNumbers:
    """The numbers of a model.

    ``weights``: of layers that follow the precision; ``scales``: what makes numbers of their codes at one precision,
    ``own_scales`` where each has its own. ``fixed_bits``: bits of all weights of layers with a precision of their own,
    together. ``others``: biases and whatever else stays FP32. ``tied``: those of ``weights`` that another use, such as
    an embedding, reads in FP32, so that codes do not replace them; a method that stores FP32 weights has them.
    """

    weights: int
    scales: int
    fixed_bits: int
    norm_channels: int
    others: int
    tied: int = 0
    own_scales: bool = False

    def float_megabytes(self, norm_values: int = FOLDED) -> float:
        """The ordinary FP32 model."""
        numbers = self.weights + norm_values * self.norm_channels + self.others
        return (numbers * FLOAT_BITS + self.fixed_bits) / 8e6


def storage(
    method: str, bits: tuple[int, ...], parameters: ModelNumbers, options: Options, norm_values: int = FOLDED
) -> StorageRow:
    """The parts in MB. Raises TqhwError for an unknown method."""
    one = METHODS.named(method, "methods")
    bits, kept = one.precisions(bits, options), one.kept(bits, options)
    beside = 0 if kept.codes == FLOAT_BITS else parameters.tied  # FP32 weights serve every use
    scale_sets = len(bits) if parameters.own_scales else kept.scale_sets
    parts = {
        "codes": parameters.weights * kept.codes / 8e6,
        "scales": parameters.scales * FLOAT_BITS * scale_sets / 8e6,
        "batch_norm": len(bits) * norm_values * parameters.norm_channels * FLOAT_BITS / 8e6,
        "quantized_copy": parameters.weights * kept.copy / 8e6,
        "unquantized": (parameters.fixed_bits + (parameters.others + beside) * FLOAT_BITS) / 8e6,
    }
    return StorageRow(method, bits, sum(parts.values()), parts)
