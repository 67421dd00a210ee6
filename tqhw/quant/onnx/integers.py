"""Layers of an ONNX graph in integers: sums of products of codes, and one multiplication per output.

A weight is scale / M c with c = 2 k - M, of nine bits at most; with z = 2^(b-1), M is 2 z - 1 and c = 2 (k - z) + 1.
So k is a weight of zero point z for ONNX's integer operators, and the half that is missing is a sum of the inputs'
codes j: sum c j = 2 sum (k - z) j + sum j. Inputs are low + step j; a low that is not 0 brings in the sum of c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tqhw.quant.onnx.graph import GraphBuilder
from tqhw.quant.onnx.inputs import PlainInput
from tqhw.quant.schemes import SignAndMagnitude
from tqhw.quant.tensor import QuantizedTensor

_PRODUCTS: Final = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True)
class WrittenLayer:
    """A layer's codes and input in the graph; ``fixed``: the codes do not switch."""

    codes: QuantizedTensor
    fixed: bool
    input: PlainInput


def in_integers(builder: GraphBuilder, layers: Mapping[str, WrittenLayer]) -> int:
    """Rewrites the products with the weights by name that can be sums of integers; returns how many these are.

    Left as they are: layers without quantized inputs, with offsets, groups of weights with scales of their own or a
    number 0, convolutions in groups, and padded ones whose inputs go below 0, since padding is no code there.
    """
    graph, count = builder.graph, 0
    producers = {output: node for node in graph.node for output in node.output}
    kept: list[Any] = []
    for node in graph.node:
        found = _weight_of(node, producers, layers)
        codes = None if found is None else _input_codes(node, producers)
        if found is None or codes is None or not _fits(node, layers[found]):
            kept.append(node)
            continue
        kept += _rewritten(builder, node, found, layers[found], codes)
        count += 1
    del graph.node[:]
    graph.node.extend(kept)
    return count


def _weight_of(node: Any, producers: Mapping[str, Any], layers: Mapping[str, WrittenLayer]) -> str | None:
    """The weight of a product: as it is, or of a MatMul, turned."""
    if node.op_type not in _PRODUCTS:
        return None
    name = node.input[1]
    if node.op_type == "MatMul":
        turned = producers.get(name)
        if turned is None or turned.op_type != "Transpose":
            return None
        name = turned.input[0]
    if node.op_type == "Gemm" and _attributes(node) != {"alpha": 1.0, "beta": 1.0, "transB": 1}:
        return None
    return name if name in layers else None


def _input_codes(node: Any, producers: Mapping[str, Any]) -> str | None:
    """The value of the input's codes, before they are scaled and moved; None where it is something else."""
    moved = producers.get(node.input[0])
    if moved is None or moved.op_type != "Add":
        return None
    scaled = producers.get(moved.input[0])
    if scaled is None or scaled.op_type != "Mul" or not scaled.input[1].endswith("input_quantizer.step"):
        return None
    return str(scaled.input[0])


def _fits(node: Any, layer: WrittenLayer) -> bool:
    codes = layer.codes
    if codes.slices.group is not None or codes.scheme == SignAndMagnitude.name:
        return False
    if codes.offset is not None or (codes.slices.axis or 0) != 0 or codes.codes.numel() == 0:
        return False
    attributes = _attributes(node)
    padded = any(attributes.get("pads", ())) or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
    return int(attributes.get("group", 1)) == 1 and not (padded and float(layer.input.low) != 0)


