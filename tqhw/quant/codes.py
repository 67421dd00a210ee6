"""A model as integers: the codes stored once, and the model run on them after a right shift."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.bits import MAX_BITS, check_bits
from tqhw.quant.coding import quantize
from tqhw.quant.identity import identity
from tqhw.quant.layers import holds_codes, quantization_of, quantized_layers
from tqhw.quant.precision import set_bits
from tqhw.quant.tensor import QuantizedTensor


def integer_codes(model: nn.Module, bits: int = MAX_BITS) -> dict[str, QuantizedTensor]:
    """The codes of every quantized layer by its name, at ``bits`` bits or at those a layer is fixed to.

    Layers that share a weight and its bits share their codes, too. Those of a model that computes with stored codes
    are these, shifted right; TqhwError where ``bits`` are more.
    """
    check_bits(bits)
    quantization_of(model)
    codes: dict[str, QuantizedTensor] = {}
    made: dict[Hashable, QuantizedTensor] = {}
    for layer in quantized_layers(model):
        q = layer.quantizer
        at = q.bits if q.fixed else bits
        key = (at, id(q.codes)) if q.codes is not None else (at, q.like, identity(layer.real_weight))
        if key not in made:
            made[key] = (
                q.codes.truncate(at)
                if q.codes is not None
                else quantize(
                    layer.real_weight,
                    at,
                    q.scheme.name,
                    channel_axis=q.slices.axis,
                    group=q.slices.group,
                    normalization=q.normalization,
                    share=q.clip(layer.real_weight),
                )
            )
        codes[layer.name] = made[key]
    return codes


def shifted(codes: Mapping[str, QuantizedTensor], fixed: Mapping[str, int], bits: int) -> dict[str, QuantizedTensor]:
    """Every layer's codes shifted right to ``bits``, those of ``fixed`` layers to their own bits."""
    return {name: stored.truncate(fixed.get(name, bits)) for name, stored in codes.items()}


def fixed_bits(model: nn.Module) -> dict[str, int]:
    """The layers whose precision does not switch, with their bits."""
    return {layer.name: layer.quantizer.bits for layer in quantized_layers(model) if layer.quantizer.fixed}


@contextmanager
def running_on_codes(model: nn.Module, codes: Mapping[str, QuantizedTensor], bits: int) -> Iterator[None]:
    """Inside, ``model`` computes with ``codes`` shifted right to ``bits``; its real weights are not read.

    Activations that follow the weights' precision are quantized at 8 bits and shifted likewise. Codes that the
    model held before, it holds again afterwards.
    """
    layers = quantized_layers(model)
    absent = [layer.name for layer in layers if layer.name not in codes]
    if absent:
        raise TqhwError(f"there are no codes for layer '{absent[0]}'", place="codes")
    set_bits(model, bits)
    following = [q for layer in layers if (q := layer.input_quantizer) is not None and q.follows]
    before = [layer.quantizer.codes for layer in layers]
    stored = [quantizer.stored for quantizer in following]
    for layer in layers:
        layer.quantizer.codes = codes[layer.name]
    for quantizer in following:
        quantizer.stored = MAX_BITS
    try:
        yield
    finally:
        for layer, held in zip(layers, before, strict=True):
            layer.quantizer.codes = held
        for quantizer, bits_held in zip(following, stored, strict=True):
            quantizer.stored = bits_held


def refuse_held(model: nn.Module, why: str, lever: str) -> None:
    """Refuses a model that computes with stored codes; ``why`` says what takes real weights."""
    if holds_codes(model):
        raise TqhwError(f"the model computes with stored codes: {why}", place="model", lever=lever)


def shift_is_exact(model: nn.Module, stored: Mapping[str, QuantizedTensor], bits: int) -> bool:
    """Whether the shifted codes of every layer equal the codes its quantizer gives at ``bits``.

    TqhwError for a model that has stored codes and no real weights: its quantizers have nothing to say.
    """
    refuse_held(model, "the codes cannot be compared with those of the quantizer", "compare before the export")
    fresh = integer_codes(model, bits)
    after_shift = shifted(stored, fixed_bits(model), bits)
    return all(torch.equal(after_shift[name].codes, fresh[name].codes) for name in fresh)
