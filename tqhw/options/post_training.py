"""How a trained network becomes one of several precisions without being trained again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Final

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from tqhw.options.section import AboveZero, Positive, section

QUANTIZATION: Final[Mapping[str, Any]] = {
    "first": None,
    "last": None,
    "granularity": "channel",
    "normalization": {"kind": "linear", "scales": "own", "offset": True},
}
"""What suits a trained network, where an experiment that quantizes one says nothing of it."""


@section
class QuantizeOptions:
    """Post-training, in the place of a training: weights come from `model.weights`, or with a factory of your own."""

    samples: Positive = 256
    """Training samples of the data set that codes, scales and norms are fitted to."""
    batch_size: Positive = 32
    """How many of them at once."""
    data_free: bool = field(default=False, kw_only=True)
    """From the weights alone: codes are truncated, scales fitted to the weights."""
    priorities: Mapping[Annotated[int, Field(ge=1, le=8)], AboveZero] = field(default_factory=dict, kw_only=True)
    """How much a precision's errors count, {2: 8}; 2 to its bits unless said."""
    metric: str | None = None
    """How good answers are, as training.metric; null for accuracy of labels, of several per sample token_accuracy, of
    numbers rmse."""

    @model_serializer(mode="wrap")
    def _as_text(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialize(self)
        return {**found, "priorities": {int(bits): value for bits, value in self.priorities.items()}}
