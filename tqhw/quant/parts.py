"""Which tensors of a model are quantized, and how they lie: layers' weights, by the kind of the layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.tensor import check_weight

_TRANSPOSED: Final = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_LAYERS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, *_TRANSPOSED)
_PROJECTIONS: Final = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
_CONV1D: Final = ("transformers.pytorch_utils", "Conv1D")
_LINEAR: Final = frozenset({_CONV1D, ("torch_geometric.nn.dense.linear", "Linear")})
"""Linear layers of other packages: the first has its weight turned, [inputs, outputs]."""
QUANTIZABLE: Final = (
    "quantizable are Conv1d to Conv3d, their transposed forms, Linear, MultiheadAttention, transformers' Conv1D "
    "and torch_geometric's Linear"
)


@dataclass(frozen=True)
class ModelPart:
    """One tensor to quantize: ``tensor`` of ``module``, which the model registers as ``layer``."""

    layer: str
    module: nn.Module
    tensor: str

    @property
    def parameter(self) -> str:
        """Its name in the state dict."""
        return f"{self.layer}.{self.tensor}" if self.layer else self.tensor

    @property
    def name(self) -> str:
        """What it is called in options and results: the layer, or the parameter where the layer has several."""
        return self.layer if self.tensor == "weight" else self.parameter

    @property
    def output_axis(self) -> int:
        """The axis of the output channels."""
        return 1 if isinstance(self.module, _TRANSPOSED) or _CONV1D in _classes(self.module) else 0

    def check(self, quantized: bool) -> None:
        """Refuses a weight that is not there, has NaN, or, where it is to be ``quantized``, is not the layer's own."""
        weight = self.module._parameters.get(self.tensor)
        if weight is None and not quantized:
            return
        if weight is None:
            raise TqhwError(
                "the weight is computed by another parametrization or hook, such as weight_norm",
                place=self.parameter,
                lever=f"remove it first, or keep it as it is with layers: {{{self.name or 'NAME'}: full}}",
            )
        if nn.parameter.is_lazy(weight):
            raise TqhwError(
                "the weight has no shape yet", place=self.parameter, lever="run the model on one input first"
            )
        check_weight(weight.detach(), place=self.parameter)

    def check_channels(self) -> None:
        """A grouped transposed convolution's weight has no axis of output channels, but one of those of a group."""
        groups = getattr(self.module, "groups", 1)
        if isinstance(self.module, _TRANSPOSED) and groups > 1:
            raise TqhwError(
                f"a transposed convolution of {groups} groups cannot have a scale per output channel",
                place=self.parameter,
                lever=f"use granularity: tensor, or layers: {{{self.name or 'NAME'}: full}}",
            )


def parts_of(model: nn.Module) -> list[ModelPart]:
    """What can be quantized, in the order the model registers it."""
    return [ModelPart(name, module, tensor) for name, module in model.named_modules() for tensor in tensors_of(module)]


def tensors_of(module: nn.Module) -> tuple[str, ...]:
    """The names of a layer's tensors that can be quantized; none of another module."""
    if isinstance(module, nn.MultiheadAttention):
        return tuple(name for name in _PROJECTIONS if isinstance(getattr(module, name, None), torch.Tensor))
    return ("weight",) if isinstance(module, _LAYERS) or not _LINEAR.isdisjoint(_classes(module)) else ()


def _classes(module: nn.Module) -> set[tuple[str, str]]:
    return {(kind.__module__, kind.__name__) for kind in type(module).__mro__}
