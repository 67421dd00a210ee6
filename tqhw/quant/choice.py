"""Which normalisation a network gets that asks for ``auto``: see docs/studies/trained_normalizations.md."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from tqhw.options import Normalization
from tqhw.quant.config import QuantConfig
from tqhw.quant.layers import quantized_layers
from tqhw.quant.magnitude import losing_magnitude

PAPER = Normalization()
"""What the layers of a network are converted with to see which of them lose their magnitude."""


def settled(model: nn.Module, config: QuantConfig) -> tuple[QuantConfig, str]:
    """``config`` with a normalisation in place of ``auto``, and a sentence that says which and why.

    ``model``: converted with the paper's. That one stays where a batch norm gives every layer its magnitude back and no
    convolution is depthwise or grouped.
    """
    lost, layers = losing_magnitude(model), quantized_layers(model)
    grouped = [layer.name for layer in layers if getattr(layer.module, "groups", 1) > 1]
    if not lost and not grouped:
        told = f"the paper's, for a batch norm gives all {len(layers)} quantized layers their magnitude back"
        return replace(config, normalization=PAPER), f"normalization: auto takes {told}"
    linear = replace(config, normalization=Normalization("linear"), granularity="channel")
    if lost:
        named = (
            f"no batch norm gives {len(lost)} of {len(layers)} quantized layers their magnitude back: {', '.join(lost)}"
        )
    else:
        named = f"{len(grouped)} of {len(layers)} quantized layers are grouped convolutions: {', '.join(grouped)}"
    return linear, f"normalization: auto takes linear per output channel, for {named}"
