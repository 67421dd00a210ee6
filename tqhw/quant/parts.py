"""Which tensors of a model are quantized, and how they lie: layers' weights, by the kind of the layer.

What a product reads is quantized unless options keep it: weights of layers, of recurrent ones too, and the stacked
matrices of experts. What is looked up or added (embeddings, tables of positions) is quantized where it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import torch
from torch import nn
from torch.nn.utils import parametrize

from tqhw.errors import TqhwError
from tqhw.quant.computed import computed_by
from tqhw.quant.tensor import check_weight

_TRANSPOSED: Final = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_LAYERS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, *_TRANSPOSED)
_PROJECTIONS: Final = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
_CONV1D: Final = ("transformers.pytorch_utils", "Conv1D")
_LINEAR: Final = frozenset({_CONV1D, ("torch_geometric.nn.dense.linear", "Linear")})
"""Linear layers of other packages: the first has its weight turned, [inputs, outputs]."""
_RECURRENT: Final = (nn.RNNBase, nn.RNNCellBase)
_TABLES: Final = (nn.Embedding, nn.EmbeddingBag)
_EXPERTS: Final = "Experts"
"""How classes are called, in transformers and elsewhere, whose parameters are matrices of experts in a stack."""
QUANTIZABLE: Final = (
    "quantizable are Conv1d to Conv3d, their transposed forms, Linear, MultiheadAttention, LSTM, GRU and RNN, stacked "
    "experts, transformers' Conv1D and torch_geometric's Linear; embeddings and others where layers names them"
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

    @property
    def is_table(self) -> bool:
        """Whether it is looked up, and not multiplied."""
        return isinstance(self.module, _TABLES)

    @property
    def bypasses(self) -> bool:
        """Whether the module computes with it itself, so that what is read with it is no input of the module."""
        return not self.is_table and not _is_layer(self.module)

    def check(self, quantized: bool) -> None:
        """Refuses a weight that is not there, has NaN, or, where it is to be ``quantized``, is not the layer's own."""
        weight = self.module._parameters.get(self.tensor)
        if weight is None and not quantized:
            return
        if weight is None:
            who, removal = computed_by(self.module, self.tensor)
            where = f"model.get_submodule('{self.layer}')" if self.layer else "model"
            how = "" if removal is None else f", by {removal.format(where)}"
            raise TqhwError(
                f"the weight is computed by another parametrization or hook, {who}",
                place=self.parameter,
                lever=f"take it out first{how}; or keep it as it is with layers: {{{self.name or 'NAME'}: full}}",
            )
        if nn.parameter.is_lazy(weight):
            raise TqhwError(
                "the weight has no shape yet", place=self.parameter, lever="run the model on one input first"
            )
        check_weight(weight.detach(), place=self.parameter)
        if quantized and self.is_table:
            self._check_table()

    def _check_table(self) -> None:
        for option in ("max_norm", "sparse"):
            if getattr(self.module, option, None):
                raise TqhwError(
                    f"an embedding with {option} changes its own weight row by row",
                    place=self.parameter,
                    lever=f"build it without, or leave it out of layers: {self.name}",
                )

    def check_channels(self) -> None:
        """A grouped transposed convolution's weight has no axis of output channels, but one of those of a group."""
        groups = getattr(self.module, "groups", 1)
        if isinstance(self.module, _TRANSPOSED) and groups > 1:
            raise TqhwError(
                f"a transposed convolution of {groups} groups cannot have a scale per output channel",
                place=self.parameter,
                lever=f"use granularity: tensor, or layers: {{{self.name or 'NAME'}: full}}",
            )


def parts_of(model: nn.Module, asked: Iterable[str] = ()) -> list[ModelPart]:
    """What is quantized, in the order the model registers it.

    ``asked``: names and patterns; one that matches nothing of it is looked for among embeddings and whatever other
    parameters have two axes or more, which are quantized then, too.
    """
    found: list[ModelPart] = []
    others: list[ModelPart] = []
    for name, module in model.named_modules():
        own = tensors_of(module)
        found += [ModelPart(name, module, tensor) for tensor in own]
        others += [ModelPart(name, module, tensor) for tensor in _others_of(module) if tensor not in own]
    missing = [pattern for pattern in asked if not any(fnmatchcase(part.name, pattern) for part in found)]
    return found + [part for part in others if any(fnmatchcase(part.name, pattern) for pattern in missing)]


def tensors_of(module: nn.Module) -> tuple[str, ...]:
    """The names of a layer's tensors that are quantized unless options keep them; none of another module."""
    if isinstance(module, nn.MultiheadAttention):
        return tuple(name for name in _PROJECTIONS if isinstance(getattr(module, name, None), torch.Tensor))
    if isinstance(module, _RECURRENT):
        return tuple(name for name in _names_of(module) if name.startswith("weight_"))
    if type(module).__name__.endswith(_EXPERTS):
        return tuple(name for name in _names_of(module) if _is_stack(module, name))
    return ("weight",) if _is_layer(module) else ()


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, _LAYERS) or not _LINEAR.isdisjoint(_classes(module))


def _names_of(module: nn.Module) -> list[str]:
    """The parameters of a module, whether or not they are quantized."""
    chains: Any = module.parametrizations if parametrize.is_parametrized(module) else {}
    return [*dict.fromkeys((*module._parameters, *chains))]


def _is_stack(module: nn.Module, name: str) -> bool:
    """Whether a parameter is a matrix for each of several experts."""
    tensor = module._parameters.get(name)
    return tensor is None or (_axes(tensor) == 3 and tensor.dim() == 3)


def _others_of(module: nn.Module) -> list[str]:
    """Parameters that a layer does not multiply with, vectors left out."""
    if isinstance(module, parametrize.ParametrizationList):
        return []
    found = {name: module._parameters.get(name) for name in _names_of(module)}
    return [name for name, tensor in found.items() if tensor is None or _axes(tensor) > 1]


def _axes(tensor: torch.Tensor) -> int:
    """Those of more than one number; none where there is no shape yet."""
    return 0 if nn.parameter.is_lazy(tensor) else sum(size > 1 for size in tensor.shape)


def _classes(module: nn.Module) -> set[tuple[str, str]]:
    return {(kind.__module__, kind.__name__) for kind in type(module).__mro__}
