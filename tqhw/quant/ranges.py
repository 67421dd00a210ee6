"""The ranges that inputs of layers are clamped to, and how they are learned: those of DoReFa-Net, PACT, LSQ and LSQ+.

A range is [low alpha, alpha]. It is one for all precisions, so that codes of fewer bits are those of more, shifted:
what LSQ learns is a step, here the step of n bits is (1 - low) alpha / M_n.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch

from tqhw.quant.clip import best_clip
from tqhw.quant.schemes import Scheme

LOWEST: Final = -1024.0
"""Learning takes low no lower, and never above 0."""


class Clamped(NamedTuple):
    """What a backward pass knows of a clamped tensor, all of its shape: which values were at the lower end or beyond,
    which at the upper, and the code's number minus the clamped value (None where the range does not ask for it)."""

    below: torch.Tensor
    above: torch.Tensor
    error: torch.Tensor | None


@dataclass(frozen=True)
class InputRange:
    """A kind of range.

    ``learned``: alpha is a parameter. ``steps``: its gradient counts the errors inside the range as well, as in learned
    step sizes (LSQ, Esser et al., ICLR 2020). ``moves``: low is a parameter, too (LSQ+, Bhalgat et al., CVPRW 2020).
    ``symmetric``: low is -1 where any value is negative, and 0 otherwise.
    """

    name: str
    learned: bool = False
    steps: bool = False
    moves: bool = False
    symmetric: bool = False

    def start(
        self, values: torch.Tensor, scheme: Scheme, precisions: Iterable[int], alpha: float | None
    ) -> tuple[float, float]:
        """Alpha and low for ``values``, finite and not all zero: with the least squared error over ``precisions``.

        ``alpha``: where it is given, that one.
        """
        lowest = min(0.0, float(values.min()))
        if self.symmetric and lowest < 0:
            lowest = -math.inf
        alpha = alpha or best_clip(values, lowest, scheme, precisions)
        return alpha, max(-1.0, lowest / alpha)

    def gradients(
        self, grad: torch.Tensor, scaled: torch.Tensor, clamped: Clamped, alpha: torch.Tensor, low: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The gradients by alpha and by low, of a tensor (batch first) whose own is ``grad``.

        ``scaled``: ``grad`` times the straight-through factor. Beyond an end a value is the end, which moves with alpha
        (PACT's equation 2, and its mirror image); inside, x_q = low alpha + (1 - low) alpha k / M, and k / M moves as u
        does: dx_q/dalpha = (x_q - x) / alpha and dx_q/dlow = (x - x_q) / (1 - low). With ``steps`` both are divided by
        the square root of the number of values of an image, as LSQ's are.
        """
        if not self.steps:
            ends = torch.where(clamped.above, scaled, 0).float().sum()
            return ends + low * torch.where(clamped.below, scaled, 0).float().sum(), None
        assert clamped.error is not None
        above = torch.where(clamped.above, grad, 0).float().sum()
        below = torch.where(clamped.below, grad, 0).float().sum()
        inside = (grad * clamped.error).float().sum()  # an end has no error
        spread = math.sqrt(max(1, grad.numel() // max(1, len(grad)))) if grad.ndim else 1.0
        by_alpha = (above + low * below + inside / alpha) / spread
        return by_alpha, (alpha * below - inside / (1 - low)) / spread if self.moves else None


RANGES: Final[Mapping[str, InputRange]] = {
    kind.name: kind
    for kind in (
        InputRange("dorefa"),
        InputRange("pact", learned=True),
        InputRange("lsq", learned=True, steps=True, symmetric=True),
        InputRange("lsq_plus", learned=True, steps=True, moves=True),
    )
}
