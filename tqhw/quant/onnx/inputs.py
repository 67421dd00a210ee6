"""Quantized inputs of layers as arithmetic that an exporter can follow, of one precision or switched in the graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.activation import InputQuantizer
from tqhw.quant.bits import MAX_BITS, top_code
from tqhw.quant.layers import quantized_layers


class PlainInput(nn.Module):
    """What ``quantizer`` computes at ``bits``; where it follows the weights, of codes made at 8 bits and shifted.

    ``fixed``: the layer does not switch, nor does what it reads.

    Everything that the precision decides is a buffer.
    """

    low: torch.Tensor
    top: torch.Tensor
    width: torch.Tensor
    made: torch.Tensor
    most: torch.Tensor
    shift: torch.Tensor
    step: torch.Tensor

    def __init__(self, quantizer: InputQuantizer, bits: int, fixed: bool) -> None:
        super().__init__()
        now = bits if quantizer.follows and not fixed else quantizer.bits
        stored = MAX_BITS if quantizer.follows else now
        top = quantizer.alpha.detach().clone()
        low = quantizer.low * top
        self.rounds = not quantizer.scheme.truncatable
        self.argument = quantizer.argument
        numbers = {
            "low": low,
            "top": top,
            "width": top - low,
            "step": (top - low) / top_code(now),
            "made": torch.tensor(float(top_code(stored) if self.rounds else 1 << stored)),
            "most": torch.tensor(float(top_code(stored))),
            "shift": torch.tensor(2.0 ** (now - stored)),
        }
        for name, number in numbers.items():
            self.register_buffer(name, number.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        u = (torch.minimum(torch.maximum(x, self.low), self.top) - self.low) / self.width
        scaled = u * self.made
        codes = torch.minimum(scaled.round() if self.rounds else scaled.floor(), self.most)
        return (codes * self.shift).floor() * self.step + self.low

    def before(self, module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Any]:
        """Forward pre-hook of the layer."""
        if args:
            return (self(args[0]), *args[1:]), named
        return args, {**named, self.argument: self(named[self.argument])}


def started_inputs(model: nn.Module) -> dict[str, InputQuantizer]:
    """The input quantizers of ``model`` by the name of their layer; TqhwError for a range that waits for data."""
    found = {layer.name: q for layer in quantized_layers(model) if (q := layer.input_quantizer) is not None}
    for name, quantizer in found.items():
        if quantizer.range.learned and not quantizer.started:
            raise TqhwError(
                "the range of its quantized input waits for a first batch",
                place=name,
                lever="train the model, or run it on data once",
            )
    return found
