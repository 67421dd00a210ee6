"""Making any model a quantized one, and back: parametrized weights, switchable norms, one precision set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, cast

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from tqhw.errors import TqhwError, unknown
from tqhw.quant.bits import FULL, check_bits, check_precisions
from tqhw.quant.norm import SwitchableBatchNorm
from tqhw.quant.schemes import gradient_named, scheme_named
from tqhw.quant.tensor import check_weight
from tqhw.quant.weight import QuantizedWeight

_TRANSPOSED: Final = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_QUANTIZABLE: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, *_TRANSPOSED)

LayerBits = int | Literal["full"] | None
"""Of one layer: bits it always runs at, ``full`` for unquantized, None for the model's current precision."""


@dataclass(frozen=True)
class QuantConfig:
    """How a model is quantized.

    ``precisions``: the bits the model can be switched to (1..8, and 32 for unquantized weights).
    ``first``, ``last``: bits of the first and the last quantizable layer, in the order the model registers
    them; Any-Precision DNNs keep both full. ``layers``: bits by layer name or pattern (``layer3.*``), which
    win over ``first`` and ``last``. ``gradient``: see the scheme, None for its default. ``norms``: one batch
    norm per precision (``switchable``) or one for all (``shared``). ``granularity``: a scale per ``tensor``
    or output ``channel``.
    """

    scheme: str = "truncquant"
    precisions: tuple[int, ...] = (2, 4, 6, 8)
    first: LayerBits = "full"
    last: LayerBits = "full"
    layers: Mapping[str, LayerBits] = field(default_factory=dict)
    gradient: str | None = None
    norms: Literal["switchable", "shared"] = "switchable"
    granularity: Literal["tensor", "channel"] = "tensor"


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


def convert(model: nn.Module, config: QuantConfig) -> nn.Module:
    """Quantizes ``model`` in place and returns it, switched to its highest precision.

    State-dict names stay as they are. Raises TqhwError for a model without a quantizable layer, with NaN
    weights or already quantized, and for options that are unknown or name no layer.
    """
    precisions = check_precisions(config.precisions)
    scheme = scheme_named(config.scheme)
    gradient = gradient_named(scheme, config.gradient)
    for option, allowed in (("norms", ("switchable", "shared")), ("granularity", ("tensor", "channel"))):
        if getattr(config, option) not in allowed:
            raise unknown(option, str(getattr(config, option)), allowed)
    if is_quantized(model):
        raise TqhwError("the model is quantized already", place="convert", lever="revert it first")
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, _QUANTIZABLE)]
    if not found:
        raise TqhwError("the model has no convolution and no linear layer to quantize", place="convert")
    chosen = _bits_by_layer([name for name, _ in found], config)
    for name, module in found:
        check_weight(module.weight.detach(), place=f"{name}.weight")
    for name, module in found:
        bits = chosen[name]
        if bits == "full":
            continue
        axis = None if config.granularity == "tensor" else 1 if isinstance(module, _TRANSPOSED) else 0
        running = precisions[-1] if bits is None else bits
        _attach(module, QuantizedWeight(scheme, gradient, running, bits is not None, axis))
    if config.norms == "switchable" and len(precisions) > 1:
        _replace(model, _BatchNorm, lambda norm: SwitchableBatchNorm(norm, precisions))
    model.quantization = config  # type: ignore[assignment]
    return model


def is_quantized(model: nn.Module) -> bool:
    """Whether ``model`` was converted, and not reverted since."""
    return isinstance(getattr(model, "quantization", None), QuantConfig)


def quantization_of(model: nn.Module) -> QuantConfig:
    """The options ``model`` was converted with; a TqhwError where it was not."""
    if not is_quantized(model):
        raise TqhwError("the model is not quantized", place="model", lever="convert it first")
    return cast(QuantConfig, model.quantization)


def revert(model: nn.Module) -> nn.Module:
    """Undoes :func:`convert` in place: real weights, and the batch norms of the precision switched to."""
    quantization_of(model)
    del model.quantization
    for layer in quantized_layers(model):
        parametrize.remove_parametrizations(layer.module, "weight", leave_parametrized=False)
    _replace(
        model,
        SwitchableBatchNorm,
        lambda norm: norm.single() if norm.bits == norm.highest else norm.at[str(norm.bits)],
    )
    return model


def quantized_layers(model: nn.Module) -> tuple[QuantizedLayer, ...]:
    """Every layer with a quantized weight, in the order the model registers them."""
    layers = []
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            quantizer = cast(Any, module).parametrizations.weight[0]
            if isinstance(quantizer, QuantizedWeight):
                layers.append(QuantizedLayer(name, module, quantizer))
    return tuple(layers)


def set_bits(model: nn.Module, bits: int) -> None:
    """Switches quantized layers that are not fixed, and switchable norms, to ``bits`` (1..8, or 32)."""
    if bits != FULL:
        check_bits(bits)
    quantization_of(model)
    # The norms refuse a precision they lack, so they go first: a refused switch changes nothing.
    for module in model.modules():
        if isinstance(module, SwitchableBatchNorm):
            module.select(bits)
    for layer in quantized_layers(model):
        if not layer.quantizer.fixed:
            layer.quantizer.bits = bits


@contextmanager
def shared_normalization(model: nn.Module) -> Iterator[None]:
    """Normalises each weight once for all precisions inside; weights must not change meanwhile."""
    quantizers = [layer.quantizer for layer in quantized_layers(model)]
    for quantizer in quantizers:
        quantizer.hold = True
    try:
        yield
    finally:
        for quantizer in quantizers:
            quantizer.release()


def _bits_by_layer(names: list[str], config: QuantConfig) -> dict[str, LayerBits]:
    chosen: dict[str, LayerBits] = dict.fromkeys(names)
    chosen[names[0]] = config.first
    chosen[names[-1]] = config.last
    for pattern, bits in config.layers.items():
        matching = [name for name in names if fnmatchcase(name, pattern)]
        if not matching:
            raise unknown("layer", pattern, names, place="layers")
        chosen.update(dict.fromkeys(matching, bits))
    for name, bits in chosen.items():
        if bits is not None and bits != "full":
            check_bits(bits, place=f"bits of layer '{name}'")
    if all(bits == "full" for bits in chosen.values()):
        raise TqhwError(
            f"every one of the {len(names)} layers is kept at full precision",
            place="convert",
            lever="give first, last or layers bits of their own, or None",
        )
    return chosen


def _attach(module: nn.Module, quantizer: QuantizedWeight) -> None:
    parametrize.register_parametrization(module, "weight", quantizer)
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


def _replace(model: nn.Module, kind: type[nn.Module], make: Any) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, kind) and not isinstance(parent, SwitchableBatchNorm):
                setattr(parent, name, make(child))
