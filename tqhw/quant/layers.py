"""Finding what a converted model holds: its options and its quantized layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from tqhw.errors import TqhwError
from tqhw.quant.activation import InputQuantizer
from tqhw.quant.config import QuantConfig
from tqhw.quant.weight import QuantizedWeight


@dataclass(frozen=True)
class QuantizedLayer:
    """A layer with a quantized weight: its ``name`` in the model, the module and its quantizer."""

    name: str
    module: nn.Module
    quantizer: QuantizedWeight

    @property
    def real_weight(self) -> torch.Tensor:
        """The floating-point weight that training updates."""
        return cast(torch.Tensor, cast(Any, self.module).parametrizations.weight.original)

    @property
    def input_quantizer(self) -> InputQuantizer | None:
        """What quantizes the layer's input; None where it reads real numbers."""
        return getattr(self.module, "input_quantizer", None)


def quantized_layers(model: nn.Module) -> tuple[QuantizedLayer, ...]:
    """Every layer with a quantized weight, in the order the model registers them."""
    layers = []
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            quantizer = cast(Any, module).parametrizations.weight[0]
            if isinstance(quantizer, QuantizedWeight):
                layers.append(QuantizedLayer(name, module, quantizer))
    return tuple(layers)


def holds_codes(model: nn.Module) -> bool:
    """Whether ``model`` computes with stored codes, as one read from its file does: it has no real weights then."""
    return any(layer.quantizer.codes is not None for layer in quantized_layers(model))


def weight_name(layer: str) -> str:
    """The state-dict name of a layer's weight; of the model itself where it is the layer, and has no name."""
    return f"{layer}.weight" if layer else "weight"


def is_quantized(model: nn.Module) -> bool:
    """Whether ``model`` was converted, and not reverted since."""
    return isinstance(getattr(model, "quantization", None), QuantConfig)


def quantization_of(model: nn.Module) -> QuantConfig:
    """The options ``model`` was converted with; a TqhwError where it was not."""
    if not is_quantized(model):
        raise TqhwError("the model is not quantized", place="model", lever="convert it first")
    return cast(QuantConfig, model.quantization)
