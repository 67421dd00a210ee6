"""Which precision a converted model runs at, and which ones it can run at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch import nn

from tqhw.quant.bits import FULL, check_bits
from tqhw.quant.layers import quantization_of, quantized_layers
from tqhw.quant.norm import SwitchableBatchNorm, check_norms, make_switchable


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
            if layer.input_quantizer is not None and layer.input_quantizer.follows:
                layer.input_quantizer.bits = bits


def add_precision(model: nn.Module, bits: int) -> None:
    """Lets ``model`` be switched to ``bits`` too, where it was not trained at them.

    Its batch norms there start as copies of those of the nearest higher precision (the highest where there is
    none) and want to be calibrated: :func:`tqhw.train.recalibrate`. A model with shared norms gets a norm per
    precision by this.
    """
    if bits != FULL:
        check_bits(bits)
    config = quantization_of(model)
    if config.norms == "shared":
        check_norms(model)
        make_switchable(model, config.precisions)
    if bits not in config.precisions:
        for module in model.modules():
            if isinstance(module, SwitchableBatchNorm):
                module.add(bits)
    precisions = tuple(sorted({*config.precisions, bits}))
    model.quantization = replace(config, norms="switchable", precisions=precisions)  # type: ignore[assignment]


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
