"""Networks by both routes, layer by layer; names, weights that are stored once, and what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx")

import numpy as np
from onnx import helper, numpy_helper

from tests.workload.onnx.graphs import node, save, tensor
from tqhw.errors import TqhwError
from tqhw.workload import InputSpec, Workload, extract_file


def sizes(workload: Workload) -> list[tuple[object, ...]]:
    return sorted(
        (
            tuple(layer.problem.bounds.values()),
            tuple(layer.problem.coefficients.values()),
            layer.count,
            layer.has_weights,
        )
        for layer in workload.layers
    )


def test_names_counts_and_weights(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [
            node("Conv", "x stem.weight stem.bias", "a", strides=[2, 2], pads=[1, 1, 1, 1], dilations=[1, 1]),
            node("BatchNormalization", "a s b m v", "c"),
            node("Relu", "c", "d"),
            node("GlobalAveragePool", "d", "e"),
            node("Flatten", "e", "f"),
            node("Gemm", "f fc.weight fc.bias", "y", transB=1),
        ],
        {"x": [2, 3, 8, 8]},
        [
            tensor("stem.weight", [6, 3, 3, 3]),
            tensor("stem.bias", [6]),
            *(tensor(name, [6]) for name in "sbmv"),
            tensor("fc.weight", [5, 6]),
            tensor("fc.bias", [5]),
        ],
    )
    found = extract_file(path)
    assert [(layer.names, layer.macs, layer.weight_count) for layer in found.layers] == [
        (("stem",), 2 * 16 * 6 * 27, 162),
        (("fc",), 2 * 30, 30),
    ]
    assert (found.parameters, found.weights, found.norm_channels, found.norm_parameters) == (
        162 + 6 + 12 + 35,
        192,
        6,
        12,
    )
    assert found.other_parameters == 11
    assert found.input_text == "x:float32[2,3,8,8]"
    assert [layer.weight_bits for layer in found.layers] == [None, None]


def test_one_weight_of_two_products_is_stored_once(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [node("MatMul", "x w", "a"), node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", "a t", "y")],
        {"x": [4, 6]},
        [tensor("w", [6, 5])],
    )
    found = extract_file(path)
    assert [(layer.names, layer.weight_count, layer.stored_weights) for layer in found.layers] == [
        (("a",), 30, 30),
        (("y",), 30, 0),
    ]
    assert found.parameters == found.weights == 30


def test_a_product_with_the_weight_on_the_left(tmp_path: Path) -> None:
    found = extract_file(
        save(tmp_path / "net.onnx", [node("MatMul", "w x", "y")], {"x": [3, 6, 5]}, [tensor("w", [4, 6])])
    )
    (layer,) = found.layers
    assert (layer.macs, layer.weight_count) == (3 * 4 * 6 * 5, 24)
    assert [layer.problem.bounds[d] for d in "NCMG"] == [15, 6, 4, 1]


def test_products_of_activations_have_no_weights(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [
            node("MatMul", "x w", "q"),
            node("Transpose", "q", "t", perm=[0, 2, 1]),
            node("MatMul", "q t", "scores"),
            node("Einsum", "scores q", "y", equation="bst,bte->bse"),
        ],
        {"x": [2, 5, 4]},
        [tensor("w", [4, 3])],
    )
    found = extract_file(path)
    assert [(layer.names[0], layer.macs, layer.weight_count) for layer in found.layers] == [
        ("q", 2 * 5 * 12, 12),
        ("scores:matmul", 2 * 25 * 3, 0),
        ("y:matmul", 2 * 25 * 3, 0),
    ]


def test_shapes_that_the_graph_computes(tmp_path: Path) -> None:
    """Shape, Gather, Concat, Reshape, as exporters write ``view(x.shape[0], -1)``."""
    path = save(
        tmp_path / "net.onnx",
        [
            node("Shape", "x", "s"),
            node("Gather", "s zero", "n", axis=0),
            node("Concat", "n minus", "to", axis=0),
            node("Reshape", "x to", "f"),
            node("MatMul", "f w", "y"),
        ],
        {"x": ["batch", 3, 4]},
        [
            numpy_helper.from_array(np.array([0]), "zero"),
            numpy_helper.from_array(np.array([-1]), "minus"),
            tensor("w", [12, 5]),
        ],
    )
    assert extract_file(path, [InputSpec((7, 3, 4))]).macs == 7 * 60
    with pytest.raises(TqhwError, match=r"leaves dimensions of its inputs open: x:float32\[batch,3,4\]") as caught:
        extract_file(path)
    assert caught.value.lever == "give numbers for the words, --input x:float32[batch,3,4]"


def test_a_branch_that_is_known_is_taken(tmp_path: Path) -> None:
    def branch(kind: str, result: str) -> object:
        return helper.make_graph(
            [node(kind, "x w" if kind == "MatMul" else "x", result)],
            result,
            [],
            [helper.make_empty_tensor_value_info(result)],
        )

    nodes = [
        node("If", "yes", "z", then_branch=branch("MatMul", "a"), else_branch=branch("Relu", "b")),
        node("Relu", "z", "y"),
    ]
    yes = numpy_helper.from_array(np.array(True), "yes")
    assert extract_file(save(tmp_path / "net.onnx", nodes, {"x": [2, 3]}, [yes, tensor("w", [3, 4])])).macs == 24
    path = save(tmp_path / "net.onnx", nodes, {"x": [2, 3], "yes": []}, [tensor("w", [3, 4])], kinds={"yes": 9})
    with pytest.raises(TqhwError, match=r"z \(If: products in its body, MatMul\)"):
        extract_file(path)


def test_functions_are_written_out(tmp_path: Path) -> None:
    dense = helper.make_function(
        "own", "Dense", ["x", "w"], ["y"], [node("MatMul", "x w", "y")], [helper.make_opsetid("", 21)]
    )
    path = save(
        tmp_path / "net.onnx",
        [node("own.Dense", "x w", "a"), node("own.Dense", "a v", "y")],
        {"x": [2, 3]},
        [tensor("w", [3, 4]), tensor("v", [4, 5])],
        functions=[dense],
        more=["own"],
    )
    assert extract_file(path).macs == 2 * 12 + 2 * 20


def test_recurrent_layers(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [node("LSTM", "x w r", "y", hidden_size=6, direction="bidirectional")],
        {"x": [5, 2, 3]},
        [tensor("w", [2, 24, 3]), tensor("r", [2, 24, 6])],
    )
    found = extract_file(path)
    assert [(set(layer.names), layer.count, layer.macs, layer.stored_weights) for layer in found.layers] == [
        ({"y:input"}, 2, 10 * 72, 144),
        ({"y:state"}, 10, 2 * 144, 288),
    ]


@pytest.mark.parametrize("kind", ["Attention", "com.microsoft.MultiHeadAttention"])
def test_attention_as_one_operator(tmp_path: Path, kind: str) -> None:
    heads = {"q_num_heads": 2, "kv_num_heads": 2} if kind == "Attention" else {"num_heads": 2}
    path = save(
        tmp_path / "net.onnx",
        [node("MatMul", "x w", "q"), node(kind, "q q q", "a", **heads), node("MatMul", "a w", "y")],
        {"x": [1, 5, 8]},
        [tensor("w", [8, 8])],
        opset=23,
    )
    found = extract_file(path)
    assert found.macs == 2 * 5 * 64 + 2 * 2 * 25 * 4
    assert found.weights == 64


def test_a_kv_cache(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [
            node("MatMul", "x w", "k"),
            node("Concat", "past_key k", "present_key", axis=1),
            node("Transpose", "present_key", "t", perm=[0, 2, 1]),
            node("MatMul", "k t", "y"),
        ],
        {"x": [1, 1, 8], "past_key": [1, "past", 8]},
        [tensor("w", [8, 8])],
        output="present_key",
    )
    found = extract_file(path, [InputSpec((1, 9, 8), "float32", "past_key")])
    assert found.cache is not None
    assert (found.cache.read, found.cache.written, found.cache.stored) == (80, 8, 80)
    assert found.layers[1].names == ("y:kv_cache",)
    assert found.notes[-1] == "KV cache: 80 words read, 8 written, 80 stored afterwards"


def test_what_is_left_out(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [node("MatMul", "x a.weight", "b"), node("MatMul", "b c.weight", "y")],
        {"x": [2, 3]},
        [tensor("a.weight", [3, 4]), tensor("c.weight", [4, 5])],
    )
    found = extract_file(path, skip=["a"])
    assert (found.macs, found.skipped) == (40, (("a", 24),))
    with pytest.raises(TqhwError, match="skip: 'nothing' matches nothing"):
        extract_file(path, skip=["nothing"])
    with pytest.raises(TqhwError, match="no product with weights is left"):
        extract_file(path, skip=["MatMul"])
    with pytest.raises(TqhwError, match="an ONNX file takes no phase"):
        extract_file(path, phase="decode")


def test_constants_that_meet_are_folded(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [node("MatMul", "v w", "vw"), node("MatMul", "x vw", "y")],
        {"x": [2, 3]},
        [tensor("v", [3, 4]), tensor("w", [4, 5])],
    )
    found = extract_file(path)
    assert (found.macs, found.folded, found.folded_macs) == (30, ("vw",), (60,))


def test_exported_networks_have_the_layers_of_their_models(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from torch import nn

    from tests.workload.onnx.exported import NETS, export
    from tqhw.workload import extract

    torch.manual_seed(0)
    for name, (net, example) in NETS.items():
        path = export(net, example, tmp_path / f"{name}.onnx")
        from_file, from_model = extract_file(path), extract(net, [example])
        assert isinstance(net, nn.Module)
        assert (from_file.macs, from_file.weights) == (from_model.macs, from_model.weights), name
        assert sizes(from_file) == sizes(from_model), name


def test_a_file_of_many_precisions_has_the_layers_of_its_model(tmp_path: Path) -> None:
    """tqhw's own export: codes that are shifted inside of the graph by a whole number, which is a setting."""
    pytest.importorskip("torch")
    from tqhw.models import build
    from tqhw.quant import QuantConfig, convert, save_onnx
    from tqhw.workload import extract

    model = convert(build("resnet20", in_channels=1), QuantConfig(precisions=(2, 8)))
    save_onnx(model, tmp_path / "net.onnx", (1, 8, 8))
    found = extract_file(tmp_path / "net.onnx", [InputSpec((1, 1, 8, 8), name="images")])
    expected = extract(model, (1, 1, 8, 8))
    assert (found.macs, found.weights) == (expected.macs, expected.weights)
