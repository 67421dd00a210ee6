"""Making any model a quantized one, and back: parametrized weights, quantized inputs, switchable norms."""

from __future__ import annotations

import logging
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import torch
from torch import nn
from torch.nn.utils import parametrize

from tqhw.errors import TqhwError, unknown
from tqhw.options import LayerBits
from tqhw.quant import activation
from tqhw.quant.activation import InputQuantizer
from tqhw.quant.choice import PAPER, settled
from tqhw.quant.config import QuantConfig, bits_by_layer, ends
from tqhw.quant.coverage import coverage
from tqhw.quant.foreign import refuse_foreign
from tqhw.quant.identity import identity
from tqhw.quant.layers import holds_codes, is_quantized, plain, quantization_of, quantized_layers
from tqhw.quant.magnitude import magnitude_warning
from tqhw.quant.norm import check_norms, check_unswitched, make_single, make_switchable
from tqhw.quant.normalization import Normalizer
from tqhw.quant.parts import QUANTIZABLE, ModelPart, parts_of
from tqhw.quant.pickled import can_pickle, change, let_pickle
from tqhw.quant.recurrent import read_as_they_are
from tqhw.quant.schemes import gradient_named, scheme_named
from tqhw.quant.weight import QuantizedWeight

Weights = Literal["real", "quantized"]
_LOG: Final = logging.getLogger("tqhw")


def convert(model: nn.Module, config: QuantConfig, *, order: Sequence[str] | None = None) -> nn.Module:
    """Quantizes ``model`` in place and returns it, switched to its highest precision.

    ``order``: the layers as they run, from :func:`execution_order`, which says what is first and last; without it the
    order in which the model registers them does. State-dict names stay as they are. Of what ``torch.compile`` gave,
    the module inside is converted and returned.
    Raises TqhwError for a model without a quantizable layer, with NaN weights, with weights or norms that are computed
    or not there yet, or quantized already, by tqhw or by another library, and for options that name no layer or cannot
    be applied to the model. Whatever it raises, the model is as it was.

    The logger ``tqhw`` is told which share of the weights switches and what stays as it is (:func:`coverage`), as a
    warning where weights stay that no option keeps; and which layers lose their magnitude.
    """
    model = plain(model)
    found = parts_of(model, config.layers)
    if is_quantized(model):
        raise TqhwError("the model is quantized already", place="convert", lever="revert it first")
    if not found:
        refuse_foreign(model, (), ())
        raise _nothing_to_quantize(model)
    registered = [part.name for part in parts_of(model)] or [part.name for part in found]
    bits = bits_by_layer([part.name for part in found], config, order or registered)
    if config.normalization.kind == "auto":
        config = _settled(model, config, bits)
    apply(model, config, bits, [ends(registered, order)[0]])
    if ends(registered, order) != ends(registered):
        told = "the first and the last layer are %s and %s, as they run; the model registers %s first and %s last"
        _LOG.warning(told, *ends(registered, order), *ends(registered))
    found_out = coverage(model)
    _LOG.log(logging.WARNING if found_out.unforeseen else logging.INFO, found_out.text)
    warning = magnitude_warning(model)
    if warning is not None:
        _LOG.warning(warning)
    return model


def _settled(model: nn.Module, config: QuantConfig, bits: Mapping[str, LayerBits]) -> QuantConfig:
    """``config`` with the normalisation that suits ``model``; the logger ``tqhw`` is told which, and why."""
    alone = replace(config, granularity="tensor", norms="shared", unswitched=(), activations="full")
    apply(model, replace(alone, normalization=PAPER), bits, ())
    try:
        found, told = settled(model, config)
    finally:
        _undo(model)
    _LOG.info(told)
    return found


