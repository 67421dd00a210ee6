"""Attention as one operator: its two products, and what it keeps of earlier tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tqhw.workload.operations import MatrixProduct

if TYPE_CHECKING:
    from tqhw.workload.onnx.graph import OnnxGraph, OnnxNode, Shape


@dataclass(frozen=True)
class Heads:
    """``rows`` queries against ``columns`` keys, ``past`` of them kept from earlier; widths are those of a head."""

    batch: int
    heads: int
    kv_heads: int
    rows: int
    columns: int
    width: int
    value_width: int
    past: int

    @property
    def kept_words(self) -> int:
        """Keys and values of all columns."""
        return self.batch * self.kv_heads * self.columns * (self.width + self.value_width)


def heads_of(node: OnnxNode, graph: OnnxGraph) -> Heads:
    """Of ONNX's own Attention, and of MultiHeadAttention and GroupQueryAttention of onnxruntime.

    Raises KeyError or IndexError where a shape that it needs is not known.
    """
    kind, told = node.proto.op_type, node.attributes
    query = _known(node, graph, 0)
    key, value = (_shape(node, graph, i) for i in (1, 2))
    heads = told.get("num_heads") or told.get("q_num_heads") or query[1]
    kv_heads = told.get("kv_num_heads") or (key[1] if key is not None and len(key) == 4 else heads)
    past_shape = _shape(node, graph, {"Attention": 4, "MultiHeadAttention": 6, "GroupQueryAttention": 3}[kind])
    past = past_shape[2] if past_shape is not None and len(past_shape) == 4 else 0
    if len(query) == 4:  # batch, heads, rows, width
        rows, width = query[2], query[3]
    elif len(query) == 5:  # packed: batch, rows, heads, 3, width
        rows, width = query[1], query[4]
    elif key is None:  # packed: heads of the query, then of keys and of values
        rows, width = query[1], query[2] // (heads + 2 * kv_heads)
    else:
        rows, width = query[1], query[2] // heads
    columns, value_width = rows, width
    if key is not None:
        columns = key[2] if len(key) == 4 else key[1]
    if value is not None:
        value_width = value[3] if len(value) == 4 else value[2] // kv_heads
    return Heads(query[0], heads, kv_heads, rows, past + columns, width, value_width, past)


def attention_products(node: OnnxNode, graph: OnnxGraph) -> list[MatrixProduct]:
    """Queries by keys, and weights by values."""
    return products_of(heads_of(node, graph), node.inputs[0])


def products_of(one: Heads, given: str) -> list[MatrixProduct]:
    """Both factors are activations: ``given`` stands for all of them."""
    batch = one.batch * one.heads
    return [
        MatrixProduct(given, given, batch, one.rows, one.width, one.columns),
        MatrixProduct(given, given, batch, one.rows, one.columns, one.value_width),
    ]


def _shape(node: OnnxNode, graph: OnnxGraph, index: int) -> Shape | None:
    if index >= len(node.inputs) or not node.inputs[index]:
        return None
    return _known(node, graph, index)


def _known(node: OnnxNode, graph: OnnxGraph, index: int) -> Shape:
    shape = graph.shape(node.inputs[index])
    if shape is None:
        raise KeyError(node.inputs[index])
    return shape
