"""What a model takes to store, part by part."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tqhw.quant.bits import MAX_BITS, check_bits
from tqhw.quant.codes import integer_codes
from tqhw.quant.layers import quantized_layers, weight_name


@dataclass(frozen=True)
class Storage:
    """Bytes of a quantized model, and of the FP32 model it stands for (one set of batch norms).

    ``codes``: at their stored bits, packed. ``scales``: E of every layer. ``norms``: scale, shift, mean and
    variance, one set per precision. ``unquantized``: the other weights and biases. All but codes are FP32.
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
    """Counts the bytes of ``model`` with codes of ``stored`` bits. Counters of batches are left out."""
    check_bits(stored, place="stored")
    codes = integer_codes(model, stored)
    weights = {weight_name(layer.name) for layer in quantized_layers(model)}
    of_norms = {
        f"{prefix}.{name}"
        for prefix, module in model.named_modules()
        if isinstance(module, _BatchNorm)
        for name in ("weight", "bias", "running_mean", "running_var")
    }
    norms = single = unquantized = 0
    for name, tensor in model.state_dict().items():
        if name in of_norms:
            norms += 4 * tensor.numel()
            single += 0 if ".at." in name else 4 * tensor.numel()
        elif name not in weights and tensor.is_floating_point():
            unquantized += 4 * tensor.numel()
    numbers = sum(layer.codes.numel() for layer in codes.values())
    return Storage(
        codes=sum((layer.codes.numel() * layer.bits + 7) // 8 for layer in codes.values()),
        scales=sum(4 * layer.scale.numel() for layer in codes.values()),
        norms=norms,
        unquantized=unquantized,
        fp32=4 * numbers + single + unquantized,
    )
