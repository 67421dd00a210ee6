"""Which precision a converted model runs at, and which ones it can run at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.bits import FULL, check_bits, check_precisions
from tqhw.quant.layers import plain, quantization_of, quantized_layers
from tqhw.quant.norm import SwitchableBatchNorm, check_norms, make_switchable


class Source(Protocol):
    """Where a model was read from."""

    def serve(self, model: nn.Module, bits: int) -> None:
        """Gives ``model`` what it lacks to run at ``bits``; a TqhwError where that cannot be had."""
        ...


def set_bits(model: nn.Module, bits: int) -> None:
    """Switches quantized layers that are not fixed, and switchable norms, to ``bits`` (1..8, or 32).

    A model that was read from its file reads there what it lacks at ``bits``: the norms, and more planes of its codes.
    """
    if bits != FULL:
        check_bits(bits)
    quantization_of(model).normalization.check_bits(bits, "bits")
    model = plain(model)
    source: Source | None = getattr(model, "deployed", None)
    if source is not None:
        source.serve(model, bits)
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
    config, model = quantization_of(model), plain(model)
    if config.norms == "shared":
        check_norms(model)
        make_switchable(model, config.precisions)
    if bits not in config.precisions:
        for module in model.modules():
            if isinstance(module, SwitchableBatchNorm):
                module.add(bits)
    precisions = tuple(sorted({*config.precisions, bits}))
    model.quantization = replace(config, norms="switchable", precisions=precisions)  # type: ignore[assignment]


def keep_precisions(model: nn.Module, precisions: Iterable[int]) -> None:
    """Leaves ``model`` with ``precisions``, switched to the highest: the batch norms of the others are dropped.

    Shared norms, which serve every precision, then serve these alone, and are still one set of tensors. Raises
    TqhwError for a precision that the model does not have.
    """
    config, model = quantization_of(model), plain(model)
    kept = check_precisions(precisions)
    absent = [bits for bits in kept if bits not in config.precisions]
    if absent:
        known = ", ".join(map(str, config.precisions))
        raise TqhwError(
            f"the model has no precision of {absent[0]} bits",
            place="precisions",
            lever=f"it has {known}; add_precision makes others",
        )
    if config.norms == "shared":
        make_switchable(model, config.precisions, tied=True)
    for norm in [module for module in model.modules() if isinstance(module, SwitchableBatchNorm)]:
        norm.keep(kept)
    model.quantization = replace(config, norms="switchable", precisions=kept)  # type: ignore[assignment]
    set_bits(model, kept[-1])


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
