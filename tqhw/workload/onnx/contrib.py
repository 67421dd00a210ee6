"""Shapes of operators beside ONNX's own: those of onnxruntime (com.microsoft) and of quantizers' exports.

ONNX's inference knows nothing of them. Their documents: ContribOperators.md of ONNX Runtime, and QONNX's for Quant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqhw.workload.onnx.graph import OnnxGraph, OnnxNode, Shape

Kind = tuple[int, "Shape"] | None
"""Element type and shape of an output; None where they are not known."""

MS = "com.microsoft"
QUANT_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")


def contrib_shapes(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    """Of the outputs, as far as they are known."""
    rule = _SHAPES.get(node.operator)
    if rule is None:
        return []
    try:
        return rule(node, graph)
    except (IndexError, KeyError, TypeError):  # an input that is left out, or without a shape
        return []


def _of(node: OnnxNode, graph: OnnxGraph, index: int) -> Shape:
    shape = graph.shape(node.inputs[index])
    if shape is None:
        raise KeyError(node.inputs[index])
    return shape


def _as_first(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    kind = (graph.element(node.inputs[0]), _of(node, graph, 0))
    return [kind for _ in node.outputs]


def _first_and_sum(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    """Skip layers: the result, mean and deviation that inference does not give, and the sum."""
    kind = (graph.element(node.inputs[0]), _of(node, graph, 0))
    return [kind, None, None, kind]


def _columns(attribute: str) -> Callable[[OnnxNode, OnnxGraph], list[Kind]]:
    def rule(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
        return [(graph.element(node.inputs[0]), (*_of(node, graph, 0)[:-1], node.attributes[attribute]))]

    return rule


def matmul_shape(left: Shape, right: Shape) -> Shape:
    """Of NumPy's matmul."""
    lead = broadcast(left[:-2], right[:-2])
    return (*lead, *left[-2:-1], *(right[-1:] if len(right) > 1 else ()))


def broadcast(left: Shape, right: Shape) -> Shape:
    """Leading axes that meet; 1 gives way."""
    length = max(len(left), len(right))
    pairs = zip((1,) * (length - len(left)) + left, (1,) * (length - len(right)) + right, strict=True)
    return tuple(b if a == 1 else a for a, b in pairs)


def turned(shape: Shape, axes: object) -> Shape:
    """The last two axes exchanged, where ``axes`` says so."""
    return (*shape[:-2], shape[-1], shape[-2]) if axes and len(shape) > 1 else shape