def apply(
    model: nn.Module, config: QuantConfig, chosen: Mapping[str, LayerBits], reads_real: Collection[str]
) -> nn.Module:
    """Quantizes every layer as ``chosen`` says, and with quantized activations all inputs but ``reads_real``."""
    found = parts_of(model, chosen)
    untouched = [part.layer for part in found if chosen[part.name] == "full"]
    refuse_foreign(model, [part.layer for part in found], untouched)
    for part in found:
        part.check(quantized=chosen[part.name] != "full")
        if config.granularity != "tensor" and chosen[part.name] != "full":
            part.check_channels()
            config.slices(part.output_axis).check(getattr(part.module, part.tensor).shape, part.parameter)
    if config.norms == "switchable":
        check_norms(model)
        check_unswitched(model, config.unswitched)
    if config.activations != "full":
        _refuse_bypassed_inputs(model, [part for part in found if chosen[part.name] != "full"])
    try:
        if config.norms == "switchable":
            make_switchable(model, config.precisions, unswitched=config.unswitched)
        for part in found:
            bits = chosen[part.name]
            if bits != "full":
                weight = _weight_quantizer(part, config, bits)
                _attach(part, weight)
                if config.activations != "full" and part.name not in reads_real and not part.is_table:
                    activation.attach(part.module, weight, _input_quantizer(config, part.name))
    except BaseException:
        _undo(model)
        raise
    model.quantization = config  # type: ignore[assignment]
    return model


def revert(model: nn.Module, weights: Weights = "real") -> nn.Module:
    """Undoes :func:`convert` in place: a plain model, with the batch norms of the precision switched to.

    ``weights``: ``real`` gives back the floating-point weights that training updated. That is another function than
    the quantized model computes, at every precision. ``quantized`` keeps the function at the present bits, with the
    weights that the model computes with now; what is tied to a weight that is not quantized, or not alike, is tied
    no longer. A model that was read from its file has no other weights than these. Raises TqhwError for ``quantized``
    with quantized activations, which a plain model has not.
    """
    model = plain(model)
    config = quantization_of(model)
    if weights not in ("real", "quantized"):
        raise unknown("kind of weights", str(weights), ("real", "quantized"), place="weights")
    if weights == "quantized" and config.activations != "full":
        raise TqhwError(
            f"the inputs of its layers are quantized ({config.activations}), which plain layers do not do",
            place="revert",
            lever="weights='real', or use the quantized model as it is",
        )
    kept = _present(model) if weights == "quantized" or holds_codes(model) else {}
    _undo(model)
    for (module, tensor), value in kept.items():
        module.register_parameter(tensor, value)
    return model


def _present(model: nn.Module) -> dict[tuple[nn.Module, str], nn.Parameter]:
    """The weights that the layers of a model compute with, one for all that share theirs and compute alike."""
    made: dict[Hashable, nn.Parameter] = {}
    kept = {}
    for layer in quantized_layers(model):
        real, q = layer.real_weight, layer.quantizer
        key = (identity(real), q.bits, q.like)
        if key not in made:
            with torch.no_grad():
                made[key] = nn.Parameter(getattr(layer.module, layer.tensor).clone(), real.requires_grad)
        kept[layer.module, layer.tensor] = made[key]
    return kept


def _undo(model: nn.Module) -> None:
    """Takes away whatever conversion added, all of it or as far as it came."""
    for attribute in ("quantization", "deployed"):
        if hasattr(model, attribute):
            delattr(model, attribute)
    for layer in quantized_layers(model):
        activation.detach(layer.module, layer.quantizer)
        _own_class(layer.module)
        parametrize.remove_parametrizations(layer.module, layer.tensor, leave_parametrized=False)
        _forget_hooks(layer.module)
    make_single(model)


def _nothing_to_quantize(model: nn.Module) -> TqhwError:
    others = [
        f"{name or 'the model'} ({_class_name(module)})"
        for name, module in model.named_modules()
        if any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
    ]
    return TqhwError(
        "the model has no convolution and no linear layer to quantize"
        + (f"; what has weights is {', '.join(others)}" if others else ""),
        place="convert",
        lever=QUANTIZABLE,
    )


