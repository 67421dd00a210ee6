"""ONNX's attention counts what the operators count that ONNX itself defines it by."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx")

import onnx
from onnx.backend.test.case.node import collect_testcases

from tests.workload.onnx.graphs import node, save, tensor
from tqhw.errors import TqhwError
from tqhw.workload import extract_file


def counted(model: onnx.ModelProto, path: Path) -> int | None:
    """Multiply-accumulates of a graph with a product behind it, which has weights; None where no size is known."""
    result = model.graph.output[0].name
    last = onnx.helper.make_node("Einsum", [result, "own_weight"], ["own_result"], equation="...j,jk->...k")
    width = model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    kind = model.graph.output[0].type.tensor_type.elem_type
    model.graph.node.append(last)
    model.graph.initializer.append(tensor("own_weight", [width, 2], kind))
    path.write_bytes(model.SerializeToString())
    try:
        return extract_file(path).macs
    except TqhwError as error:
        assert "not known" in str(error), error
        return None


@pytest.mark.filterwarnings("ignore")
def test_it_counts_what_its_definition_counts(tmp_path: Path) -> None:
    """The package's own cases: attention as one operator, and written out."""
    models = {case.name: case.model for case in collect_testcases("Attention") if case.model is not None}
    pairs = [(name, f"{name}_expanded") for name in models if f"{name}_expanded" in models]
    compared = 0
    for name, expanded in pairs:
        one, other = (counted(models[each], tmp_path / "net.onnx") for each in (name, expanded))
        if one is not None and other is not None:
            assert one == other, name
            compared += 1
    assert compared > 20


def test_packed_projections_of_onnxruntime(tmp_path: Path) -> None:
    """One weight for queries, keys and values; two heads of four."""
    path = save(
        tmp_path / "net.onnx",
        [node("com.microsoft.Attention", "x w b", "a", num_heads=2), node("MatMul", "a v", "y")],
        {"x": [1, 5, 8]},
        [tensor("w", [8, 24]), tensor("b", [24]), tensor("v", [8, 8])],
    )
    found = extract_file(path)
    assert found.macs == 5 * 8 * 24 + 2 * (2 * 25 * 4) + 5 * 64
    assert found.weights == 8 * 24 + 64
