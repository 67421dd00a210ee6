"""Which layers lose their magnitude: E tanh(w) / max|tanh w| keeps a weight's shape, a norm has to give its size back.

A layer gets it back where all that reads its output are batch norms, or hand the output on in proportion to batch
norms alone. A LayerNorm behind a sum with a shortcut does not give it back, since the shortcut keeps its own; nor does
one behind a layer with a bias, which the normalisation leaves as it was. Of the network's answer the size does not
matter: the largest output stays the largest.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, cast

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tqhw.quant.layers import QuantizedLayer, quantization_of, quantized_layers

_PER_CHANNEL: Final = (_BatchNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_ACROSS_CHANNELS: Final = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_LINEAR: Final = (
    *(nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.PixelShuffle),
    *(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.Upsample, nn.ChannelShuffle, nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d),
)
_PROPORTIONAL: Final = (
    *(nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
)
_PRODUCTS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
# Functions and methods by their names.
_NORMS_PER_CHANNEL: Final = {"batch_norm", "instance_norm"}
_NORMS_ACROSS_CHANNELS: Final = {"layer_norm", "group_norm", "rms_norm"}
_JOINING: Final = {"cat", "concat", "concatenate"}
_ON_IN_LINE: Final = {
    *(
        "flatten",
        "view",
        "reshape",
        "permute",
        "transpose",
        "swapaxes",
        "contiguous",
        "squeeze",
        "unsqueeze",
        "getitem",
    ),
    *("chunk", "split", "mean", "sum", "dropout", "dropout2d", "avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d"),
    *("adaptive_avg_pool2d", "pad", "_pad", "pixel_shuffle", "interpolate", "float", "to", "clone"),
}
_ON_IN_PROPORTION: Final = {
    *("relu", "relu_", "leaky_relu", "leaky_relu_", "prelu", "max_pool1d", "max_pool2d", "amax"),
    *("adaptive_max_pool1d", "adaptive_max_pool2d"),
}
_SHAPES: Final = {"size", "dim", "numel", "ndimension", "is_floating_point"}


@dataclass(frozen=True)
class _Signal:
    """What of an output was scaled. ``constant``: a bias was not. ``channels``: each channel by its own factor."""

    constant: bool
    channels: bool


def losing_magnitude(model: nn.Module) -> tuple[str, ...]:
    """The quantized layers of ``model`` whose magnitude nothing gives back, by name.

    Followed over the graph that ``torch.fx`` makes of the model; where it makes none, a layer counts as followed by
    what is registered next, and only a batch norm of as many channels gives the magnitude back. Linear normalisations
    keep it.
    """
    layers = quantized_layers(model)
    if quantization_of(model).normalization.kind != "tanh":
        return ()
    channels = quantization_of(model).granularity != "tensor"
    graph = _graph(model)
    if graph is None:
        return _by_registration(model, layers)
    calls: dict[str, list[fx.Node]] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            calls.setdefault(str(node.target), []).append(node)
    return tuple(
        layer.name
        for layer in layers
        if not all(_given_back(node, _Signal(_has_bias(layer.module), channels)) for node in calls.get(layer.name, []))
        or layer.name not in calls
    )


def magnitude_warning(model: nn.Module) -> str | None:
    """What to tell of a model whose layers lose their magnitude; None where none does."""
    lost = losing_magnitude(model)
    if not lost:
        return None
    few = len(lost) == 1
    return (
        f"{len(lost)} of {len(quantized_layers(model))} quantized layers {'loses its' if few else 'lose their'} "
        f"magnitude: the scale is mean|w| of tanh(w) / max|tanh(w)|, and no batch norm behind "
        f"{'it gives' if few else 'them gives'} the size back. A network that was trained in floating point does not "
        f"survive this at any precision; normalization: {{kind: linear}} keeps it. The layers: {', '.join(lost)}"
    )


class _Tracer(fx.Tracer):
    def __init__(self, layers: set[nn.Module]) -> None:
        super().__init__()
        self.layers = layers

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return module in self.layers or isinstance(module, _BatchNorm) or super().is_leaf_module(module, name)


def _graph(model: nn.Module) -> fx.Graph | None:
    """The graph of ``model``, traced on a copy that shares its tensors; None for a model that cannot be traced."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    try:
        twin = copy.deepcopy(model, shared)
        layers = {layer.module for layer in quantized_layers(twin)}
        graph = _Tracer(layers).trace(twin)
    except Exception:  # noqa: BLE001 - whatever a model of the user's does with what is no tensor
        return None
    graph.owning_module = twin  # type: ignore[assignment]
    return graph


def _given_back(node: fx.Node, signal: _Signal) -> bool:
    return all(_reader_gives_back(reader, node, signal) for reader in node.users)


def _reader_gives_back(reader: fx.Node, node: fx.Node, signal: _Signal) -> bool:
    if reader.op == "output":
        return True
    if reader.op == "call_module":
        return _module_gives_back(reader, signal)
    name = reader.target if isinstance(reader.target, str) else getattr(reader.target, "__name__", "")
    if name in _SHAPES or (name == "getattr" and reader.args[1] != "T"):
        return True
    if name in _NORMS_PER_CHANNEL:
        return True
    if name in _NORMS_ACROSS_CHANNELS:
        return not (signal.constant or signal.channels)
    if name in _JOINING:  # beside others that keep their size, only a norm of each channel gives it back
        return _given_back(reader, replace(signal, channels=True))
    if name in _ON_IN_LINE or (name in ("mul", "truediv") and reader.all_input_nodes == [node]):
        return _given_back(reader, signal)
    return name in _ON_IN_PROPORTION and not signal.constant and _given_back(reader, signal)


def _module_gives_back(reader: fx.Node, signal: _Signal) -> bool:
    module = cast(nn.Module, reader.graph.owning_module).get_submodule(str(reader.target))
    if isinstance(module, _PER_CHANNEL):
        return True
    if isinstance(module, _ACROSS_CHANNELS):
        return not (signal.constant or signal.channels)
    if isinstance(module, _LINEAR):
        return _given_back(reader, signal)
    if signal.constant:
        return False
    if isinstance(module, _PROPORTIONAL):
        return _given_back(reader, signal)
    product = isinstance(module, _PRODUCTS) and not signal.channels
    return product and _given_back(reader, replace(signal, constant=_has_bias(module)))


def _has_bias(module: nn.Module) -> bool:
    return getattr(module, "bias", None) is not None


def _by_registration(model: nn.Module, layers: tuple[QuantizedLayer, ...]) -> tuple[str, ...]:
    quantized = {layer.module: layer for layer in layers}
    inside = {part for module in quantized for part in module.modules()} - {*quantized}
    order = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm)
        or module in quantized
        or (module not in inside and [*module.parameters(recurse=False)])
    ]
    followed = dict(pairwise(order))
    last = order[-1]
    return tuple(
        layer.name for layer in layers if layer.module != last and not _is_norm_of(followed[layer.module], layer)
    )


def _is_norm_of(module: nn.Module, layer: QuantizedLayer) -> bool:
    shape = layer.real_weight.shape
    transposed = getattr(layer.module, "transposed", False)
    channels = shape[1] * int(getattr(layer.module, "groups", 1)) if transposed else shape[0]
    return isinstance(module, _BatchNorm) and module.num_features == channels
