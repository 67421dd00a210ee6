"""The weight of a quantized layer as a torch parametrization: fake-quantized in training, codes after it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, Protocol, cast

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.bits import FULL
from tqhw.quant.bounded import Bounded
from tqhw.quant.here import bits_now
from tqhw.quant.normalization import PAPER, Normalizer
from tqhw.quant.outside import outside
from tqhw.quant.schemes import Scheme
from tqhw.quant.slices import WHOLE, Slices
from tqhw.quant.tensor import Affine, Normalized, QuantizedTensor

_LEAST_SHARE: Final = 2.0**-10
"""A learned clip goes no lower, and never to 0."""


class _StraightThrough(torch.autograd.Function):
    """Forward: the dequantized weight. Backward: its slope with the staircase taken for a straight line.

    Where the largest weight is not held constant, it gets what it does to all others. A clip that is learned gets the
    derivative by ``share`` at codes that stay: in the range the error of the level, as in learned step sizes (LSQ),
    beyond an end the end itself.
    """

    @staticmethod
    def forward(
        ctx: Any,
        weight: torch.Tensor,
        share: torch.Tensor | None,
        normalized: Normalized,
        quantizer: QuantizedWeight,
        factor: float,
    ) -> torch.Tensor:
        level, affine = quantizer.level(weight, normalized)
        ctx.factor = factor
        by_share = None
        if share is not None and share.requires_grad:
            inside = normalized.slope * normalized.u.mul(2).sub_(1)
            top = quantizer.slices.spread(normalized.scale / share.to(level.dtype), weight.shape)
            by_share = (level - inside).mul_(top)
        by_largest = largest = None
        if normalized.peak is not None:
            parts = normalized, level, factor, share, quantizer.slices
            by_largest, largest = quantizer.normalizer.by_largest(*parts)
        ctx.slices, ctx.kept = quantizer.slices, None
        kept = normalized.slope, by_share, by_largest, largest
        if quantizer.hold and not torch.compiler.is_compiling():
            ctx.kept = kept  # as of weights made in common, torch knows nothing of it: checkpoints may meet with either
        else:
            ctx.save_for_backward(*kept)
        return affine.real(level, quantizer.slices).to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, None, None, None]:
        slope, by_share, by_largest, largest = ctx.kept or ctx.saved_tensors
        (grad,) = grads
        moved = None if by_share is None else _sums(grad * by_share, ctx.slices).float()
        found = (grad * slope).mul_(ctx.factor)
        if by_largest is not None:
            sums = _sums(grad * by_largest, ctx.slices).to(largest.dtype)
            found = found + largest * ctx.slices.spread(sums, grad.shape)
        return found.to(grad.dtype), moved, None, None, None


def _sums(values: torch.Tensor, slices: Slices) -> torch.Tensor:
    """The sum of each slice, in double, stored as scales are."""
    return slices.stored(slices.rows(values).sum(dim=1, keepdim=True, dtype=torch.float64), values.shape)


class LayerCalls(Protocol):
    """``reading`` calls of a layer are under way in this thread, and have the weight."""

    reading: int


class InputReader(Protocol):
    """The quantizer of a layer's input."""

    @property
    def calls(self) -> LayerCalls: ...

    off: bool
    place: str


class Common(Protocol):
    """Makes the weights of several layers at once, see :class:`tqhw.quant.together.Together`."""

    def real(self, quantizer: QuantizedWeight, weight: torch.Tensor, bits: int) -> torch.Tensor | None:
        """The one of ``quantizer``; None where it has to make it itself."""
        ...


