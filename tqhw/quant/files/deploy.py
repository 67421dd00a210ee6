"""A model that runs on the codes of a file: its layers get the codes, everything else the tensors of the file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.options import LayerBits
from tqhw.quant.config import QuantConfig
from tqhw.quant.convert import apply
from tqhw.quant.identity import storage_of
from tqhw.quant.layers import QuantizedLayer, every_name, quantized_layers
from tqhw.quant.norm import switchable_norms
from tqhw.quant.parts import parts_of
from tqhw.quant.tensor import QuantizedTensor


def fill(
    model: nn.Module,
    config: QuantConfig,
    layers: Mapping[str, LayerBits],
    reads_real: Collection[str] | None,
    codes: Mapping[str, QuantizedTensor],
    state: Mapping[str, torch.Tensor],
) -> None:
    """Converts ``model`` and gives it ``codes`` by layer and ``state``, every other tensor of the state dict.

    ``layers``: the bits of the quantized ones, None of those that follow the model's. ``reads_real``: those whose
    inputs are not quantized; None: the first. A quantized weight is the layer's own from then on: what it was tied
    to has other values in the file. Raises TqhwError, or torch's RuntimeError, for another architecture.
    """
    names = [part.name for part in parts_of(model, config.layers)]  # embeddings and the like only where asked for
    odd = {*layers} - {*names}
    if odd or not names:
        raise _another(f"layer '{min(odd, default='')}' is quantized in one of them only")
    chosen: dict[str, LayerBits] = {name: layers.get(name, "full") for name in names}
    apply(model, config, chosen, names[:1] if reads_real is None else reads_real)
    place(model, codes)
    weights = {layer.name: layer.real_weight.detach() for layer in quantized_layers(model)}
    model.load_state_dict({**state, **{name: weights[layer] for name, layer in every_name(model).items()}})
    _check(model, state)


def place(model: nn.Module, codes: Mapping[str, QuantizedTensor]) -> None:
    """Lets the layers compute with ``codes``; layers with the same ones share their real weight, too."""
    made: dict[int, nn.Parameter] = {}
    for layer in quantized_layers(model):
        own, real = codes[layer.name], layer.real_weight
        if own.codes.shape != real.shape:
            raise _another(f"{layer.weight_name} is {tuple(own.codes.shape)} there and {tuple(real.shape)} here")
        _check_type(layer.weight_name, own.dtype, real)
        if id(own) not in made:
            made[id(own)] = nn.Parameter(own.dequantize().to(real.device), real.requires_grad)
        _replace_real_weight(layer, made[id(own)])
        layer.quantizer.codes = own


def add_norms(model: nn.Module, bits: int, state: Mapping[str, torch.Tensor]) -> None:
    """Adds the batch norms of ``bits``, whose tensors ``state`` holds under their plain names."""
    norms = switchable_norms(model)
    for norm in dict.fromkeys(norms.values()):
        norm.add(bits)
    for name, norm in norms.items():
        start = f"{name}." if name else ""
        added = norm.of(bits)
        added.load_state_dict({key: state[start + key] for key in added.state_dict()})


def _replace_real_weight(layer: QuantizedLayer, real: nn.Parameter) -> None:
    layer.module.parametrizations[layer.tensor].original = real  # type: ignore[union-attr, index]


def _check(model: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Refuses types that torch would convert, and tensors of the model that are one and several in the file."""
    found = model.state_dict()
    for name, tensor in state.items():
        if isinstance(found[name], torch.Tensor):  # extra state is anything
            _check_type(name, tensor.dtype, found[name])
    for names in _sharing({name: found[name] for name in state if isinstance(found[name], torch.Tensor)}):
        for name in names:
            if not torch.equal(found[name].cpu(), state[name]):
                raise _another(f"'{names[0]}' and '{names[-1]}' are tied in this model, and differ in the file")


def _sharing(tensors: Mapping[str, torch.Tensor]) -> Iterator[list[str]]:
    by_storage: dict[object, list[str]] = {}
    for name, tensor in tensors.items():
        by_storage.setdefault(storage_of(tensor), []).append(name)
    return (names for names in by_storage.values() if len(names) > 1)


def _check_type(name: str, there: torch.dtype, here: torch.Tensor) -> None:
    if there.is_floating_point and here.dtype != there:
        kinds = [str(kind).removeprefix("torch.") for kind in (there, here.dtype)]
        raise TqhwError(
            f"'{name}' is {kinds[0]} in the file and {kinds[1]} in the model",
            place="into",
            lever=f"make the model of that type first: model.to(torch.{kinds[0]})",
        )


def _another(detail: str) -> TqhwError:
    return TqhwError(f"the exported model is of another architecture: {detail}", place="into")
