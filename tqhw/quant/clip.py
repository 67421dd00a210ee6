"""Where to clip what is quantized: one range for all precisions, with the least squared error over them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import torch

from tqhw.quant.bits import top_code
from tqhw.quant.schemes import Scheme

_LADDER: Final = tuple(2.0 ** (-step / 4) for step in range(41))
"""Shares of the largest value that are tried: outliers of transformers are some hundred times the rest."""


def best_clip(values: torch.Tensor, lowest: float, scheme: Scheme, precisions: Iterable[int]) -> float:
    """The c of the range [max(lowest, -c), c] that quantizes ``values`` best, for all ``precisions`` together.

    ``values``: any shape, not all zero. ``lowest``: the smallest of them, or 0 where none is negative.
    """
    largest = float(values.abs().max())
    costs: dict[float, float] = {}
    for share in _LADDER:
        top = largest * share
        low = max(lowest, -top)
        u = values.sub(low).div_(top - low).clamp_(0, 1)
        costs[top] = sum(_squared_error(values, u, low, top, scheme, bits) for bits in precisions)
    return min(costs, key=lambda top: costs[top])


def _squared_error(values: torch.Tensor, u: torch.Tensor, low: float, top: float, scheme: Scheme, bits: int) -> float:
    real = scheme.codes(u, bits).mul_((top - low) / top_code(bits)).add_(low)
    return float(real.sub_(values).square_().sum(dtype=torch.float64))