class QuantizedWeight(Bounded):
    """Turns a layer's real weight into the weight it computes with, at ``bits`` bits.

    ``bits`` is changed by :func:`tqhw.quant.set_bits`, unless ``fixed``. With ``codes`` set, the layer runs
    on these integers shifted to ``bits``, and its real weight is not read. With ``off`` set it computes with the real
    weight: that is enough to see what a model computes, and saves quantizing it. ``share``: the clip of a normalisation
    that has one, as a share of the largest weight of each slice; the first forward pass searches it for ``precisions``.
    ``through_maximum``: whether the largest weight of a slice gets the gradient of what it does to all others.
    """

    def __init__(
        self,
        scheme: Scheme,
        gradient: str,
        bits: int,
        fixed: bool = False,
        slices: Slices = WHOLE,
        normalizer: Normalizer = PAPER,
        precisions: tuple[int, ...] = (),
        shape: torch.Size | None = None,
        through_maximum: bool = False,
    ) -> None:
        super().__init__()
        self.scheme = scheme
        self.gradient = gradient
        self.bits = bits
        self.through_maximum = through_maximum
        self.fixed = fixed
        self.slices = slices
        self.normalizer = normalizer
        self.normalization = normalizer.how
        self.precisions = tuple(b for b in ((bits,) if fixed else precisions) if b != FULL)
        self._codes: QuantizedTensor | None = None
        self._made: tuple[QuantizedTensor, int, torch.device, torch.Tensor] | None = None
        self.off = False
        self.hold = False
        self._held: Normalized | None = None
        self.common: Common | None = None
        self.share: torch.Tensor | None
        self.searched = self.normalization.clip == "max"
        share = None
        if not self.searched:
            assert shape is not None
            share = slices.stored(torch.ones(slices.rows(torch.empty(shape, device="meta")).shape[0], 1), shape)
            self.register_load_state_dict_pre_hook(_read_share)  # type: ignore[no-untyped-call]
        if self.normalization.clip == "learned":
            assert share is not None
            self.share = nn.Parameter(share)
        else:
            self.register_buffer("share", share)
        self.read_by(None)

    @property
    def reader(self) -> InputReader | None:
        """What quantizes the input of the layer; None where it reads real numbers."""
        return cast("InputReader | None", self.__dict__["_reader"])

    def read_by(self, reader: InputReader | None) -> None:
        """Sets :attr:`reader`."""
        self.__dict__["_reader"] = reader  # torch would make it a module of this one, but it is the layer's

    @property
    def channel_axis(self) -> int | None:
        """The axis of the output channels, None where the tensor has one scale."""
        return self.slices.axis

    def scales(self, shape: torch.Size) -> int:
        """How many numbers scale and, where the normalisation does so, shift the codes of one precision."""
        slices = self.slices.rows(torch.empty(shape, device="meta")).shape[0]
        return slices * (2 if self.normalization.offset else 1)

    @property
    def like(self) -> Hashable:
        """Equal for quantizers that make the same codes of a weight."""
        return self.slices, self.normalizer, id(self.share) if self.normalization.clip == "learned" else None

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        real, reader = self._real(weight), self.reader
        if reader is None or reader.calls.reading or reader.off:
            return real
        return outside(real, reader.place.removeprefix("input of "))

    @property
    def codes(self) -> QuantizedTensor | None:
        """The codes that the layer runs on; None where it quantizes its weight."""
        return self._codes

    @codes.setter
    def codes(self, codes: QuantizedTensor | None) -> None:
        self._codes, self._made = codes, None

    def _real(self, weight: torch.Tensor) -> torch.Tensor:
        codes = self.codes
        if codes is not None:
            return self._of_codes(codes, weight.device)
        if self.off:
            return weight
        bits = bits_now(self)
        if self.common is not None and not torch.compiler.is_compiling():
            real = self.common.real(self, weight, bits)
            if real is not None:
                return real
        parts = weight, self.share, self._normalized(weight), self, self.factor(bits)
        return cast(torch.Tensor, _StraightThrough.apply(*parts))  # type: ignore[no-untyped-call]

    def factor(self, bits: int) -> float:
        """What the straight-through gradient is multiplied with at ``bits``."""
        return 1.0 if bits == FULL else self.scheme.factor(self.gradient, bits)

    def _of_codes(self, codes: QuantizedTensor, device: torch.device) -> torch.Tensor:
        """The weight of the shifted codes, which is kept until the precision changes."""
        bits, kept = bits_now(self), self._made
        # What is written down is the arithmetic.
        if torch._C._get_tracing_state() is not None or torch.compiler.is_compiling():
            return codes.truncate(bits).dequantize().to(device)
        if kept is None or (kept[0] is not codes or kept[1:3] != (bits, device)):
            with torch.inference_mode(False), torch.no_grad():  # kept for calls outside of either
                made = codes.truncate(bits).dequantize().to(device)
            kept = codes, bits, device, made
            self._made = kept if type(made) is torch.Tensor else None  # one of FakeTensorMode ends with it
        return kept[3]

    def level(self, weight: torch.Tensor, normalized: Normalized) -> tuple[torch.Tensor, Affine]:
        """The weight on [-1, 1] at the present bits, and what makes numbers of it."""
        bits = bits_now(self)
        if bits == FULL:
            return normalized.u.mul(2).sub_(1), Affine(normalized.scale, normalized.offset)
        level = self.scheme.level(self.scheme.codes(normalized.u, bits), bits)
        return level, self.normalizer.affine(weight, normalized, level, self.slices)

    def clip(self, weight: torch.Tensor) -> torch.Tensor | None:
        """The share of the largest weight at which each slice is clipped, searched where that is still to be done."""
        if self.searched or self.share is None:
            if self.training:
                self.keep_in_bounds()
            return self.share
        found = self.normalizer.search(weight, self.slices, self.scheme, self.precisions)
        assert found is not None
        with torch.no_grad():
            self.share.copy_(found)
        self.searched = True
        return self.share

    def keep_in_bounds(self) -> None:
        """Keeps a clip that is learned above 0."""
        if isinstance(self.share, nn.Parameter):
            self.share.data.clamp_(min=_LEAST_SHARE)

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """Assigning to the layer's weight assigns the real one."""
        return weight

    def release(self) -> None:
        """Forgets what was held back for the other precisions of a training step."""
        self.hold = False
        self._held = None
        self.common = None

    def _normalized(self, weight: torch.Tensor) -> Normalized:
        if self._held is not None:
            return self._held
        peak = self.through_maximum and torch.is_grad_enabled()
        normalized = self.normalizer.normalize(weight, self.slices, self.clip(weight), peak)
        if self.hold:
            self._held = normalized
        return normalized

    def __getstate__(self) -> dict[str, Any]:
        """A copy, or what is saved, has nothing of the training step that it is made in."""
        return {**self.__dict__, "hold": False, "_held": None, "common": None}

    def extra_repr(self) -> str:
        fixed = ", fixed" if self.fixed else ""
        return f"{self.scheme.name}, bits={self.bits}{fixed}, gradient={self.gradient}"


def _read_share(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Lets a state dict that knows no clip load: it is searched for the weights that come with it."""
    assert isinstance(module, QuantizedWeight)
    share = state.get(prefix + "share")
    module.searched = share is not None
    if share is None:
        state[prefix + "share"] = module.share
    elif not bool(((share > 0) & torch.isfinite(share)).all()):
        raise TqhwError(
            f"a clip of {float(share.min()):g} times the largest weight leaves no range",
            place=prefix + "share",
            lever="take it out of the state dict and it is searched anew",
        )
