"""From a real weight to integer codes and back: normalise, quantize, truncate, dequantize."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import torch

from tqhw.errors import TqhwError
from tqhw.quant.bits import check_bits
from tqhw.quant.schemes import scheme_named
from tqhw.quant.slices import WHOLE, Slices


@dataclass(frozen=True)
class Normalized:
    """A weight on the unit interval.

    ``u``: the shape of the weight; ``scale``, ``offset``: of each slice as :class:`tqhw.quant.slices.Slices` stores
    them. ``slope``: the derivative of ``scale (2 u - 1) + offset`` by w with what is taken of the whole slice held
    constant, the shape of the weight. ``peak``: where it is asked for, the derivative of each slice's largest magnitude
    by w, which equal magnitudes share. float32; float64 for float64 weights.
    """

    u: torch.Tensor
    scale: torch.Tensor
    slope: torch.Tensor
    offset: torch.Tensor | None = None
    peak: torch.Tensor | None = None


@torch.no_grad()
def normalize(weight: torch.Tensor, channel_axis: int | None = None) -> Normalized:
    """Normalises ``weight`` as DoReFa-Net does, as a whole or each slice along ``channel_axis`` by itself.

    u is ``tanh(w) / (2 max|tanh(w)|) + 1/2``, the scale ``E = mean|w|``; with it the slope is that of ``E (2 u - 1)``.
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


@dataclass(frozen=True)
class Affine:
    """What makes numbers of levels in [-1, 1]: ``scale level + offset``; no offset is None."""

    scale: torch.Tensor
    offset: torch.Tensor | None = None

    def real(self, level: torch.Tensor, slices: Slices) -> torch.Tensor:
        """The numbers of ``level``, which is overwritten."""
        level.mul_(slices.spread(self.scale, level.shape))
        return level if self.offset is None else level.add_(slices.spread(self.offset, level.shape))

    @property
    def count(self) -> int:
        """How many numbers these are."""
        return self.scale.numel() + (0 if self.offset is None else self.offset.numel())


@dataclass(frozen=True)
class QuantizedTensor:
    """Integer codes of a weight and what is needed to make real weights of them.

    ``codes``: uint8, 0..2^bits - 1, the shape of the weight. ``scale``, ``offset``: see :class:`Normalized`.
    ``dtype``: the floating-point type of the weight, which :meth:`dequantize` returns. ``scheme``: its name.
    ``slices``: what has a scale of its own. ``own``: scales and offsets by precision, where they are not shared;
    ``scale`` and ``offset`` are those of ``bits`` then.
    """

    codes: torch.Tensor
    bits: int
    scale: torch.Tensor
    scheme: str
    dtype: torch.dtype
    offset: torch.Tensor | None = None
    slices: Slices = WHOLE
    own: Mapping[int, Affine] = field(default_factory=dict)

    def truncate(self, bits: int) -> QuantizedTensor:
        """The top ``bits`` bits of every code: ``codes >> (self.bits - bits)``, and no other arithmetic."""
        check_bits(bits, stored=self.bits)
        if self.own and bits not in self.own:
            raise TqhwError(
                f"there are no scales for {bits} bits",
                place="bits",
                lever=f"use one of {', '.join(map(str, sorted(self.own)))}",
            )
        affine = self.own.get(bits, Affine(self.scale, self.offset))
        return replace(
            self, codes=self.codes >> (self.bits - bits), bits=bits, scale=affine.scale, offset=affine.offset
        )

    def dequantize(self) -> torch.Tensor:
        """The real weight, ``scale (2 code / M_n - 1) + offset``; see :class:`tqhw.quant.Scheme`."""
        level = scheme_named(self.scheme).level(self.codes.to(self.scale.dtype), self.bits)
        return Affine(self.scale, self.offset).real(level, self.slices).to(self.dtype)


def all_finite(numbers: torch.Tensor) -> bool:
    """Whether none is NaN or infinite. A sum shows either, ten times as fast; one that overflows is looked into.

    A tensor on the meta device has no numbers.
    """
    found = numbers.detach()
    return found.is_meta or bool(torch.isfinite(found.sum())) or bool(torch.isfinite(found).all())


_LARGEST: Final = {torch.float64: 1e150}
"""Weights with which squares, sums and scales stay in the type that they are computed in; other types: of float32."""


def check_weight(weight: object, place: str = "weight") -> torch.Tensor:
    """``weight`` where it is floating-point, finite and not near its type's end; a TqhwError otherwise."""
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
    largest = 0.0 if weight.is_meta else float(weight.detach().abs().max())
    most = _LARGEST.get(weight.dtype, 1e37)
    if largest > most:
        raise TqhwError(
            f"a weight of magnitude {largest:.3g} is above {most:.0e}: sums would pass the end of {weight.dtype}",
            place=place,
            lever="check the checkpoint",
        )
    return weight
