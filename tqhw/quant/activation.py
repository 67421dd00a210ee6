"""Quantized inputs of a layer: clamped to [0, 1] as in DoReFa-Net, or to a learned range as in PACT, LSQ and LSQ+."""

from __future__ import annotations

import functools
import inspect
import math
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.bits import FULL, top_code
from tqhw.quant.bounded import Bounded
from tqhw.quant.here import bits_now
from tqhw.quant.pickled import change
from tqhw.quant.ranges import LOWEST, RANGES, Clamped
from tqhw.quant.schemes import Scheme
from tqhw.quant.weight import QuantizedWeight

ALPHA: Final = 6.0
"""Where a learned range ends before it has seen data, and beyond a batch-normed ReLU at initialisation."""
ALPHA_FLOOR: Final = 2.0**-10
"""Learning takes the clamp no lower: at 0 every input would be one value, and a quotient by it no number."""
_DROPPED: Final = 0.01
_SAMPLE: Final = 1 << 16


class _Staircase(torch.autograd.Function):
    """Forward: x in [low alpha, alpha] on the grid ``low alpha + (1 - low) alpha code / M``, clamped to it.

    Backward: inside the range the identity times the factor; alpha and low get what their kind of range says, see
    :meth:`tqhw.quant.ranges.InputRange.gradients`.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, alpha: torch.Tensor, relative: torch.Tensor, quantizer: InputQuantizer, factor: float
    ) -> torch.Tensor:
        real = x if x.dtype == torch.float64 else x.float()
        top = alpha.clamp_min(ALPHA_FLOOR)
        low = relative * top
        below, above = real <= low, real >= top
        clamped = torch.minimum(torch.maximum(real, low), top)
        bits, error = bits_now(quantizer), None
        kept = clamped if quantizer.range.steps and ctx.needs_input_grad[1] else None
        if bits != FULL:
            clamped = quantizer.codes((clamped - low) / (top - low)).mul_((top - low) / top_code(bits)).add_(low)
        if kept is not None:
            error = (clamped - kept).masked_fill_(below | above, 0)
        ctx.save_for_backward(below, above, error, top, relative)
        ctx.factor, ctx.range = factor, quantizer.range
        return clamped.to(x.dtype)

    @staticmethod
    def backward(
        ctx: Any, *grads: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None, None, None]:
        below, above, error, alpha, low = ctx.saved_tensors
        scaled = grads[0] * ctx.factor
        inside = torch.where(below | above, torch.zeros((), dtype=scaled.dtype, device=scaled.device), scaled)
        if not ctx.needs_input_grad[1]:
            return inside, None, None, None, None
        return inside, *ctx.range.gradients(grads[0], scaled, Clamped(below, above, error), alpha, low), None, None


class Calls(threading.local):
    """Calls of a layer by the thread that asks: ``reading``: how many are under way, ``passed_on``: what the hook
    quantized for the one to come. Copies and pickles know of none.
    """

    reading: int = 0
    passed_on: weakref.ref[torch.Tensor] | None = None

    def __reduce__(self) -> tuple[type[Calls], tuple[()]]:
        return Calls, ()


class InputQuantizer(Bounded):
    """Quantizes what a layer reads, with the codes of its weight's scheme.

    ``bits``: of the activations now. ``follows``: whether they switch with the weights'. ``stored``: where set,
    codes are made at these bits and shifted right, which is what hardware does to activations it holds. ``off``:
    inputs pass as they are, which is enough to see what a model computes.

    The range is [low alpha, alpha]: [0, 1] for ``dorefa``, learned as its ``kind`` says for the others, see
    :data:`tqhw.quant.ranges.RANGES`. With ``precisions`` given the first batch decides where it starts (see
    :meth:`start`), ``alpha`` where that is given.
    """

    def __init__(
        self,
        scheme: Scheme,
        gradient: str,
        kind: str,
        bits: int,
        follows: bool,
        *,
        precisions: tuple[int, ...] = (),
        alpha: float | None = None,
        place: str = "input",
    ) -> None:
        super().__init__()
        self.scheme = scheme
        self.gradient = gradient
        self.kind = kind
        self.range = RANGES[kind]
        self.bits = bits
        self.follows = follows
        self.precisions = tuple(bits for bits in precisions if bits != FULL)
        self.given = alpha
        self.place = place
        self.started = not precisions
        self.stored: int | None = None
        self.off = False
        self.argument = "input"  # the name of what it quantizes among the layer's
        self.calls = Calls()
        self.low: torch.Tensor
        if self.range.learned:
            self.alpha = nn.Parameter(torch.tensor(ALPHA if alpha is None else float(alpha)))
            self.register_load_state_dict_pre_hook(_read_range)  # type: ignore[no-untyped-call]
        else:
            self.register_buffer("alpha", torch.tensor(1.0), persistent=False)
        if self.range.moves:
            self.low = nn.Parameter(torch.tensor(0.0))
        else:
            self.register_buffer("low", torch.tensor(0.0), persistent=self.range.learned)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.off:
            return x
        if not self.started:
            self.start(x)
        bits = bits_now(self)
        if self.kind == "dorefa" and bits == FULL:
            return x.relu()  # as the code of Any-Precision DNNs has it
        if self.training:
            self.keep_in_bounds()
        factor = 1.0 if bits == FULL else self.scheme.factor(self.gradient, bits)
        return cast(torch.Tensor, _Staircase.apply(x, self.alpha, self.low, self, factor))  # type: ignore[no-untyped-call]

    def keep_in_bounds(self) -> None:
        """Keeps alpha above 0 and low in [-1024, 0], or what lies between them would be no range."""
        if self.range.learned:
            self.alpha.data.clamp_(min=ALPHA_FLOOR)
            self.low.data.clamp_(LOWEST, 0)

    def first_of(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the layer with the first of them, by position or by name, quantized."""
        if inputs:
            return (self(inputs[0]), *inputs[1:]), named
        if self.argument in named:
            return inputs, {**named, self.argument: self(named[self.argument])}
        return inputs, named  # the layer says itself what it misses

    def codes(self, u: torch.Tensor) -> torch.Tensor:
        """Codes of u in [0, 1] at ``bits`` as whole numbers in its type, shifted from ``stored`` where that is set."""
        bits = bits_now(self)
        if self.stored is None or self.stored == bits:
            return self.scheme.codes(u, bits)
        codes = self.scheme.codes(u, self.stored)
        shifted = codes.to(torch.uint8).bitwise_right_shift_(self.stored - bits).to(u.dtype)
        return torch.where(codes.isnan(), codes, shifted)  # no integer is NaN, which would become code 0

    @torch.no_grad()
    def start(self, x: torch.Tensor) -> None:
        """Sets the range by a first batch ``x``; a batch of zeros, or with what is no number, sets nothing.

        A range that is learned starts where the squared error, summed over the precisions, is least, with low alpha at
        the smallest value, but not below -alpha. Raises TqhwError for ``dorefa`` where values are negative: it would
        drop them.
        """
        values = x.detach().float().reshape(-1)
        values = values[:: max(1, math.ceil(values.numel() / _SAMPLE))]
        if not (torch.isfinite(values).all() and values.any()):
            return
        negative = float((values < 0).float().mean())
        if self.kind == "dorefa" and negative > _DROPPED:
            raise TqhwError(
                f"{negative:.0%} of the values that the layer reads are negative: dorefa's clamp to [0, 1] drops them",
                place=self.place,
                lever="use activations: pact, lsq or lsq_plus, whose range then reaches below 0, or activations: full",
            )
        if self.range.learned:
            alpha, low = self.range.start(values, self.scheme, self.precisions, self.given)
            self.alpha.fill_(alpha)
            self.low.fill_(low)
        self.started = True

    def extra_repr(self) -> str:
        return f"{self.kind}, bits={self.bits}{', following the weights' if self.follows else ''}"


