"""ONNX files: their messages are taken apart as JSON, so that graphs are mutated and not only bytes."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import onnx
from google.protobuf import json_format

from tests.fuzz import mutate
from tests.fuzz.kind import Form, Kind
from tests.workload.onnx.graphs import MS, node, save, tensor
from tqhw.workload import extract_file


@cache
def _seeds() -> list[dict[str, bytes]]:
    weights = [tensor("w", [6, 3, 3, 3], onnx.TensorProto.INT8), tensor("s", []), tensor("v", [6, 4])]
    branch = onnx.helper.make_graph([node("Relu", "x", "b")], "b", [], [onnx.helper.make_empty_tensor_value_info("b")])
    convolution = [
        node("If", "yes", "i", then_branch=branch, else_branch=branch),
        node("DequantizeLinear", "w s", "d"),
        node("Conv", "i d", "c", pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", "c", "p"),
        node("Flatten", "p", "f"),
        node("MatMul", "f v", "y"),
    ]
    yes = onnx.helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [True])
    recurrent = [
        node("LSTM", "x w r", "l", hidden_size=4),
        node("Shape", "l", "n"),
        node("Slice", "n zero one", "one_of"),
        node("Concat", "one_of minus", "to", axis=0),
        node("Reshape", "l to", "e"),
        node("Einsum", "e v", "a", equation="ij,jk->ik"),
        node(f"{MS}.MatMulNBits", "a b s", "y", K=16, N=4, bits=4, block_size=16),
    ]
    numbers = [
        *(onnx.helper.make_tensor(name, 7, [1], [value]) for name, value in (("zero", 0), ("one", 1), ("minus", -1))),
        *(tensor(name, shape) for name, shape in (("w", [1, 16, 3]), ("r", [1, 16, 4]), ("v", [8, 16]), ("s", [4]))),
        tensor("b", [4, 1, 8], onnx.TensorProto.UINT8),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        save(path, convolution, {"x": [1, 3, 5, 5]}, [*weights, yes])
        found = [{"net.onnx": path.read_bytes()}]
        save(path, recurrent, {"x": [5, 2, 3]}, numbers)
        return [*found, {"net.onnx": path.read_bytes()}]


def _tree(content: bytes) -> Any:
    return json.loads(json_format.MessageToJson(onnx.load_model_from_string(content)))


def _written(tree: Any) -> bytes:
    """What is no message of this kind is written as it is, which is none either."""
    text = mutate.written(tree)
    try:
        content: bytes = json_format.Parse(text, onnx.ModelProto(), ignore_unknown_fields=True).SerializeToString()
    except (json_format.ParseError, ValueError, RecursionError, TypeError, AttributeError):
        return text
    return content


KINDS = [
    Kind("graphs", _seeds, lambda folder: extract_file(folder / "net.onnx"), {".onnx": Form(_tree, _written)}),
]
