"""Quantized inputs of a layer: clamped to [0, 1] as in DoReFa-Net, or to [0, alpha] as in PACT."""

from __future__ import annotations

from typing import Any, Final, Literal, cast

import torch
from torch import nn

from tqhw.quant.bits import FULL, top_code
from tqhw.quant.schemes import Scheme

ActivationKind = Literal["dorefa", "pact"]
ALPHA: Final = 6.0
"""Where PACT's learned clamp starts, and beyond what a batch-normed ReLU gives at initialisation."""


class _Staircase(torch.autograd.Function):
    """Forward: ``alpha code / M`` of a value in [0, alpha]. Backward: the identity times the factor."""

    @staticmethod
    def forward(
        ctx: Any, clamped: torch.Tensor, alpha: torch.Tensor, quantizer: InputQuantizer, factor: float
    ) -> torch.Tensor:
        ctx.factor = factor
        stored = quantizer.bits if quantizer.stored is None else quantizer.stored
        codes = quantizer.scheme.codes(clamped.float() / alpha, stored)
        if stored != quantizer.bits:
            codes = codes.to(torch.uint8).bitwise_right_shift_(stored - quantizer.bits).float()
        return codes.mul_(alpha / top_code(quantizer.bits)).to(clamped.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        return grads[0] * ctx.factor, None, None, None


class InputQuantizer(nn.Module):
    """Quantizes what a layer reads, with the codes of its weight's scheme.

    ``bits``: of the activations now. ``follows``: whether they switch with the weights'. ``stored``: where set,
    codes are made at these bits and shifted right, which is what hardware does to activations it holds.
    """

    def __init__(self, scheme: Scheme, gradient: str, kind: ActivationKind, bits: int, follows: bool) -> None:
        super().__init__()
        self.scheme = scheme
        self.gradient = gradient
        self.kind = kind
        self.bits = bits
        self.follows = follows
        self.stored: int | None = None
        if kind == "pact":
            self.alpha = nn.Parameter(torch.tensor(ALPHA))
            self.register_load_state_dict_pre_hook(_keep_alpha)  # type: ignore[no-untyped-call]
        else:
            self.register_buffer("alpha", torch.tensor(1.0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Below alpha the gradient goes to x, above it to alpha: PACT's equation (2).
        clamped = torch.minimum(x.relu(), self.alpha.to(x.dtype))
        if self.bits == FULL:
            return clamped
        factor = self.scheme.factor(self.gradient, self.bits)
        quantized = _Staircase.apply(clamped, self.alpha.detach(), self, factor)  # type: ignore[no-untyped-call]
        return cast(torch.Tensor, quantized)

    def extra_repr(self) -> str:
        return f"{self.kind}, bits={self.bits}{', following the weights' if self.follows else ''}"


def _keep_alpha(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Lets a pretrained state dict, which knows no clamp, load."""
    state.setdefault(prefix + "alpha", module.alpha)


def attach(layer: nn.Module, quantizer: InputQuantizer) -> None:
    """Lets ``layer`` quantize its input first; the clamp's parameter appears as ``input_quantizer.alpha``."""
    layer.add_module("input_quantizer", quantizer.to(next(layer.parameters()).device))
    layer.register_forward_pre_hook(_quantize_input)


def detach(layer: nn.Module) -> None:
    """Undoes :func:`attach` where it was done."""
    if hasattr(layer, "input_quantizer"):
        del layer.input_quantizer
        for key, hook in list(layer._forward_pre_hooks.items()):
            if hook is _quantize_input:
                del layer._forward_pre_hooks[key]


def _quantize_input(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    quantizer = cast(InputQuantizer, layer.input_quantizer)
    return (quantizer(inputs[0]), *inputs[1:])
