"""The quantizers: how a normalised weight u in [0, 1] becomes an integer code of n bits.

Every scheme dequantizes code k to k / M_n with M_n = 2^n - 1; they differ in the code alone.
"""

from __future__ import annotations

from typing import Final, Protocol

import torch

from tqhw.errors import TqhwError, unknown
from tqhw.quant.bits import top_code
from tqhw.registry import Registry


class Scheme(Protocol):
    """A quantizer of normalised weights, each by itself, and the gradients it may be trained with.

    A code depends on its own u alone: those of several layers are made in one call.
    """

    name: str
    truncatable: bool
    """Whether a right shift of the codes gives this scheme's own codes at fewer bits."""
    gradients: tuple[str, ...]
    """The names of its straight-through factors, the default first."""

    def codes(self, u: torch.Tensor, bits: int) -> torch.Tensor:
        """Codes 0..M_n as whole numbers in the floating-point type of ``u`` (any shape)."""
        ...

    def level(self, codes: torch.Tensor, bits: int) -> torch.Tensor:
        """The numbers in [-1, 1] that floating-point ``codes``, which are overwritten, stand for."""
        ...

    def factor(self, gradient: str, bits: int) -> float:
        """What the gradient with respect to k / M_n is multiplied with to stand for the one of u."""
        ...


class TruncQuant:
    """``floor((M_n + 1) u)``, clamped to M_n, which only u = 1 reaches (arXiv 2506.11431).

    M_n + 1 is a power of two, so the product is exact in every floating-point type and
    ``floor(2^8 u) >> (8 - n) == floor(2^n u)`` for every u: dropping low bits is quantizing anew.
    """

    name = "truncquant"
    truncatable = True
    gradients: tuple[str, ...] = ("paper", "plain", "exact")

    def codes(self, u: torch.Tensor, bits: int) -> torch.Tensor:
        return u.mul(1 << bits).floor_().clamp_(max=top_code(bits))

    def level(self, codes: torch.Tensor, bits: int) -> torch.Tensor:
        """``2 k / M_n - 1``."""
        return codes.div_(top_code(bits)).mul_(2).sub_(1)

    def factor(self, gradient: str, bits: int) -> float:
        """``paper``: M/(M+1), the paper's; ``plain``: 1; ``exact``: (M+1)/M, the staircase's mean slope."""
        top = top_code(bits)
        return {"paper": top / (top + 1), "plain": 1.0, "exact": (top + 1) / top}[gradient]


class SignAndMagnitude:
    """TruncQuant with a number 0: the top bit says whether x = 2 u - 1 is negative, the others floor(2^(n-1) |x|).

    A right shift drops bits of the magnitude and keeps the sign: floor(2^7 |x|) >> (8 - n) == floor(2^(n-1) |x|), which
    is quantizing anew. Magnitude m stands for m + 1/2, the middle of its bin, and 0 for 0, whose bin is twice as wide:
    the quantizer with a dead zone of embedded image coders.
    """

    name = "truncquant_zero"
    truncatable = True
    gradients: tuple[str, ...] = ("plain",)

    def codes(self, u: torch.Tensor, bits: int) -> torch.Tensor:
        half = 1 << (bits - 1)
        x = u.mul(2).sub_(1)
        return x.abs().mul_(half).floor_().clamp_(max=half - 1).add_((x < 0).to(u.dtype), alpha=half)

    def level(self, codes: torch.Tensor, bits: int) -> torch.Tensor:
        half = 1 << (bits - 1)
        negative = codes >= half
        magnitude = codes.sub_(negative.to(codes.dtype), alpha=half)
        found = magnitude.add(0.5).mul_(magnitude > 0).div_(half)
        return torch.where(negative, -found, found)

    def factor(self, gradient: str, bits: int) -> float:
        return 1.0


class DoReFa:
    """``round(M_n u)``, the ordinary quantizer of DoReFa-Net and Any-Precision DNNs.

    Its staircase has slope 1 on average, so the plain straight-through estimator is the exact one.
    """

    name = "dorefa"
    truncatable = False
    gradients: tuple[str, ...] = ("plain",)

    def codes(self, u: torch.Tensor, bits: int) -> torch.Tensor:
        return u.mul(top_code(bits)).round_()

    def level(self, codes: torch.Tensor, bits: int) -> torch.Tensor:
        """``2 k / M_n - 1``."""
        return codes.div_(top_code(bits)).mul_(2).sub_(1)

    def factor(self, gradient: str, bits: int) -> float:
        return 1.0


SCHEMES: Final[Registry[Scheme]] = Registry(
    "scheme", "tqhw.schemes", {s.name: s for s in (TruncQuant(), SignAndMagnitude(), DoReFa())}
)


def scheme_named(name: str) -> Scheme:
    """The scheme of that name; a TqhwError that offers the nearest known one otherwise."""
    return SCHEMES.named(name)


def gradient_named(scheme: Scheme, gradient: str | None) -> str:
    """``gradient`` where the scheme has it, the scheme's default for None."""
    if gradient is None:
        return scheme.gradients[0]
    every = {g for s in SCHEMES.values() for g in s.gradients}
    if gradient not in every:
        raise unknown("straight-through gradient", str(gradient), sorted(every))
    if gradient not in scheme.gradients:
        raise TqhwError(
            f"scheme '{scheme.name}' has no straight-through gradient '{gradient}'",
            place="gradient",
            lever=f"use {' or '.join(scheme.gradients)}",
        )
    return gradient
