"""A real weight made integer codes."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from tqhw.options import Normalization
from tqhw.quant.bits import FULL, MAX_BITS, check_bits
from tqhw.quant.normalization import PAPER, Normalizer
from tqhw.quant.schemes import scheme_named
from tqhw.quant.slices import Slices
from tqhw.quant.tensor import Affine, QuantizedTensor, check_weight

_EVERY = tuple(range(1, MAX_BITS + 1))


@torch.no_grad()
def quantize(
    weight: torch.Tensor,
    bits: int = MAX_BITS,
    scheme: str = "truncquant",
    *,
    channel_axis: int | None = None,
    group: int | None = None,
    normalization: Normalization | None = None,
    precisions: Iterable[int] = _EVERY,
    share: torch.Tensor | None = None,
) -> QuantizedTensor:
    """Integer codes of a real weight at ``bits`` bits.

    ``weight``: any shape, float16, bfloat16, float32 or float64. ``scheme``: ``truncquant`` or ``dorefa``.
    ``channel_axis``: the output channels' axis, for a scale and a maximum per channel instead of per tensor.
    ``group``: one for so many neighbours within a channel. ``normalization``: the paper's, or another.
    ``precisions``: those that a clip is searched for, unless its ``share`` of the largest weight is given.
    Raises TqhwError for bits outside 1..8, an unknown scheme, weights that are NaN, infinite or absent, groups
    that do not divide a channel or that the normalisation cannot have, and ``auto``.
    """
    check_bits(bits)
    normalizer = PAPER if normalization is None else Normalizer(normalization)
    quantizer = normalizer.scheme(scheme_named(scheme))
    normalizer.how.check_bits(bits, "bits")
    check_weight(weight)
    slices = Slices(channel_axis if group is None or channel_axis is not None else 0, group)
    normalizer.check(slices)
    slices.check(weight.shape)
    w = weight.detach()
    if share is None:
        share = normalizer.search(w, slices, quantizer, [b for b in precisions if normalizer.how.fewest <= b != FULL])
    normalized = normalizer.normalize(w, slices, share)
    own: dict[int, Affine] = {}
    if normalizer.how.scales == "own":
        for fewer in range(normalizer.how.fewest, bits + 1):
            level = quantizer.level(quantizer.codes(normalized.u, fewer), fewer)
            own[fewer] = normalizer.affine(w, normalized, level, slices)
    affine = own.get(bits, Affine(normalized.scale, normalized.offset))
    codes = quantizer.codes(normalized.u, bits).to(torch.uint8)
    return QuantizedTensor(codes, bits, affine.scale, quantizer.name, w.dtype, affine.offset, slices, own)
