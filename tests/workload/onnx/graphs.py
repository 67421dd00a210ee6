"""Small graphs, written down node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
MS = "com.microsoft"


def node(operator: str, inputs: str, outputs: str, name: str = "", **attributes: Any) -> Any:
    """``com.microsoft.X`` is ``X`` of that domain; ``_`` stands for an input that is left out."""
    domain, _, kind = operator.rpartition(".")
    given = ["" if word == "_" else word for word in inputs.split()]
    return helper.make_node(
        kind, given, outputs.split(), name or outputs.split()[0], domain=domain or None, **attributes
    )


def tensor(name: str, shape: Sequence[int], kind: int = FLOAT) -> Any:
    """Zeros."""
    numbers = np.zeros(shape, np.float32)
    if kind in (TensorProto.INT4, TensorProto.UINT4):
        return helper.make_tensor(name, kind, shape, numbers.astype(np.int8).reshape(-1).tolist())
    return numpy_helper.from_array(numbers.astype(helper.tensor_dtype_to_np_dtype(kind)), name)


def save(
    path: Path,
    nodes: Sequence[Any],
    inputs: Mapping[str, Sequence[int | str]],
    tensors: Sequence[Any] = (),
    *,
    output: str | None = None,
    opset: int = 21,
    kinds: Mapping[str, int] = {},
    functions: Sequence[Any] = (),
    more: Sequence[str] = (MS,),
) -> str:
    """Writes the graph and returns its path."""
    given = [helper.make_tensor_value_info(n, kinds.get(n, FLOAT), shape) for n, shape in inputs.items()]
    last = output or nodes[-1].output[0]
    graph = helper.make_graph(nodes, "g", given, [helper.make_empty_tensor_value_info(last)], list(tensors))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in more)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, functions=functions), path)
    return str(path)