def _rewritten(builder: GraphBuilder, node: Any, name: str, layer: WrittenLayer, codes: str) -> list[Any]:
    make, kinds = builder.onnx.helper.make_node, builder.onnx.TensorProto
    conv, place, found = node.op_type == "Conv", f"{node.output[0]}/integers", []

    def add(operator: str, inputs: list[str], end: str, **attributes: Any) -> str:
        output = node.output[0] if end == "" else f"{place}/{end}"
        found.append(make(operator, inputs, [output], **attributes))
        return output

    weights, zero, top = _weights(builder, name, layer)
    inputs = add("Cast", [codes], "codes", to=kinds.UINT8)
    builder.constant(f"{place}/input_zero", np.array(0, np.uint8))
    builder.constant(f"{place}/two", np.array(2, np.float32))
    around = _around(node) if conv else {}
    if conv:
        summed = add("ConvInteger", [inputs, weights, f"{place}/input_zero", zero], "sums", **around)
        ones = np.ones((1, *layer.codes.codes.shape[1:]), np.uint8)
        builder.constant(f"{place}/ones", ones)
        builder.constant(f"{place}/ones_zero", np.array(0, np.uint8))
        whole = add(
            "ConvInteger", [inputs, f"{place}/ones", f"{place}/input_zero", f"{place}/ones_zero"], "whole", **around
        )
        row = add("Cast", [whole], "whole_real", to=kinds.FLOAT)
    else:
        turned = add("Transpose", [weights], "turned", perm=[1, 0])
        summed = add("MatMulInteger", [inputs, turned, f"{place}/input_zero", zero], "sums")
        builder.constant(f"{place}/last", np.array([-1], np.int64))
        row = add("ReduceSum", [codes, f"{place}/last"], "row", keepdims=1)
    real = add("Cast", [summed], "real", to=kinds.FLOAT)
    products = add("Add", [add("Mul", [real, f"{place}/two"], "twice"), row], "products")
    step = next(n for n in builder.graph.node if n.op_type == "Mul" and n.input[0] == codes and _is_step(n)).input[1]
    value = add("Mul", [products, step], "stepped")
    if float(layer.input.low) != 0:
        value = add("Add", [value, _lows(builder, add, place, weights, top, layer, conv)], "lowered")
    value = add("Mul", [value, _factor(builder, add, place, name, top, layer, conv)], "scaled")
    if len(node.input) > 2:
        value = add("Add", [value, _bias(builder, add, place, node.input[2], layer.codes.codes.ndim, conv)], "biased")
    found[-1].output[0] = node.output[0]
    return found


def _weights(builder: GraphBuilder, name: str, layer: WrittenLayer) -> tuple[str, str, str]:
    """The codes at the present precision, their zero point 2^(b-1), and M as a real number."""
    if layer.fixed:
        builder.constant(f"{name}/half", np.array(1 << (layer.codes.bits - 1), np.uint8))
        return f"{name}/codes", f"{name}/half", f"{name}/top"
    if not any("tqhw/half" in node.output for node in builder.nodes):
        builder.constant("tqhw/halves", np.array([1 << (bits - 1) for bits in builder.served], np.uint8))
        builder.node("Gather", ["tqhw/halves", "tqhw/row"], "tqhw/half")
    return f"{name}/shifted", "tqhw/half", "tqhw/top_real"


def _factor(builder: GraphBuilder, add: Any, place: str, name: str, top: str, layer: WrittenLayer, conv: bool) -> str:
    """scale / M, in a shape that broadcasts to the outputs."""
    scale = f"{name}/scale"
    if layer.codes.slices.axis is not None:
        builder.constant(f"{place}/out", _channels(layer.codes.codes.ndim) if conv else np.array([1, -1], np.int64))
        scale = add("Reshape", [scale, f"{place}/out"], "scale")
    return str(add("Div", [scale, top], "factor"))


def _lows(builder: GraphBuilder, add: Any, place: str, weights: str, top: str, layer: WrittenLayer, conv: bool) -> str:
    """low times the sum of c over the weights of an output."""
    codes = layer.codes.codes
    real = add("Cast", [weights], "real_codes", to=builder.onnx.TensorProto.FLOAT)
    builder.constant(f"{place}/axes", np.array([*range(1, codes.ndim)], np.int64))
    builder.constant(f"{place}/count", np.array(codes[0].numel(), np.float32))
    builder.constant(f"{place}/low", np.array(float(layer.input.low), np.float32))
    summed = add(
        "Mul", [add("ReduceSum", [real, f"{place}/axes"], "codes_sum", keepdims=0), f"{place}/two"], "codes_twice"
    )
    whole = add("Sub", [summed, add("Mul", [top, f"{place}/count"], "all_top")], "weights_sum")
    low = add("Mul", [whole, f"{place}/low"], "low_sum")
    if not conv:
        return str(low)
    builder.constant(f"{place}/channels", _channels(codes.ndim))
    return str(add("Reshape", [low, f"{place}/channels"], "low_shaped"))


def _bias(builder: GraphBuilder, add: Any, place: str, bias: str, axes: int, conv: bool) -> str:
    if not conv:
        return bias
    builder.constant(f"{place}/bias_shape", _channels(axes))
    return str(add("Reshape", [bias, f"{place}/bias_shape"], "bias"))


def _channels(axes: int) -> np.ndarray[Any, Any]:
    """A shape of ``axes`` in which numbers of the output channels broadcast to a convolution's outputs."""
    return np.array([1, -1, *[1] * (axes - 2)], np.int64)


def _around(node: Any) -> dict[str, Any]:
    wanted = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    return {name: value for name, value in _attributes(node).items() if name in wanted}


def _is_step(node: Any) -> bool:
    return str(node.input[1]).endswith("input_quantizer.step")


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
