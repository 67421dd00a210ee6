"""The weight of a quantized layer as a torch parametrization: fake-quantized in training, codes after it."""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import nn

from tqhw.quant.bits import FULL
from tqhw.quant.outside import outside
from tqhw.quant.schemes import Scheme
from tqhw.quant.tensor import Normalized, QuantizedTensor, normalize, to_real


class _StraightThrough(torch.autograd.Function):
    """Forward: the dequantized weight. Backward: its slope with the staircase taken for a straight line."""

    @staticmethod
    def forward(
        ctx: Any, weight: torch.Tensor, normalized: Normalized, scheme: Scheme, bits: int, factor: float
    ) -> torch.Tensor:
        ctx.save_for_backward(normalized.slope)
        ctx.factor = factor
        if bits == FULL:
            real = normalized.u.mul(2).sub_(1).mul_(normalized.scale)
        else:
            real = to_real(scheme.codes(normalized.u, bits), bits, normalized.scale)
        return real.to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None, None]:
        (slope,) = ctx.saved_tensors
        (grad,) = grads
        return (grad * slope).mul_(ctx.factor).to(grad.dtype), None, None, None, None


class Reader(Protocol):
    """The quantizer of a layer's input: ``reading`` calls of the layer are under way, and have the weight."""

    reading: int
    off: bool
    place: str


class QuantizedWeight(nn.Module):
    """Turns a layer's real weight into the weight it computes with, at ``bits`` bits.

    ``bits`` is changed by :func:`tqhw.quant.set_bits`, unless ``fixed``. With ``codes`` set, the layer runs
    on these integers shifted to ``bits``, and its real weight is not read. With ``off`` set it computes with the real
    weight: that is enough to see what a model computes, and saves quantizing it.
    """

    def __init__(
        self, scheme: Scheme, gradient: str, bits: int, fixed: bool = False, channel_axis: int | None = None
    ) -> None:
        super().__init__()
        self.scheme = scheme
        self.gradient = gradient
        self.bits = bits
        self.fixed = fixed
        self.channel_axis = channel_axis
        self.codes: QuantizedTensor | None = None
        self.off = False
        self.hold = False
        self._held: Normalized | None = None
        self.read_by(None)

    @property
    def reader(self) -> Reader | None:
        """What quantizes the input of the layer; None where it reads real numbers."""
        return cast("Reader | None", self.__dict__["_reader"])

    def read_by(self, reader: Reader | None) -> None:
        """Sets :attr:`reader`."""
        self.__dict__["_reader"] = reader  # torch would make it a module of this one, but it is the layer's

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        real, reader = self._real(weight), self.reader
        if reader is None or reader.reading or reader.off:
            return real
        return outside(real, reader.place.removeprefix("input of "))

    def _real(self, weight: torch.Tensor) -> torch.Tensor:
        if self.codes is not None:
            return self.codes.truncate(self.bits).dequantize().to(weight.device)
        if self.off:
            return weight
        factor = 1.0 if self.bits == FULL else self.scheme.factor(self.gradient, self.bits)
        normalized = self._normalized(weight)
        real = _StraightThrough.apply(weight, normalized, self.scheme, self.bits, factor)  # type: ignore[no-untyped-call]
        return cast(torch.Tensor, real)

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """Assigning to the layer's weight assigns the real one."""
        return weight

    def release(self) -> None:
        """Forgets what was held back for the other precisions of a training step."""
        self.hold = False
        self._held = None

    def _normalized(self, weight: torch.Tensor) -> Normalized:
        if not self.hold:
            return normalize(weight, self.channel_axis)
        if self._held is None:
            self._held = normalize(weight, self.channel_axis)
        return self._held

    def extra_repr(self) -> str:
        fixed = ", fixed" if self.fixed else ""
        return f"{self.scheme.name}, bits={self.bits}{fixed}, gradient={self.gradient}"
