"""What a model takes to store, part by part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tqhw.quant.bits import MAX_BITS
from tqhw.quant.codes import integer_codes
from tqhw.quant.folding import foldable
from tqhw.quant.identity import each_once
from tqhw.quant.layers import every_name, plain, quantization_of, quantized_layers, share_names
from tqhw.quant.norm import SwitchableBatchNorm, norms_of
from tqhw.quant.tensor import Affine, QuantizedTensor


@dataclass(frozen=True)
class Storage:
    """Bytes of a quantized model, and of the FP32 model it stands for (one set of batch norms).

    ``codes``: at their stored bits, packed. ``scales``: of every layer, offsets included, for each precision where they
    have their own. ``norms``: scale, shift, mean and variance, one set per precision that the codes serve.
    ``unquantized``: the other weights and biases. All but codes are FP32.
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


def storage(model: nn.Module, stored: int = MAX_BITS, *, fold: bool = False) -> Storage:
    """Counts the bytes of ``model`` with codes of ``stored`` bits, and batch norms of the precisions these serve.

    ``fold``: of a norm's four numbers per channel two are kept, as :func:`tqhw.quant.save` does where it is asked to.

    What is tied, or stands under two names, is counted once: codes for all layers that share them, a floating-point
    tensor for all that use it so, which of a weight that is quantized elsewhere are both. Counters of batches are
    left out.
    """
    model = plain(model)
    layers = quantized_layers(model)
    codes = {id(found): found for found in integer_codes(model, stored).values()}.values()
    norms: list[torch.Tensor] = []
    single: list[torch.Tensor] = []
    halved = foldable(model) if fold else {}
    for name, norm in norms_of(model).items():
        kept = [norm.of(bits) for bits in _served(norm, stored)] if isinstance(norm, SwitchableBatchNorm) else [norm]
        norms += [tensor for one in kept for tensor in _numbers(one)[: 2 if name in halved else None]]
        single += _numbers(norm)
    inside = tuple(f"{name}." for name in _every_norm(model))
    weights = {*every_name(model), *share_names(model)}
    unquantized = [
        tensor
        for name, tensor in model.state_dict().items()
        if isinstance(tensor, torch.Tensor)
        and tensor.is_floating_point()
        and name not in weights
        and not name.startswith(inside)
    ]
    reals = [layer.real_weight for layer in layers]
    return Storage(
        codes=sum((found.codes.numel() * found.bits + 7) // 8 for found in codes),
        scales=sum(4 * _scales(found, quantization_of(model).precisions) for found in codes),
        norms=_bytes(norms),
        unquantized=_bytes(unquantized),
        fp32=_bytes([*reals, *single, *unquantized]),
    )


def _scales(codes: QuantizedTensor, precisions: Iterable[int]) -> int:
    """Numbers that scale and shift the codes: once, or for each of ``precisions`` that the codes serve."""
    served = [codes.own[bits] for bits in precisions if bits in codes.own]
    if codes.own and not served:  # bits of the layer's own
        served = [codes.own[codes.bits]]
    return sum(affine.count for affine in served or [Affine(codes.scale, codes.offset)])


def _every_norm(model: nn.Module) -> list[str]:
    return [name for name, m in model.named_modules(remove_duplicate=False) if isinstance(m, _BatchNorm)]


def _served(norm: SwitchableBatchNorm, stored: int) -> list[int]:
    return [bits for bits in (*map(int, norm.at), norm.highest) if bits <= stored]


def _numbers(norm: nn.Module) -> list[torch.Tensor]:
    """The floating-point tensors of a batch norm, of one precision."""
    named = [*norm.named_parameters(), *norm.named_buffers()]
    return [tensor for name, tensor in named if tensor.is_floating_point() and not name.startswith("at.")]


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(4 * tensor.numel() for tensor in each_once(tensors))