def _class_name(module: nn.Module) -> str:
    """The class, with its package where that is not PyTorch: others have classes called Linear, too."""
    kind = type(module)
    ours = kind.__module__.startswith("torch.nn.modules")
    return kind.__name__ if ours else f"{kind.__module__}.{kind.__qualname__}"


def _weight_quantizer(part: ModelPart, config: QuantConfig, bits: LayerBits) -> QuantizedWeight:
    normalizer = Normalizer(config.normalization)
    scheme = normalizer.scheme(scheme_named(config.scheme))
    weight = getattr(part.module, part.tensor)
    return QuantizedWeight(
        scheme,
        gradient_named(scheme, config.gradient),
        bits if isinstance(bits, int) else config.precisions[-1],
        bits is not None,
        config.slices(part.output_axis),
        normalizer,
        config.precisions,
        weight.shape,
        config.through_maximum,
    ).to(weight.device)


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


def _refuse_bypassed_inputs(model: nn.Module, quantized: Sequence[ModelPart]) -> None:
    inside = [part.parameter for part in quantized]
    attention = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.MultiheadAttention)
        and any(parameter.startswith(f"{name}." if name else "") for parameter in inside)
    ]
    for name, module in [*attention, *((part.layer, part.module) for part in quantized if part.bypasses)]:
        whose = "torch's MultiheadAttention" if isinstance(module, nn.MultiheadAttention) else type(module).__name__
        other = ", or attention built from linear layers" if isinstance(module, nn.MultiheadAttention) else ""
        raise TqhwError(
            f"{whose} computes with its weights itself, so that its inputs cannot be quantized",
            place=name or type(model).__name__,
            lever=f"use activations: full, or keep it by layers: full{other}",
        )


def _own_class(module: nn.Module) -> None:
    """Gives a parametrized layer a class that it does not share with its deep copies.

    torch keeps the parametrized weight as a property of the class, and takes it from there on removal.
    """
    shared = type(module)
    own = {key: value for key, value in vars(shared).items() if key not in ("__dict__", "__weakref__")}
    module.__class__ = type(shared.__name__, shared.__bases__, own)


def _attach(part: ModelPart, quantizer: QuantizedWeight) -> None:
    hooked = parametrize.is_parametrized(part.module)
    # Not checked by torch, which would quantize every weight to see that its shape and type stay.
    parametrize.register_parametrization(part.module, part.tensor, quantizer, unsafe=True)
    if not can_pickle(part.module):
        let_pickle(part.module)
        if isinstance(part.module, nn.RNNBase):
            change(part.module, read_as_they_are)
    if not hooked:
        part.module.register_state_dict_post_hook(_plain_name_out)  # type: ignore[no-untyped-call]
        part.module.register_load_state_dict_pre_hook(_plain_name_in)  # type: ignore[no-untyped-call]


def _forget_hooks(module: nn.Module) -> None:
    if parametrize.is_parametrized(module):  # another weight of it is still quantized
        return
    if isinstance(module, nn.RNNBase):
        module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
    for table, hook in (
        (module._state_dict_hooks, _plain_name_out),
        (module._load_state_dict_pre_hooks, _plain_name_in),
    ):
        for key, entry in list(table.items()):
            if getattr(entry, "hook", entry) is hook:
                del table[key]


# A parametrization would be saved as "conv1.parametrizations.weight.original"; the hooks keep "conv1.weight".
_INNER: Final = "parametrizations.{}.original"


def _plain_name_out(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    for tensor in _parametrized(module):
        inner = prefix + _INNER.format(tensor)
        if inner in state:
            state[prefix + tensor] = state.pop(inner)


def _plain_name_in(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for tensor in _parametrized(module):
        if prefix + tensor in state:
            state[prefix + _INNER.format(tensor)] = state.pop(prefix + tensor)


def _parametrized(module: nn.Module) -> list[str]:
    return [*module.parametrizations] if parametrize.is_parametrized(module) else []  # type: ignore[misc]
