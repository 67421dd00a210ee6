"""Linear layers of an ONNX graph on packed codes: onnxruntime's MatMulNBits, for one precision.

The operator multiplies by s (q - z) with a whole zero point z. A weight is scale (2 k / M - 1) + offset; at b bits
M = 2 z - 1 with z = 2^(b-1), and that is 2 scale / M (k - z) + scale / M + offset. So the half of a code that no whole
zero point has is one number per group of weights, times the sum of the group's inputs: a product with a matrix that is
smaller by a group's size. A zero point of real numbers, M / 2, is allowed, too, but runs many times slower
(benchmarks/onnx_forms.py).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]
BITS: Final = 4
"""Of a packed code. onnxruntime has fast products of eight bits only with inputs that it rounds to eight bits, too."""
_BLOCKS: Final = (128, 64, 32, 16)
"""Weights with a scale in common that the operator takes, the ones to try for whole rows first."""


def pack_products(graph: Any, bits: int, *, rounded_inputs: bool = False) -> int:
    """Rewrites the products of ``graph``, an onnx.GraphProto of tqhw at ``bits``, that can read packed codes.

    Left as they are: convolutions, layers fixed at other bits, sign-and-magnitude codes, and groups of other sizes than
    16, 32, 64, 128 or of weights that are no multiple of them. ``rounded_inputs``: inputs are rounded to eight bits by
    the operator, which is faster and not exact. Returns how many products these are.
    """
    from onnx import helper, numpy_helper

    if bits > BITS:
        return 0
    values = {entry.name: entry for entry in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    row = int(numpy_helper.to_array(values["tqhw/rows"])[bits])
    shift = numpy_helper.to_array(values["tqhw/shifts"])[row]

    def numbers(name: str, part: str) -> Array | None:
        """Scales or offsets at the present precision."""
        if f"{name}/{part}" in values:
            return numpy_helper.to_array(values[f"{name}/{part}"])
        if f"{name}/{part}/all" not in values:
            return None
        own: Array = numpy_helper.to_array(values[f"{name}/{part}/all"])[row]
        return own

    kept, count = [], 0
    for node in graph.node:
        name = _weight(node, producers)
        if name is None or f"{name}/shifted" not in producers or f"{name}/middle" in values:
            kept.append(node)
            continue

        codes = numpy_helper.to_array(values[f"{name}/codes"])
        made = _product(node, codes >> shift, numbers(name, "scale"), numbers(name, "offset"), bits, rounded_inputs)
        if made is None:
            kept.append(node)
            continue
        nodes, tensors = made
        kept += [helper.make_node(*entry[:3], **entry[3]) for entry in nodes]
        graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in tensors.items())
        count += 1
    del graph.node[:]
    graph.node.extend(kept)
    return count


def _weight(node: Any, producers: dict[str, Any]) -> str | None:
    """The weight (outputs, inputs) of a linear layer."""
    from onnx import helper

    if node.op_type == "MatMul":
        turned = producers.get(node.input[1])
        return str(turned.input[0]) if turned is not None and turned.op_type == "Transpose" else None
    if node.op_type != "Gemm":
        return None
    said = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    return str(node.input[1]) if said == {"alpha": 1.0, "beta": 1.0, "transB": 1} else None


def _product(
    node: Any, codes: Array, scale: Array | None, offset: Array | None, bits: int, rounded_inputs: bool
) -> tuple[list[tuple[str, list[str], list[str], dict[str, Any]]], dict[str, Array]] | None:
    """The nodes in place of a product, and their tensors; ``codes``: (outputs, inputs) or (outputs, groups, group)."""
    grouped = codes.ndim == 3
    outputs, columns = len(codes), int(np.prod(codes.shape[1:]))
    block = codes.shape[2] if grouped else next((b for b in _BLOCKS if columns % b == 0), None)
    if scale is None or codes.ndim not in (2, 3) or block not in _BLOCKS:
        return None
    groups = columns // block
    spread = (outputs, groups)
    steps = np.broadcast_to(scale.reshape(scale.shape[0] if scale.ndim else 1, -1), spread).astype(np.float32)
    top = np.float32(2**bits - 1)
    half = steps / top
    if offset is not None:
        half = half + np.broadcast_to(offset.reshape(offset.shape[0] if offset.ndim else 1, -1), spread)
    pairs = codes.reshape(outputs, groups, block)
    zero, place = 1 << (bits - 1), f"{node.output[0]}/packed"
    tensors = {
        f"{place}/codes": pairs[..., 0::2] | pairs[..., 1::2] << 4,
        f"{place}/scales": 2 * steps / top,
        f"{place}/zeros": np.full((outputs, (groups + 1) // 2), zero | zero << 4, np.uint8),
        f"{place}/half": np.ascontiguousarray(half.T.astype(np.float32)),
        f"{place}/blocks": np.repeat(np.eye(groups, dtype=np.float32), block, axis=0),
    }
    given, output = node.input[0], node.output[0]
    how: dict[str, Any] = {"domain": "com.microsoft", "K": columns, "N": outputs, "bits": BITS, "block_size": block}
    if rounded_inputs:
        how["accuracy_level"] = 4
    whole = [given, f"{place}/codes", f"{place}/scales", f"{place}/zeros"]
    nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = [
        ("MatMulNBits", whole, [f"{place}/whole"], how),
        ("MatMul", [given, f"{place}/blocks"], [f"{place}/sums"], {}),
        ("MatMul", [f"{place}/sums", f"{place}/half"], [f"{place}/halves"], {}),
    ]
    biased = len(node.input) > 2
    nodes.append(("Add", [f"{place}/whole", f"{place}/halves"], [f"{place}/sum" if biased else output], {}))
    if biased:
        nodes.append(("Add", [f"{place}/sum", node.input[2]], [output], {}))
    return nodes, tensors