def _read_range(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Lets a pretrained state dict, which knows no clamp, load; refuses a range that is none."""
    assert isinstance(module, InputQuantizer)
    module.started |= prefix + "alpha" in state
    alpha, low = (float(state.setdefault(prefix + part, getattr(module, part).detach())) for part in ("alpha", "low"))
    least = LOWEST if module.range.moves else -1
    if not (0 < alpha < math.inf and least <= low <= 0):
        raise TqhwError(
            f"alpha {alpha:g} and low {low:g} leave no range to clamp to: alpha is above 0, low from {least:g} to 0",
            place=prefix + "alpha",
            lever="train it again, or take alpha and low out of the state dict and the first batch decides",
        )


def input_quantizers(model: nn.Module) -> list[InputQuantizer]:
    """Every input quantizer of ``model``."""
    return [module for module in model.modules() if isinstance(module, InputQuantizer)]


@contextmanager
def real_inputs(model: nn.Module) -> Iterator[None]:
    """Inside, layers read real numbers: a try of the model, on zeros say, starts no range."""
    before = [(quantizer, quantizer.off) for quantizer in input_quantizers(model)]
    for quantizer, _ in before:
        quantizer.off = True
    try:
        yield
    finally:
        for quantizer, off in before:
            quantizer.off = off


def attach(layer: nn.Module, weight: QuantizedWeight, quantizer: InputQuantizer) -> None:
    """Lets ``layer``, whose ``weight`` is parametrized, quantize its input first, however its forward pass is called.

    The clamp's parameter appears as ``input_quantizer.alpha``. A product with the weight that is not the layer's own
    is refused, see :class:`tqhw.quant.outside.OutsideWeight`.
    """
    names = list(inspect.signature(type(layer).forward).parameters)
    quantizer.argument = names[1] if len(names) > 1 else "input"
    layer.add_module("input_quantizer", quantizer.to(next(layer.parameters()).device))
    layer.register_forward_pre_hook(_quantize_input, with_kwargs=True)
    change(layer, _quantize_in_calls)  # of the class that was made for it when its weight was parametrized
    weight.read_by(quantizer)


def detach(layer: nn.Module, weight: QuantizedWeight) -> None:
    """Undoes :func:`attach` where it was done; the class of its own goes with the parametrization."""
    if hasattr(layer, "input_quantizer"):
        del layer.input_quantizer
        weight.read_by(None)
        for key, hook in list(layer._forward_pre_hooks.items()):
            if hook is _quantize_input:
                del layer._forward_pre_hooks[key]
                layer._forward_pre_hooks_with_kwargs.pop(key, None)


def _quantize_input(
    layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Forward pre-hook: hooks that come after it see what the layer computes with."""
    quantizer = cast(InputQuantizer, layer.input_quantizer)
    inputs, named = quantizer.first_of(inputs, named)
    given = inputs[0] if inputs else named.get(quantizer.argument)
    quantizer.calls.passed_on = None if given is None else weakref.ref(given)
    return inputs, named


def _quantize_in_calls(kind: Any) -> None:
    kind.forward = _quantizing(kind.forward)


def _quantizing(original: Callable[..., Any]) -> Callable[..., Any]:
    """The forward pass of a layer whose input is quantized, by the hook or, in a call of ``forward`` itself, here."""

    @functools.wraps(original)
    def forward(self: nn.Module, *inputs: Any, **named: Any) -> Any:
        quantizer: InputQuantizer | None = getattr(self, "input_quantizer", None)
        if quantizer is None:
            return original(self, *inputs, **named)
        given = inputs[0] if inputs else named.get(quantizer.argument)
        calls = quantizer.calls
        if calls.passed_on is None or calls.passed_on() is not given:
            inputs, named = quantizer.first_of(inputs, named)
        calls.passed_on = None
        calls.reading += 1
        try:
            return original(self, *inputs, **named)
        finally:
            calls.reading -= 1

    return forward
