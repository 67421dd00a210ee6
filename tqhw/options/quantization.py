"""Which layers are quantized, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from tqhw.options.section import AboveZero, Bits, section

LayerBits = Literal["full"] | Bits | None
"""Of one layer: bits it always runs at, ``full`` for unquantized, None for the model's current precision."""


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
    granularity: Literal["tensor", "channel"] = field(default="tensor", kw_only=True)
    """One scale per weight tensor or per output channel."""
    gradient: str | None = field(default=None, kw_only=True)
    """The straight-through estimator of truncquant, null for the scheme's own."""
    activations: Literal["full", "dorefa", "pact"] = field(default="full", kw_only=True)
    """What the layers read: FP32, clamped to [0, 1] (dorefa), or to a learned range (pact); it decides accuracies
    alone."""
    activation_bits: Bits | None = field(default=8, kw_only=True)
    """Bits of quantized activations, null for those of the weights."""
    alpha: AboveZero | None = field(default=None, kw_only=True)
    """Where the clamp of pact starts, null for what suits the first batch."""
