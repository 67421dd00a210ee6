"""Which normalisation a network gets that asks for ``auto``."""

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

    ``model``: converted with the paper's. That one stays where a batch norm gives every layer its magnitude back.
    """
    lost, layers = losing_magnitude(model), quantized_layers(model)
    if not lost:
        told = f"the paper's, for a batch norm gives all {len(layers)} quantized layers their magnitude back"
        return replace(config, normalization=PAPER), f"normalization: auto takes {told}"
    told = f"linear per output channel, for no batch norm gives {len(lost)} of {len(layers)} quantized layers their"
    linear = replace(config, normalization=Normalization("linear"), granularity="channel")
    return linear, f"normalization: auto takes {told} magnitude back: {', '.join(lost)}"
