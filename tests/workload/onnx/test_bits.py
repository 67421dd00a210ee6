"""Bits of quantized files: of weights and of what is read, layer by layer, with where they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

import numpy as np
from onnx import TensorProto, numpy_helper

from tests.workload.onnx.graphs import MS, node, save, tensor
from tqhw.workload import extract_file

I8, U8, I4, I32 = TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4, TensorProto.INT32


def scalar(name: str, value: float, kind: Any = np.float32) -> Any:
    return numpy_helper.from_array(np.array(value, kind), name)


def found(path: str) -> list[tuple[object, ...]]:
    return [
        (layer.weight_bits, layer.fixed_bits, layer.input_bits, layer.bits_from) for layer in extract_file(path).layers
    ]


SCALES = [scalar("s", 0.1), scalar("z", 0, np.uint8), scalar("zi", 0, np.int8)]
QUANTIZED_INPUT = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "xq")]


@pytest.mark.parametrize(("kind", "bits", "name"), [(I8, 8, "int8"), (I4, 4, "int4")])
def test_quantized_and_back(tmp_path: Path, kind: int, bits: int, name: str) -> None:
    path = save(
        tmp_path / "net.onnx",
        [*QUANTIZED_INPUT, node("DequantizeLinear", "w s", "wd"), node("Conv", "xq wd", "y")],
        {"x": [1, 4, 5, 5]},
        [tensor("w", [6, 4, 3, 3], kind), *SCALES],
    )
    text = f"weights {name} by DequantizeLinear; inputs uint8 by DequantizeLinear"
    assert found(path) == [(bits, True, 8, text)]
    assert extract_file(path).weights == 6 * 36


def test_a_layer_that_stays_in_floating_point(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [
            *QUANTIZED_INPUT,
            node("DequantizeLinear", "w s", "wd"),
            node("MatMul", "xq wd", "a"),
            node("Relu", "a", "b"),
            node("MatMul", "b v", "y"),
        ],
        {"x": [2, 4]},
        [tensor("w", [4, 6], I8), tensor("v", [6, 3]), *SCALES],
    )
    assert found(path)[1] == (32, True, 32, None)
    notes = extract_file(path).notes
    assert notes == (
        "quantized already, and its layers keep their bits: "
        "1 with weights of 8 and inputs of 8 bits, 1 with weights of 32 and inputs of 32 bits",
    )


def test_codes_that_a_clip_narrows(tmp_path: Path) -> None:
    """How Brevitas writes 3 bits, for which ONNX has no type."""
    ends = [scalar("low", -4, np.int8), scalar("high", 3, np.int8)]
    path = save(
        tmp_path / "net.onnx",
        [
            *QUANTIZED_INPUT,
            node("Clip", "w low high", "wc"),
            node("DequantizeLinear", "wc s", "wd"),
            node("Transpose", "wd", "wt", perm=[1, 0]),
            node("MatMul", "xq wt", "y"),
        ],
        {"x": [2, 4]},
        [tensor("w", [6, 4], I8), *SCALES, *ends],
    )
    assert found(path) == [
        (3, True, 8, "weights int8 clipped to -4..3 by DequantizeLinear; inputs uint8 by DequantizeLinear")
    ]


def test_operators_on_codes(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [
            node("QuantizeLinear", "x s z", "q"),
            node("QLinearConv", "q s z w s zi s z", "a", kernel_shape=[3, 3]),
            node("Reshape", "a to", "b"),
            node("QLinearMatMul", "b s z v s zi s z", "c"),
            node("MatMulInteger", "c u z", "d"),
            node("Cast", "d", "y", to=1),
        ],
        {"x": [1, 4, 5, 5]},
        [
            tensor("w", [6, 4, 3, 3], I8),
            tensor("v", [54, 3], I8),
            tensor("u", [3, 2], I8),
            numpy_helper.from_array(np.array([1, -1]), "to"),
            *SCALES,
        ],
    )
    assert found(path) == [(8, True, 8, "weights int8; inputs uint8")] * 3
    assert extract_file(path).macs == 9 * 6 * 36 + 54 * 3 + 6


def test_a_product_of_activations_on_codes(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [
            *QUANTIZED_INPUT,
            node("DequantizeLinear", "w s", "wd"),
            node("MatMul", "xq wd", "a"),
            node("QuantizeLinear", "a s z", "b"),
            node("DequantizeLinear", "b s z", "c"),
            node("Transpose", "c", "t", perm=[1, 0]),
            node("MatMul", "c t", "y"),
        ],
        {"x": [2, 4]},
        [tensor("w", [4, 6], I8), *SCALES],
    )
    assert found(path)[1] == (None, False, 8, "uint8 by DequantizeLinear")


@pytest.mark.parametrize(("bits", "level", "inputs"), [(4, 0, 32), (2, 4, 8), (8, 1, 32)])
def test_packed_weights_with_a_scale_per_block(tmp_path: Path, bits: int, level: int, inputs: int) -> None:
    K, N, block = 64, 6, 32
    path = save(
        tmp_path / "net.onnx",
        [
            node(f"{MS}.MatMulNBits", "x w s", "a", K=K, N=N, bits=bits, block_size=block, accuracy_level=level),
            node("Relu", "a", "y"),
        ],
        {"x": [1, 5, K]},
        [tensor("w", [N, K // block, block * bits // 8], U8), tensor("s", [N * K // block])],
    )
    more = "; inputs int8 by accuracy_level 4" if level == 4 else ""
    assert found(path) == [(bits, True, inputs, f"weights MatMulNBits, blocks of 32 with a scale each{more}")]
    workload = extract_file(path)
    assert (workload.macs, workload.weights, workload.other_parameters) == (5 * K * N, K * N, 12)


def test_blocks_of_dequantize_linear(tmp_path: Path) -> None:
    path = save(
        tmp_path / "net.onnx",
        [node("DequantizeLinear", "w s", "wd", axis=0, block_size=4), node("MatMul", "x wd", "y")],
        {"x": [2, 8]},
        [tensor("w", [8, 6], I4), tensor("s", [2, 6])],
    )
    assert found(path) == [(4, True, 32, "weights int4 by DequantizeLinear, blocks of 4")]


def test_widths_that_qonnx_says(tmp_path: Path) -> None:
    domain = "qonnx.custom_op.general"
    path = save(
        tmp_path / "net.onnx",
        [
            node(f"{domain}.Quant", "x s zf five", "xq", signed=1, narrow=0, rounding_mode="ROUND"),
            node(f"{domain}.BipolarQuant", "w s", "wq"),
            node("MatMul", "xq wq", "y"),
        ],
        {"x": [2, 8]},
        [tensor("w", [8, 6]), scalar("s", 0.1), scalar("zf", 0), scalar("five", 5)],
        more=[domain],
    )
    assert found(path) == [(1, True, 5, "weights BipolarQuant; inputs Quant")]


def test_a_plain_file_says_nothing(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", [node("MatMul", "x w", "y")], {"x": [2, 8]}, [tensor("w", [8, 6])])
    assert found(path) == [(None, False, None, None)]


def test_what_onnxruntime_quantizes(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from onnxruntime.quantization import quantize_dynamic

    weights = numpy_helper.from_array(np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32), "w")
    plain = save(tmp_path / "net.onnx", [node("MatMul", "x w", "y")], {"x": [2, 8]}, [weights])
    quantize_dynamic(plain, tmp_path / "dynamic.onnx")
    assert found(str(tmp_path / "dynamic.onnx")) == [(8, True, 8, "weights int8; inputs uint8")]
