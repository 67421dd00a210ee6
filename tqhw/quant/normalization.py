"""How a weight is put on the unit interval, and what makes numbers of its codes again: the paper's way and linear ones.

Whatever u a weight gets, codes floor(2^n u) of fewer bits are those of more, shifted: see docs/quantization.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import torch

from tqhw.errors import TqhwError
from tqhw.options import Normalization
from tqhw.quant.schemes import Scheme, scheme_named
from tqhw.quant.slices import Slices
from tqhw.quant.tensor import Affine, Normalized, normalize

_SHARES: Final = tuple(2.0 ** (-step / 8) for step in range(17))
"""Shares of the largest weight that are tried as a clip."""


@dataclass(frozen=True)
class Normalizer:
    """Carries out ``how``. Of the weights of one slice (tensor, output channel or group):

    ``tanh``, the paper's: u = tanh(w) / (2 max|tanh w|) + 1/2 with the scale mean|w|. ``linear``: u = w / (2 a) + 1/2
    with the scale a, which is max|w| or, with a ``clip``, a share of it; with ``offset`` after the middle of the
    smallest and the largest weight is taken off. Scales that are the precisions' ``own`` are fitted to their codes by
    least squares.
    """

    how: Normalization = field(default_factory=Normalization)

    def scheme(self, chosen: Scheme) -> Scheme:
        """The quantizer to use where ``chosen`` is: with ``zero`` the one of a sign and a magnitude."""
        if not self.how.zero or chosen.name == "truncquant_zero":
            return chosen
        if chosen.name != "truncquant":
            raise TqhwError(
                f"scheme '{chosen.name}' has no codes of a sign and a magnitude",
                place="normalization.zero",
                lever="use truncquant, or leave zero out",
            )
        return scheme_named("truncquant_zero")

    def check(self, slices: Slices, place: str = "group") -> None:
        """Refuses slices that this normalisation cannot have, and ``auto``, which is chosen for a whole network."""
        if self.how.kind == "auto":
            raise TqhwError(
                "auto looks at the network of a weight, and there is none",
                place="normalization",
                lever="use kind: linear or tanh",
            )
        if slices.group is not None and self.how.kind == "tanh":
            raise TqhwError(
                "the paper's normalisation has no groups: no batch norm gives back what each of them loses",
                place=place,
                lever="use normalization: {kind: linear}",
            )

    @torch.no_grad()
    def normalize(
        self, weight: torch.Tensor, slices: Slices, share: torch.Tensor | None = None, peak: bool = False
    ) -> Normalized:
        """``weight`` on the unit interval; ``share`` of the largest is the clip, as :meth:`search` gives it.

        float16 and bfloat16 are computed in float32. A slice of equal weights, zeros say, has the scale 0. ``peak``:
        whether to say where the largest weights are.
        """
        if peak:
            return replace(self.normalize(weight, slices, share), peak=_peak(weight, slices))
        if self.how.kind == "tanh":
            return normalize(weight, slices.axis)
        w = weight if weight.dtype == torch.float64 else weight.float()
        top, middle = self._range(slices.rows(w))
        scale = slices.stored(top, w.shape)
        if share is not None:
            scale = scale * share.to(scale.dtype)
        offset = None if middle is None else slices.stored(middle, w.shape)
        centred = w if offset is None else w - slices.spread(offset, w.shape)
        spread = slices.spread(torch.where(scale > 0, scale, torch.ones_like(scale)), w.shape)
        u = centred.div(spread).div_(2).add_(0.5).clamp_(0, 1)
        return Normalized(u, scale, (centred.abs() <= spread).to(w.dtype), offset)

    def by_largest(
        self, normalized: Normalized, level: torch.Tensor, factor: float, share: torch.Tensor | None, slices: Slices
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The derivative of the numbers by each slice's largest weight, of the shape of the weight, in two parts.

        The first is summed over a slice with the gradient, the second says what each weight gets of the sum. With
        x = 2 u - 1 and the slope s of the staircase, ``factor``: of E t / max|t|, t = tanh w, E constant, it is
        - s x E / max|t| times dt/dw at the largest; of a level(w / a) with the clip a = share max|w| it is
        share (level - s x) inside the clip and share level beyond. Scales of the precisions' own are taken for a.
        """
        assert normalized.peak is not None
        x = normalized.u.mul(2).sub_(1)
        if self.how.kind == "tanh":
            return x.mul_(-factor), normalized.peak * normalized.slope
        part = normalized.peak if share is None else normalized.peak * slices.spread(share, x.shape).to(x.dtype)
        return level - x.mul_(normalized.slope).mul_(factor), part

    def affine(self, weight: torch.Tensor, normalized: Normalized, level: torch.Tensor, slices: Slices) -> Affine:
        """What makes numbers of ``level``, ``weight`` coded on [-1, 1]: the shared scale, or one fitted to it."""
        shared = Affine(normalized.scale, normalized.offset)
        if self.how.scales == "shared":
            return shared
        rows, most = slices.rows(weight.detach().to(level.dtype)), torch.finfo(weight.dtype).max
        scale, offset = _fit(rows, slices.rows(level), self.how.offset, most)
        shape = weight.shape
        return Affine(slices.stored(scale, shape), None if offset is None else slices.stored(offset, shape))

    @torch.no_grad()
    def search(
        self, weight: torch.Tensor, slices: Slices, scheme: Scheme, precisions: Iterable[int]
    ) -> torch.Tensor | None:
        """The share of the largest weight to clip each slice at, stored as scales are; None for no clip."""
        if self.how.clip == "max":
            return None
        w = weight.detach() if weight.dtype == torch.float64 else weight.detach().float()
        rows = slices.rows(w)
        top, middle = self._range(rows)
        rows = rows if middle is None else rows - middle
        best, least = torch.ones_like(top), torch.full_like(top, float("inf"))
        for share in _SHARES:
            clip = torch.where(top > 0, top * share, torch.ones_like(top))
            u = rows.div(clip).div_(2).add_(0.5).clamp_(0, 1)
            error = torch.zeros_like(top)
            for bits in precisions:
                level = scheme.level(scheme.codes(u, bits), bits)
                scale, offset = _fit(rows, level, self.how.offset) if self.how.scales == "own" else (clip, None)
                real = level.mul_(scale) if offset is None else level.mul_(scale).add_(offset)
                error += real.sub_(rows).square_().sum(dim=1, keepdim=True, dtype=torch.float64).to(top.dtype)
            better = error < least
            best, least = torch.where(better, share, best), torch.where(better, error, least)
        return slices.stored(best, weight.shape)

    def _range(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Half the width of each row's range and, with an offset, its middle."""
        if not self.how.offset:
            return rows.abs().amax(dim=1, keepdim=True), None
        low, high = rows.amin(dim=1, keepdim=True), rows.amax(dim=1, keepdim=True)
        middle = low / 2 + high / 2
        return torch.maximum(high - middle, middle - low), middle


def _peak(weight: torch.Tensor, slices: Slices) -> torch.Tensor:
    w = weight if weight.dtype == torch.float64 else weight.float()
    rows = slices.rows(w).abs()
    top = rows.amax(dim=1, keepdim=True)
    shape = w.shape
    ties = slices.spread(slices.stored((rows == top).sum(dim=1, keepdim=True).to(w.dtype), shape), shape)
    return w.sign().mul_(w.abs() == slices.spread(slices.stored(top, shape), shape)).div_(ties)


def _fit(
    rows: torch.Tensor, levels: torch.Tensor, offset: bool, most: float = math.inf
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Scale and offset of each row with the least squared error of ``scale level + offset``; summed in double.

    ``most``: the largest number of the weights' type, which none of these passes.
    """
    w, x = rows.double(), levels.double()
    middle = x.mean(dim=1, keepdim=True) if offset else torch.zeros_like(x[:, :1])
    centred = x - middle
    power = centred.square().sum(dim=1, keepdim=True)
    scale = (w * centred).sum(dim=1, keepdim=True) / torch.where(power > 0, power, torch.ones_like(power))
    scale.clamp_(-most, most)
    if not offset:
        return scale.to(rows.dtype), None
    left = most - scale.abs()
    at = torch.minimum(torch.maximum(w.mean(dim=1, keepdim=True) - scale * middle, -left), left)
    return scale.to(rows.dtype), at.to(rows.dtype)


PAPER: Final = Normalizer()
