"""Finding what a converted model holds: its options and its quantized layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.activation import InputQuantizer
from tqhw.quant.config import QuantConfig
from tqhw.quant.weight import QuantizedWeight


@dataclass(frozen=True)
class QuantizedLayer:
    """A quantized weight: the ``name`` of its layer in the model, the module, its quantizer, and which ``tensor``.

    A layer with one weight has one, and its name; those of an attention's projections are called by the parameter
    (``attention.in_proj_weight``).
    """

    name: str
    module: nn.Module
    quantizer: QuantizedWeight
    tensor: str = "weight"

    @property
    def real_weight(self) -> torch.Tensor:
        """The floating-point weight that training updates."""
        return cast(torch.Tensor, cast(Any, self.module).parametrizations[self.tensor].original)

    @property
    def weight_name(self) -> str:
        """The state-dict name of the weight."""
        return weight_name(self.name) if self.tensor == "weight" else self.name

    @property
    def input_quantizer(self) -> InputQuantizer | None:
        """What quantizes the layer's input; None where it reads real numbers."""
        return cast("InputQuantizer | None", self.module._modules.get("input_quantizer"))


def plain(model: nn.Module) -> nn.Module:
    """The module inside of one that ``torch.compile`` gave, which knows it by another name; any other as it is."""
    inner = model._modules.get("_orig_mod") if type(model).__name__ == "OptimizedModule" else None
    return model if inner is None else plain(inner)


def walk(model: nn.Module, every_name: bool = False) -> Iterator[tuple[str, nn.Module]]:
    """What ``model.named_modules()`` gives, in its order: each module once, or under ``every_name``.

    Without its generators inside of generators, which take most of the time that switching a precision takes.
    """
    seen: set[nn.Module] = set()
    stack: list[tuple[str, nn.Module]] = [("", model)]
    while stack:
        name, module = stack.pop()
        if module not in seen or every_name:
            seen.add(module)
            yield name, module
            prefix = f"{name}." if name else ""
            stack += [(prefix + key, part) for key, part in reversed(module._modules.items()) if part is not None]


def quantized_layers(model: nn.Module) -> tuple[QuantizedLayer, ...]:
    """Every quantized weight once, in the order the model registers them."""
    return layers_among(walk(plain(model)))


def every_name(model: nn.Module) -> dict[str, str]:
    """The state-dict names of quantized weights, those of modules that stand in two places too, each with the layer."""
    own = {(id(layer.module), layer.tensor): layer.name for layer in quantized_layers(model)}
    every = layers_among(walk(plain(model), every_name=True))
    return {layer.weight_name: own[id(layer.module), layer.tensor] for layer in every}


def share_names(model: nn.Module) -> list[str]:
    """The state-dict names of clips, which codes do not need."""
    kinds = [(name, m) for name, m in model.named_modules(remove_duplicate=False) if isinstance(m, QuantizedWeight)]
    return [f"{name}.share" for name, quantizer in kinds if quantizer.share is not None]


def layers_among(modules: Iterable[tuple[str, nn.Module]]) -> tuple[QuantizedLayer, ...]:
    """Every quantized weight of ``modules``, by name, in their order."""
    found = []
    for name, module in modules:
        if "parametrizations" in module._modules:
            for tensor, chain in cast(Any, module).parametrizations.items():
                if isinstance(chain[0], QuantizedWeight):
                    called = name if tensor == "weight" else f"{name}.{tensor}".removeprefix(".")
                    found.append(QuantizedLayer(called, module, chain[0], tensor))
    return tuple(found)


def holds_codes(model: nn.Module) -> bool:
    """Whether ``model`` computes with stored codes, as one read from its file does: it has no real weights then."""
    return any(layer.quantizer.codes is not None for layer in quantized_layers(model))


def weight_name(layer: str) -> str:
    """The state-dict name of a layer's weight; of the model itself where it is the layer, and has no name."""
    return f"{layer}.weight" if layer else "weight"


def is_quantized(model: nn.Module) -> bool:
    """Whether ``model`` was converted, and not reverted since."""
    return isinstance(getattr(plain(model), "quantization", None), QuantConfig)


def quantization_of(model: nn.Module) -> QuantConfig:
    """The options ``model`` was converted with; a TqhwError where it was not."""
    if not is_quantized(model):
        raise TqhwError("the model is not quantized", place="model", lever="convert it first")
    return cast(QuantConfig, plain(model).quantization)
