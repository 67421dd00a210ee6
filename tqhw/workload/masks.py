"""Which elements a mask takes, by the numbers that it has in this run; on the meta device there are none."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def taken(mask: object, shape: Sequence[int]) -> Tensor | None:
    """Of a tensor of this shape, the elements where ``mask`` is 1 or true; None where it has other numbers, or none."""
    if type(mask) is not Tensor or mask.is_meta or mask.is_complex() or mask.layout is not torch.strided:
        return None
    ones = mask == 1
    if mask.dtype is not torch.bool and not bool((ones | (mask == 0)).all()):
        return None
    return ones.expand(tuple(shape))
