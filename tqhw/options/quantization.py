"""Which layers are quantized, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, TypeAdapter, model_serializer

from tqhw.errors import TqhwError
from tqhw.options.section import AboveZero, Bits, Positive, refused, section

LayerBits = Literal["full"] | Bits | None
"""Of one layer: bits it always runs at, ``full`` for unquantized, None for the model's current precision."""


@section
class Normalization:
    """How weights become numbers between 0 and 1, and numbers again; docs/quantization.md has the formulas."""

    kind: Literal["tanh", "linear", "auto"] = "tanh"
    """The paper's, tanh of the weights with their mean magnitude as scale, or linear, which keeps their magnitude; auto
    is the paper's where batch norms give each layer its magnitude back and none is grouped, else linear by channel."""
    clip: Literal["max", "searched", "learned"] = "max"
    """Of linear: the largest weight, a share of it with the least squared error, or one that is learned from there."""
    scales: Literal["shared", "own"] = "shared"
    """Of linear: one scale for all precisions, or one for each, fitted to its codes and fetched at a switch."""
    offset: bool = Field(default=False, strict=True)
    """Of linear: the middle of the weights' range is taken off first, and added again."""
    zero: bool = Field(default=False, strict=True)
    """Of linear: 0 is a number at every precision, so that pruned weights stay 0."""

    def __post_init__(self) -> None:
        told = (self.clip, self.scales, self.offset, self.zero) != ("max", "shared", False, False)
        if self.kind == "tanh" and told:
            raise refused(
                "the paper's normalisation has no clip, scales, offset or zero to choose", "kind", "use kind: linear"
            )
        if self.kind == "auto" and told:
            raise refused("auto chooses clip, scales, offset and zero itself", "kind", "use kind: linear for others")
        if self.offset and self.zero:
            raise refused(
                "with an offset, no code of a sign and a magnitude stands for 0",
                "offset",
                "leave out one of offset and zero",
            )

    @property
    def fewest(self) -> int:
        """The fewest bits that a weight can have: one beside a sign, where 0 is to be a number."""
        return 2 if self.zero else 1

    def check_bits(self, bits: int, place: str) -> None:
        """Refuses bits that leave nothing but 0."""
        if bits < self.fewest:
            raise TqhwError(
                f"with zero, {bits} bit is the sign alone and every weight 0",
                place=place,
                lever="use 2 bits or more, or leave out normalization.zero",
            )


@section
class QuantizationOptions:
    """What can be chosen of a model's quantization, whatever its precisions."""

    first: LayerBits = field(default="full", kw_only=True)
    """Bits of the first layer that runs: full for FP32, null for the precision of the model."""
    last: LayerBits = field(default="full", kw_only=True)
    """Bits of the last layer, likewise."""
    layers: Mapping[str, LayerBits] = field(default_factory=dict, kw_only=True)
    """Bits by layer name or pattern; they win over first and last."""
    norms: Literal["switchable", "shared"] = field(default="switchable", kw_only=True)
    """One batch norm per precision, or one for all."""
    unswitched: tuple[str, ...] = field(default=(), kw_only=True)
    """Of switchable norms, names or patterns of those that stay one for all precisions."""
    granularity: Literal["tensor", "channel"] | Positive = field(default="tensor", kw_only=True)
    """One scale per weight tensor, per output channel, or per so many neighbours in a channel (64, say)."""
    normalization: Normalization = field(default_factory=Normalization, kw_only=True)
    """How weights become numbers between 0 and 1."""
    gradient: str | None = field(default=None, kw_only=True)
    """The straight-through estimator of truncquant, null for the scheme's own."""
    through_maximum: bool = Field(default=False, strict=True, kw_only=True)
    """Whether the gradient passes through the largest weight too, which all others are divided by."""
    activations: Literal["full", "dorefa", "pact", "lsq", "lsq_plus"] = field(default="full", kw_only=True)
    """What the layers read: FP32, clamped to [0, 1] (dorefa), or to a learned range: pact, lsq (learned steps, signed
    where values are), lsq_plus (both ends learned). Quantized ones reach the hardware with their bits, layer by layer;
    FP32 ones have those of the architecture there."""
    activation_bits: Bits | None = field(default=8, kw_only=True)
    """Bits of quantized activations, null for those of the weights."""
    alpha: AboveZero | None = field(default=None, kw_only=True)
    """Where the clamp of pact starts, and the range of lsq and lsq_plus ends at first; null for what suits the first
    batch."""

    def document(self) -> dict[str, Any]:
        """As JSON, in experiments, checkpoints and exported files; keys of later versions only where they are said."""
        found: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, mode="json")
        return found

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialize(self)
        return {key: value for key, value in found.items() if value or key not in ("unswitched", "through_maximum")}