def _matmul(left: int, right: int) -> Callable[[OnnxNode, OnnxGraph], list[Kind]]:
    def rule(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
        one = turned(_of(node, graph, left), node.attributes.get("transA"))
        other = turned(_of(node, graph, right), node.attributes.get("transB"))
        kind = graph.element(node.inputs[left]) if node.operator.endswith("FusedMatMul") else 1
        return [(kind, matmul_shape(one, other))]

    return rule


def _conv(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    given, window = _of(node, graph, 0), _of(node, graph, 1)
    axes, told = len(given) - 2, node.attributes
    stride, dilation = told.get("strides", [1] * axes), told.get("dilations", [1] * axes)
    pads = told.get("pads", [0] * 2 * axes)
    same = told.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    sizes = [
        math.ceil(given[2 + i] / stride[i])
        if same
        else (given[2 + i] + pads[i] + pads[axes + i] - dilation[i] * (window[2 + i] - 1) - 1) // stride[i] + 1
        for i in range(axes)
    ]
    return [(graph.element(node.inputs[0]), (given[0], window[0], *sizes))]


def _attention(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    """Packed projections: the hidden size of the values comes out."""
    given, weights = _of(node, graph, 0), _of(node, graph, 1)
    sizes = node.attributes.get("qkv_hidden_sizes") or [weights[1] // 3] * 3
    return [(graph.element(node.inputs[0]), (*given[:2], sizes[2]))]


def _heads(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    """The result is as the query, its width that of the values; present keys and values are one longer each."""
    from tqhw.workload.onnx.attention import heads_of

    one = heads_of(node, graph)
    element = graph.element(node.inputs[0])
    result: Kind = (element, (one.batch, one.rows, one.heads * one.value_width))
    kept: list[Kind] = [
        (element, (one.batch, one.kv_heads, one.columns, width)) for width in (one.width, one.value_width)
    ]
    return [result, *kept]


def _recurrent(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    steps, batch, _ = _of(node, graph, 0)
    hidden = node.attributes["hidden_size"]
    ways = 2 if node.attributes.get("direction", b"forward") == b"bidirectional" else 1
    element = graph.element(node.inputs[0])
    return [(element, (steps, ways, batch, hidden)), (element, (ways, batch, hidden)), (element, (ways, batch, hidden))]


def _dequantized(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    return [(graph.element(node.inputs[1]), _of(node, graph, 0))]


def _quantized(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    return [(graph.element(node.inputs[2]) if len(node.inputs) > 2 else 2, _of(node, graph, 0))]


def _elementwise_quantized(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    shape = broadcast(_of(node, graph, 0), _of(node, graph, 3))
    return [(graph.element(node.inputs[0]), shape)]


def _pooled(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    given = _of(node, graph, 0)
    last = node.attributes.get("channels_last")
    shape = (given[0], *(1 for _ in given[1:-1]), given[-1]) if last else (*given[:2], *(1 for _ in given[2:]))
    return [(graph.element(node.inputs[0]), shape)]


def _qgemm(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    left, right = (turned(_of(node, graph, i), node.attributes.get(t)) for i, t in ((0, "transA"), (3, "transB")))
    scaled = len(node.inputs) > 7 and bool(node.inputs[7])
    return [(graph.element(node.inputs[0]) if scaled else 1, (left[0], right[1]))]


def _embedded(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    """``EmbedLayerNormalization``: token ids to vectors."""
    ids, table = _of(node, graph, 0), _of(node, graph, 2)
    return [
        (graph.element(node.inputs[2]), (*ids, table[-1])),
        (6, (ids[0],)),
        (graph.element(node.inputs[2]), (*ids, table[-1])),
    ]


def _gathered(node: OnnxNode, graph: OnnxGraph) -> list[Kind]:
    """Rows of a table of packed codes: as many numbers as codes."""
    table, rows = _of(node, graph, 0), _of(node, graph, 1)
    per = 8 // node.attributes.get("bits", 4) if graph.element(node.inputs[0]) == 2 else 1
    return [(graph.element(node.inputs[2]), (*rows, *table[1:-1], table[-1] * per))]


_LIKE_FIRST = """
    Gelu FastGelu QuickGelu BiasGelu BiasAdd BiasSplitGelu BiasDropout BiasSoftmax LayerNormalization
    SimplifiedLayerNormalization RotaryEmbedding GroupNorm Inverse Trilu
    QLinearSigmoid QLinearLeakyRelu QLinearSoftmax MoE QMoE GemmaRotaryEmbedding"""

_SHAPES: dict[str, Callable[[OnnxNode, OnnxGraph], list[Kind]]] = {
    **{f"{MS}.{name}": _as_first for name in _LIKE_FIRST.split()},
    "SimplifiedLayerNormalization": _as_first,
    "LayerNormalization": _as_first,
    "SkipLayerNormalization": _first_and_sum,
    "RotaryEmbedding": _as_first,
    f"{MS}.SkipLayerNormalization": _first_and_sum,
    f"{MS}.SkipSimplifiedLayerNormalization": _first_and_sum,
    f"{MS}.EmbedLayerNormalization": _embedded,
    f"{MS}.GatherBlockQuantized": _gathered,
    f"{MS}.MatMulNBits": _columns("N"),
    f"{MS}.MatMulBnb4": _columns("N"),
    f"{MS}.MatMulFpQ4": _columns("N"),
    f"{MS}.FusedMatMul": _matmul(0, 1),
    f"{MS}.FusedGemm": _matmul(0, 1),
    f"{MS}.DynamicQuantizeMatMul": _matmul(0, 1),
    f"{MS}.MatMulIntegerToFloat": _matmul(0, 1),
    f"{MS}.MatMulInteger16": _matmul(0, 1),
    f"{MS}.FusedConv": _conv,
    f"{MS}.QGemm": _qgemm,
    f"{MS}.Attention": _attention,
    f"{MS}.QAttention": _attention,
    f"{MS}.MultiHeadAttention": _heads,
    f"{MS}.GroupQueryAttention": _heads,
    f"{MS}.DynamicQuantizeLSTM": _recurrent,
    f"{MS}.DequantizeLinear": _dequantized,
    f"{MS}.QuantizeLinear": _quantized,
    f"{MS}.QLinearAdd": _elementwise_quantized,
    f"{MS}.QLinearMul": _elementwise_quantized,
    f"{MS}.QLinearGlobalAveragePool": _pooled,
    **{
        f"{domain}.{name}": _as_first
        for domain in QUANT_DOMAINS
        for name in ("Quant", "IntQuant", "BipolarQuant", "Trunc")
    },
}
