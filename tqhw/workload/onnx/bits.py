"""How wide the factors of a product are in a quantized ONNX file, and where that stands.

A factor is read through what only moves it (Transpose, Reshape) to what quantized it: ``DequantizeLinear`` and the
codes before it (narrowed by a ``Clip`` of them, as exporters write widths that ONNX has no type for), codes
themselves, the packed weights of onnxruntime, or the Quant operator of QONNX.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tqhw.workload.layers import Precision
from tqhw.workload.onnx.contrib import MS, QUANT_DOMAINS

if TYPE_CHECKING:
    from tqhw.workload.onnx.graph import OnnxGraph, OnnxNode

_MOVES = (
    *("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Expand", "Slice", "Split", "Concat"),
    *("Pad", "MaxPool", "Gather", "Dropout", "DepthToSpace", "SpaceToDepth", "Tile"),
)
"""What gives the numbers that it is given (a Relu, a Cast or a sum makes others)."""

_FLOATS = {1: 32, 10: 16, 11: 64, 16: 16}
_CODES = {
    2: (8, "uint8"),
    3: (8, "int8"),
    4: (16, "uint16"),
    5: (16, "int16"),
    6: (32, "int32"),
    17: (8, "float8e4m3fn"),
    18: (8, "float8e4m3fnuz"),
    19: (8, "float8e5m2"),
    20: (8, "float8e5m2fnuz"),
    21: (4, "uint4"),
    22: (4, "int4"),
    23: (4, "float4e2m1"),
    24: (8, "float8e8m0"),
    25: (2, "uint2"),
    26: (2, "int2"),
}
"""ONNX's numbers of element types: bits and name."""
_DEQUANTIZE = ("DequantizeLinear", f"{MS}.DequantizeLinear")


@dataclass(frozen=True)
class FactorBits:
    """``text`` says where they stand, and is empty for plain floating point."""

    bits: int
    text: str = ""


def factor_bits(graph: OnnxGraph, name: str) -> FactorBits:
    """Of a value that an operator multiplies."""
    value, node = _behind(graph, name)
    if node is None:
        return _of_type(graph, value)
    operator, told = node.operator, node.attributes
    if operator in _DEQUANTIZE:
        codes = _codes(graph, node.inputs[0])
        block = told.get("block_size")
        return FactorBits(codes.bits, f"{codes.text} by DequantizeLinear" + (f", blocks of {block}" if block else ""))
    if node.proto.domain in QUANT_DOMAINS:
        if node.proto.op_type == "BipolarQuant":
            return FactorBits(1, "BipolarQuant")
        width = graph.constants.get(node.inputs[3]) if len(node.inputs) > 3 else None
        if width is not None and width.size == 1:
            return FactorBits(math.ceil(float(width.reshape(-1)[0])), "Quant")
    return _of_type(graph, value)


def _behind(graph: OnnxGraph, name: str) -> tuple[str, OnnxNode | None]:
    """What a value is but for its order: the value before all moves, and what makes it."""
    node = graph.producers.get(name)
    while node is not None and node.operator in _MOVES and node.inputs:
        name = node.inputs[0]
        node = graph.producers.get(name)
    return name, node


def _of_type(graph: OnnxGraph, name: str) -> FactorBits:
    element = graph.element(name)
    return FactorBits(_FLOATS[element]) if element in _FLOATS else _codes(graph, name)


def _codes(graph: OnnxGraph, name: str) -> FactorBits:
    """Codes as wide as their type, or as the Clip before them leaves."""
    bits, text = _CODES.get(graph.element(name), (32, "numbers"))
    _, node = _behind(graph, name)
    if node is not None and node.operator == "Clip":
        ends = [graph.constants.get(end) for end in node.inputs[1:3]]
        if len(ends) == 2 and all(end is not None and end.size == 1 for end in ends):
            low, high = (int(end.reshape(-1)[0]) for end in ends if end is not None)
            bits = min(bits, max(1, math.ceil(math.log2(max(2, high - low + 1)))))
            text = f"{text} clipped to {low}..{high}"
    return FactorBits(bits, text)


def precision(graph: OnnxGraph, node: OnnxNode, left: str, right: str, weight: str | None) -> Precision:
    """Of one product of ``node``; ``weight`` is the factor that is one; no ``source``: not quantized."""
    packed = _packed(graph, node)
    if packed is not None:
        return packed
    if weight is None:
        ones = [factor_bits(graph, name) for name in dict.fromkeys((left, right))]
        told = dict.fromkeys(one.text for one in ones if one.text)
        return Precision(input_bits=max(one.bits for one in ones), source="; ".join(told) or None)
    of_weight = factor_bits(graph, weight)
    of_input = factor_bits(graph, left if weight == right else right)
    parts = [f"{what} {one.text}" for what, one in (("weights", of_weight), ("inputs", of_input)) if one.text]
    return Precision(of_weight.bits, True, of_input.bits, "; ".join(parts) or None)


def _packed(graph: OnnxGraph, node: OnnxNode) -> Precision | None:
    """Of operators that say the width of their weight themselves."""
    told, kind = node.attributes, node.proto.op_type
    if node.operator in (f"{MS}.MatMulNBits", f"{MS}.MatMulBnb4", f"{MS}.MatMulFpQ4"):
        bits, block = told.get("bits", 4), told.get("block_size")
        given = _FLOATS.get(graph.element(node.inputs[0]), 32)
        at_8 = told.get("accuracy_level", 0) == 4
        source = f"weights {kind}" + (f", blocks of {block} with a scale each" if block else "")
        return Precision(
            bits, True, 8 if at_8 else given, source + ("; inputs int8 by accuracy_level 4" if at_8 else "")
        )
    if kind in ("DynamicQuantizeMatMul", "DynamicQuantizeLSTM"):
        return Precision(factor_bits(graph, node.inputs[1]).bits, True, 8, f"{kind}: inputs uint8 as they come")
    return None
