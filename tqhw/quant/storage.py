"""What a model takes to store, part by part."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from tqhw.quant.bits import MAX_BITS, check_bits
from tqhw.quant.codes import integer_codes
from tqhw.quant.layers import quantization_of, quantized_layers, weight_name
from tqhw.quant.norm import SwitchableBatchNorm, norms_of


@dataclass(frozen=True)
class Storage:
    """Bytes of a quantized model, and of the FP32 model it stands for (one set of batch norms).

    ``codes``: at their stored bits, packed. ``scales``: E of every layer. ``norms``: scale, shift, mean and
    variance, one set per precision that the codes serve. ``unquantized``: the other weights and biases. All but
    codes are FP32.
    """

    codes: int
    scales: int
    norms: int
    unquantized: int
    fp32: int

    @property
    def total(self) -> int:
        """Bytes of the quantized model."""
        return self.codes + self.scales + self.norms + self.unquantized

    @property
    def ratio(self) -> float:
        """How many times smaller the quantized model is."""
        return self.fp32 / self.total


def storage(model: nn.Module, stored: int = MAX_BITS) -> Storage:
    """Counts the bytes of ``model`` with codes of ``stored`` bits, and batch norms of the precisions these serve.

    Counters of batches are left out.
    """
    check_bits(stored, place="stored")
    codes = integer_codes(model, stored)
    served = sum(bits <= stored for bits in quantization_of(model).precisions)
    norms = single = 0
    found = norms_of(model)
    for norm in found.values():
        tensors = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
        own = sum(4 * tensor.numel() for tensor in tensors if tensor is not None)
        single += own
        norms += own * (served if isinstance(norm, SwitchableBatchNorm) else 1)
    weights = {weight_name(layer.name) for layer in quantized_layers(model)}
    inside_norms = tuple(f"{name}." for name in found)
    unquantized = sum(
        4 * tensor.numel()
        for name, tensor in model.state_dict().items()
        if tensor.is_floating_point() and name not in weights and not name.startswith(inside_norms)
    )
    numbers = sum(layer.codes.numel() for layer in codes.values())
    return Storage(
        codes=sum((layer.codes.numel() * layer.bits + 7) // 8 for layer in codes.values()),
        scales=sum(4 * layer.scale.numel() for layer in codes.values()),
        norms=norms,
        unquantized=unquantized,
        fp32=4 * numbers + single + unquantized,
    )
