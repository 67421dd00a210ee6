"""Weights of many small layers quantized as one: what a step on a small batch takes is calls more than numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import get_ident
from typing import Any, Final, cast

import torch
from torch import nn

from tqhw.quant.bits import FULL
from tqhw.quant.layers import QuantizedLayer
from tqhw.quant.weight import QuantizedWeight

_MOST: Final = 1 << 19
"""Weights in one buffer: a processor's cache holds some buffers of so many."""
_ALIGNED: Final = 16
"""Each weight begins at a multiple of so many numbers, as a tensor of its own does: kernels may depend on that."""


class _StraightThroughTogether(torch.autograd.Function):
    """What ``_StraightThrough`` of ``tqhw.quant.weight`` does with one weight, number by number the same."""

    @staticmethod
    def forward(ctx: Any, together: Together, bits: int, *weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.set_materialize_grads(False)  # of a layer that did not run there is none
        ctx.together, ctx.factor = together, together.leads.factor(bits)
        return together.numbers(bits)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        found = ctx.together.gradients(grads, ctx.factor)
        return None, None, *(None if g is None else part for g, part in zip(grads, found, strict=True))


@dataclass(frozen=True)
class _Buffers:
    """Of several weights one after the other: u, the slopes, and for each of them scale and offset of its slice."""

    u: torch.Tensor
    slope: torch.Tensor
    scale: torch.Tensor
    offset: torch.Tensor | None


@dataclass(frozen=True)
class _Made:
    """Weights that wait for their layers: at which bits, with or without gradients, and in which thread."""

    at: tuple[int, bool, int]
    waiting: dict[QuantizedWeight, torch.Tensor]


class Together:
    """The weights of ``layers``, which differ in shape and numbers alone, made in common while they do not move.

    At each precision they are made when the first of them is read, and each is handed out once: who reads again before
    all others have read gets None, and makes its own. So gradients add up in the order in which they would alone.
    """

    def __init__(self, layers: Sequence[QuantizedLayer]) -> None:
        self.leads = layers[0].quantizer
        self._weights = {layer.quantizer: layer.real_weight for layer in layers}
        sizes = [weight.numel() for weight in self._weights.values()]
        self._widths = [*chain.from_iterable((size, -size % _ALIGNED) for size in sizes)]
        self._buffers: _Buffers | None = None
        self._made: _Made | None = None

    @property
    def quantizers(self) -> Iterable[QuantizedWeight]:
        """Those of the layers."""
        return self._weights.keys()

    def real(self, quantizer: QuantizedWeight, weight: torch.Tensor, bits: int) -> torch.Tensor | None:
        """The real weight of ``quantizer`` at ``bits``; None where it has to make it itself."""
        if weight is not self._weights.get(quantizer):  # replaced, or the layer is a copy of one of these
            return None
        at, made = (bits, torch.is_grad_enabled(), get_ident()), self._made
        if made is None or made.at != at or not made.waiting:
            weights = self._weights.values()
            numbers = _StraightThroughTogether.apply(self, bits, *weights)  # type: ignore[no-untyped-call]
            made = self._made = _Made(at, dict(zip(self._weights, numbers, strict=True)))
        return made.waiting.pop(quantizer, None)

    def release(self) -> None:
        """Forgets what no layer has read."""
        self._made = None

    def numbers(self, bits: int) -> tuple[torch.Tensor, ...]:
        """The weights at ``bits``."""
        if self._buffers is None:
            self._buffers = self._filled()
        buffers, scheme = self._buffers, self.leads.scheme
        level = buffers.u.mul(2).sub_(1) if bits == FULL else scheme.level(scheme.codes(buffers.u, bits), bits)
        level.mul_(buffers.scale)
        return self._apart(level if buffers.offset is None else level.add_(buffers.offset))

    def gradients(self, grads: Sequence[torch.Tensor | None], factor: float) -> tuple[torch.Tensor, ...]:
        """Of the weights, where ``grads`` are those of the numbers made of them; None is 0."""
        assert self._buffers is not None
        return self._apart((self._joined(grads) * self._buffers.slope).mul_(factor))

    def _filled(self) -> _Buffers:
        found = [q.normalizer.normalize(w, q.slices, q.clip(w)) for q, w in self._weights.items()]
        scales, offsets = ([getattr(one, part) for one in found] for part in ("scale", "offset"))
        return _Buffers(
            self._joined([one.u for one in found]),
            self._joined([one.slope for one in found]),
            self._spread(scales),
            None if offsets[0] is None else self._spread(offsets),
        )

    def _spread(self, stored: Sequence[torch.Tensor]) -> torch.Tensor:
        """What is stored of each slice, for each weight."""
        every = zip(self._weights.items(), stored, strict=True)
        return self._joined([q.slices.spread(one, w.shape).expand(w.shape) for (q, w), one in every])

    def _joined(self, parts: Sequence[torch.Tensor | None]) -> torch.Tensor:
        nothing = next(iter(self._weights.values())).new_zeros(())
        pieces = []
        for part, size, gap in zip(parts, self._widths[::2], self._widths[1::2], strict=True):
            pieces.append(nothing.expand(size) if part is None else part.reshape(-1))
            if gap:
                pieces.append(nothing.expand(gap))
        return torch.cat(pieces)

    def _apart(self, buffer: torch.Tensor) -> tuple[torch.Tensor, ...]:
        parts = buffer.split_with_sizes(self._widths)[::2]
        return tuple(part.view(weight.shape) for part, weight in zip(parts, self._weights.values(), strict=True))


def put_together(layers: Iterable[QuantizedLayer], modules: Iterable[nn.Module]) -> list[Together]:
    """What can be made in common of ``layers``, as many weights at once as are worth it. ``modules``: the model's."""
    uses = Counter(id(tensor) for module in modules for tensor in module._parameters.values())
    alike: dict[Hashable, list[list[QuantizedLayer]]] = {}
    filled: dict[Hashable, int] = {}
    for layer in layers:
        q, weight = layer.quantizer, layer.real_weight
        if uses[id(weight)] != 1 or not _joins(layer, weight):
            continue
        kind = q.scheme.name, q.gradient, q.normalization.offset, weight.dtype, weight.device
        filled[kind] = filled.get(kind, _MOST) + weight.numel()
        if filled[kind] > _MOST:
            filled[kind] = weight.numel()
            alike.setdefault(kind, []).append([])
        alike[kind][-1].append(layer)
    return [Together(group) for groups in alike.values() for group in groups if len(group) > 1]


def _joins(layer: QuantizedLayer, weight: torch.Tensor) -> bool:
    """Whether the numbers of a layer's weight are made of each weight and of what stays while the weights do."""
    q = layer.quantizer
    chain_of = cast(Any, layer.module).parametrizations[layer.tensor]
    alone = q.fixed or q.off or q.codes is not None or q.through_maximum or len(chain_of) > 1
    fitted = q.normalization.scales == "own" or q.normalization.clip == "learned"
    plain = type(weight) is nn.Parameter and weight.dtype in (torch.float32, torch.float64)
    hooked = bool(weight._backward_hooks)  # one is called with None where a layer did not run and another one did
    return not alone and not fitted and not hooked and plain and weight.requires_grad and weight.is_contiguous()
