"""Making any model a quantized one, and back: parametrized weights, quantized inputs, switchable norms."""

from __future__ import annotations

from typing import Any, Final

from torch import nn
from torch.nn.utils import parametrize

from tqhw.errors import TqhwError
from tqhw.quant import activation
from tqhw.quant.activation import InputQuantizer
from tqhw.quant.config import LayerBits, QuantConfig, bits_by_layer
from tqhw.quant.layers import is_quantized, quantization_of, quantized_layers, weight_name
from tqhw.quant.norm import check_norms, make_single, make_switchable
from tqhw.quant.schemes import gradient_named, scheme_named
from tqhw.quant.tensor import check_weight
from tqhw.quant.weight import QuantizedWeight

_TRANSPOSED: Final = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_QUANTIZABLE: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, *_TRANSPOSED)


def convert(model: nn.Module, config: QuantConfig) -> nn.Module:
    """Quantizes ``model`` in place and returns it, switched to its highest precision.

    State-dict names stay as they are. Raises TqhwError for a model without a quantizable layer, with NaN
    weights, with weights or norms that are computed or not there yet, or already quantized, and for options that
    name no layer or cannot be applied to the model.
    """
    if is_quantized(model):
        raise TqhwError("the model is quantized already", place="convert", lever="revert it first")
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, _QUANTIZABLE)]
    if not found:
        raise _nothing_to_quantize(model)
    chosen = bits_by_layer([name for name, _ in found], config)
    for name, module in found:
        _check_layer(name, module)
        if config.granularity == "channel" and chosen[name] != "full":
            _refuse_split_channels(name, module)
    if config.norms == "switchable":
        check_norms(model)
    if config.activations != "full":
        _refuse_bypassed_inputs(model)
    first = found[0][0]
    for name, module in found:
        bits = chosen[name]
        if bits != "full":
            _attach(module, _weight_quantizer(module, config, bits))
            if config.activations != "full" and name != first:
                activation.attach(module, _input_quantizer(config, name))
    if config.norms == "switchable":
        make_switchable(model, config.precisions)
    model.quantization = config  # type: ignore[assignment]
    return model


def revert(model: nn.Module) -> nn.Module:
    """Undoes :func:`convert` in place: real weights, and the batch norms of the precision switched to."""
    quantization_of(model)
    del model.quantization
    for layer in quantized_layers(model):
        activation.detach(layer.module)
        _own_class(layer.module)
        parametrize.remove_parametrizations(layer.module, "weight", leave_parametrized=False)
    make_single(model)
    return model


def _nothing_to_quantize(model: nn.Module) -> TqhwError:
    others = [
        f"{name or 'the model'} ({type(module).__name__})"
        for name, module in model.named_modules()
        if any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
    ]
    return TqhwError(
        "the model has no convolution and no linear layer to quantize"
        + (f"; what has weights is {', '.join(others)}" if others else ""),
        place="convert",
        lever="quantizable are Conv1d to Conv3d, their transposed forms, and Linear",
    )


def _check_layer(name: str, module: nn.Module) -> None:
    place = weight_name(name)
    weight = module._parameters.get("weight")
    if weight is None:
        raise TqhwError(
            "the weight is computed by another parametrization or hook, such as weight_norm",
            place=place,
            lever="remove it first",
        )
    if nn.parameter.is_lazy(weight):
        raise TqhwError("the weight has no shape yet", place=place, lever="run the model on one input first")
    check_weight(weight.detach(), place=place)


def _refuse_split_channels(name: str, module: nn.Module) -> None:
    """A grouped transposed convolution's weight has no axis of output channels, but one of those of a group."""
    groups = getattr(module, "groups", 1)
    if isinstance(module, _TRANSPOSED) and groups > 1:
        raise TqhwError(
            f"a transposed convolution of {groups} groups cannot have a scale per output channel",
            place=weight_name(name),
            lever=f"use granularity: tensor, or layers: {{{name or 'NAME'}: full}}",
        )


def _weight_quantizer(module: nn.Module, config: QuantConfig, bits: LayerBits) -> QuantizedWeight:
    scheme = scheme_named(config.scheme)
    axis = None if config.granularity == "tensor" else 1 if isinstance(module, _TRANSPOSED) else 0
    running = bits if isinstance(bits, int) else config.precisions[-1]
    return QuantizedWeight(scheme, gradient_named(scheme, config.gradient), running, bits is not None, axis)


def _input_quantizer(config: QuantConfig, name: str) -> InputQuantizer:
    assert config.activations != "full"
    scheme = scheme_named(config.scheme)
    follows = config.activation_bits is None
    precisions = config.precisions if config.activation_bits is None else (config.activation_bits,)
    return InputQuantizer(
        scheme,
        gradient_named(scheme, config.gradient),
        config.activations,
        precisions[-1],
        follows,
        precisions=precisions,
        alpha=config.alpha,
        place=f"input of layer '{name}'",
    )


def _refuse_bypassed_inputs(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            raise TqhwError(
                "torch's MultiheadAttention computes with its weights itself, so that its inputs cannot be quantized",
                place=name or type(model).__name__,
                lever="use activations: full, or attention built from linear layers",
            )


def _own_class(module: nn.Module) -> None:
    """Gives a parametrized layer a class that it does not share with its deep copies.

    torch keeps the parametrized weight as a property of the class, and takes it from there on removal.
    """
    shared = type(module)
    own = {key: value for key, value in vars(shared).items() if key not in ("__dict__", "__weakref__")}
    module.__class__ = type(shared.__name__, shared.__bases__, own)


def _attach(module: nn.Module, quantizer: QuantizedWeight) -> None:
    # Not checked by torch, which would quantize every weight to see that its shape and type stay.
    parametrize.register_parametrization(module, "weight", quantizer, unsafe=True)
    module.register_state_dict_post_hook(_plain_name_out)  # type: ignore[no-untyped-call]
    module.register_load_state_dict_pre_hook(_plain_name_in)  # type: ignore[no-untyped-call]


# A parametrization would be saved as "conv1.parametrizations.weight.original"; the hooks keep "conv1.weight".
# They stay when the parametrization is removed, and then find nothing to rename.
_INNER: Final = "parametrizations.weight.original"


def _plain_name_out(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    if prefix + _INNER in state:
        state[prefix + "weight"] = state.pop(prefix + _INNER)


def _plain_name_in(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    if parametrize.is_parametrized(module, "weight") and prefix + "weight" in state:
        state[prefix + _INNER] = state.pop(prefix + "weight")
