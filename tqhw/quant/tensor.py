"""From a real weight to integer codes and back: normalise, quantize, truncate, dequantize."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tqhw.errors import TqhwError
from tqhw.quant.bits import MAX_BITS, check_bits, top_code
from tqhw.quant.schemes import scheme_named


@dataclass(frozen=True)
class Normalized:
    """A weight on the unit interval, as in DoReFa-Net.

    ``u``: ``tanh(w) / (2 max|tanh(w)|) + 1/2``, the shape of the weight. ``scale``: ``E = mean|w|``, a
    scalar, or one per output channel in a shape that broadcasts. ``slope``: the derivative of ``E (2 u - 1)``
    by w with E and the maximum held constant, the shape of the weight. float32; float64 for float64 weights.
    """

    u: torch.Tensor
    scale: torch.Tensor
    slope: torch.Tensor


@torch.no_grad()
def normalize(weight: torch.Tensor, channel_axis: int | None = None) -> Normalized:
    """Normalises ``weight`` as a whole, or each slice along ``channel_axis`` by itself.

    float16 and bfloat16 are computed in float32. A slice of zeros has u = 1/2 and scale 0.
    """
    w = weight if weight.dtype == torch.float64 else weight.float()
    axes = [axis for axis in range(w.ndim) if axis != channel_axis]
    keep = channel_axis is not None
    t = torch.tanh(w)
    top = t.abs().amax(dim=axes, keepdim=keep)
    top = torch.where(top > 0, top, torch.ones_like(top))
    # Summed in double: float32 sums depend on how many threads share the work.
    scale = w.abs().mean(dim=axes, keepdim=keep, dtype=torch.float64).to(w.dtype)
    u = t / (2 * top) + 0.5
    slope = t.square_().neg_().add_(1).mul_(scale / top)
    return Normalized(u, scale, slope)


def to_real(codes: torch.Tensor, bits: int, scale: torch.Tensor) -> torch.Tensor:
    """``E (2 code / M_n - 1)`` in the type of ``scale``; ``codes`` uint8 or whole numbers in that type."""
    return codes.to(scale.dtype).div(top_code(bits)).mul_(2).sub_(1).mul_(scale)


@dataclass(frozen=True)
class QuantizedTensor:
    """Integer codes of a weight and what is needed to make real weights of them.

    ``codes``: uint8, 0..2^bits - 1, the shape of the weight. ``scale``: E, see :class:`Normalized`.
    ``dtype``: the floating-point type of the weight, which :meth:`dequantize` returns. ``scheme``: its name.
    """

    codes: torch.Tensor
    bits: int
    scale: torch.Tensor
    scheme: str
    dtype: torch.dtype

    def truncate(self, bits: int) -> QuantizedTensor:
        """The top ``bits`` bits of every code: ``codes >> (self.bits - bits)``, and no other arithmetic."""
        check_bits(bits, stored=self.bits)
        return QuantizedTensor(self.codes >> (self.bits - bits), bits, self.scale, self.scheme, self.dtype)

    def dequantize(self) -> torch.Tensor:
        """The real weight ``E (2 code / M_n - 1)``."""
        return to_real(self.codes, self.bits, self.scale).to(self.dtype)


def all_finite(numbers: torch.Tensor) -> bool:
    """Whether none is NaN or infinite. A sum shows either, ten times as fast; one that overflows is looked into.

    A tensor on the meta device has no numbers.
    """
    found = numbers.detach()
    return found.is_meta or bool(torch.isfinite(found.sum())) or bool(torch.isfinite(found).all())


def check_weight(weight: object, place: str = "weight") -> torch.Tensor:
    """``weight`` where it is a floating-point tensor of finite numbers; a TqhwError otherwise."""
    if not isinstance(weight, torch.Tensor) or not weight.is_floating_point():
        kind = weight.dtype if isinstance(weight, torch.Tensor) else type(weight).__name__
        raise TqhwError(f"a weight is a floating-point tensor, not {kind}", place=place)
    if weight.numel() == 0:
        raise TqhwError(f"a weight of shape {tuple(weight.shape)} holds no number", place=place)
    if not all_finite(weight):
        bad = int((~torch.isfinite(weight)).sum())
        raise TqhwError(
            f"{bad} of {weight.numel()} weights are NaN or infinite",
            place=place,
            lever="check the checkpoint",
        )
    return weight


def quantize(
    weight: torch.Tensor,
    bits: int = MAX_BITS,
    scheme: str = "truncquant",
    *,
    channel_axis: int | None = None,
) -> QuantizedTensor:
    """Integer codes of a real weight at ``bits`` bits.

    ``weight``: any shape, float16, bfloat16, float32 or float64. ``scheme``: ``truncquant`` or ``dorefa``.
    ``channel_axis``: the output channels' axis, for a scale and a maximum per channel instead of per tensor.
    Raises TqhwError for bits outside 1..8, an unknown scheme and weights that are NaN, infinite or absent.
    """
    check_bits(bits)
    quantizer = scheme_named(scheme)
    check_weight(weight)
    if channel_axis is not None and not 0 <= channel_axis < weight.ndim:
        raise TqhwError(f"axis {channel_axis} is not one of the {weight.ndim} of the weight", place="channel_axis")
    normalized = normalize(weight.detach(), channel_axis)
    codes = quantizer.codes(normalized.u, bits).to(torch.uint8)
    return QuantizedTensor(codes, bits, normalized.scale, scheme, weight.dtype)
