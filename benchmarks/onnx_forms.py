"""Single operators of onnxruntime for codes: which forms of a convolution and of a linear layer are fast.

    python benchmarks/onnx_forms.py

Prints milliseconds of processor time, the median of several runs, on one thread: 3x3 convolutions as ResNet-20 has
them, with inputs and weights of 8 bits, and a linear layer of 1,024 at 4 bits in groups of 64. QLinearConv rounds its
outputs to 8 bits at once; the other forms give the sums themselves. All numbers are random.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tqhw.quant.onnx.run import session

RUNS = 40
Array = np.ndarray[Any, Any]


def milliseconds(nodes: list[Any], tensors: dict[str, Array], x: Array, out: int) -> float:
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        nodes,
        "form",
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [helper.make_tensor_value_info("y", out, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    sets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    running, found = session(helper.make_model(graph, opset_imports=sets, ir_version=9).SerializeToString()), []
    for _ in range(RUNS):
        start = time.process_time()
        running.run(None, {"x": x})
        found.append((time.process_time() - start) * 1e3)
    return median(found)


def convolution(channels: int, side: int) -> dict[str, float]:
    drawn, node, window = np.random.default_rng(0), helper.make_node, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    signed = drawn.integers(-127, 128, (channels, channels, 3, 3)).astype(np.int8)
    x = drawn.integers(0, 256, (1, channels, side, side)).astype(np.uint8)
    zero, whole = np.array(0, np.uint8), TensorProto.INT32

    def integer(weights: Array, middle: Array) -> float:
        tensors = {"w": weights, "x_zero": zero, "w_zero": middle}
        return milliseconds([node("ConvInteger", ["x", "w", "x_zero", "w_zero"], ["y"], **window)], tensors, x, whole)

    real = milliseconds(
        [node("Conv", ["x", "w"], ["y"], **window)],
        {"w": signed.astype(np.float32)},
        x.astype(np.float32),
        TensorProto.FLOAT,
    )
    one = np.float32(1)
    linear = {"w": signed, "x_scale": one, "x_zero": zero, "w_scale": np.ones(channels, np.float32)}
    linear |= {"w_zero": np.zeros(channels, np.int8), "y_scale": np.float32(900), "y_zero": zero}
    inputs = ["x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero"]
    rounded = milliseconds([node("QLinearConv", inputs, ["y"], **window)], linear, x, TensorProto.UINT8)
    return {
        "Conv, FP32": real,
        "ConvInteger, weights of uint8": integer((signed.astype(int) + 128).astype(np.uint8), np.array(128, np.uint8)),
        "ConvInteger, weights of int8": integer(signed, np.array(0, np.int8)),
        "patches and MatMulInteger": patches(signed, x),
        "QLinearConv, outputs of 8 bits": rounded,
    }


def patches(weights: Array, x: Array) -> float:
    channels, side, node = len(weights), x.shape[-1], helper.make_node
    tensors = {"around": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "zero": np.array(0, np.uint8), "axes": np.array([2, 3])}
    nodes, parts = [node("Pad", ["x", "around", "zero"], ["padded"])], []
    for at in range(9):
        tensors |= {f"from{at}": np.array([at // 3, at % 3]), f"to{at}": np.array([at // 3 + side, at % 3 + side])}
        nodes.append(node("Slice", ["padded", f"from{at}", f"to{at}", "axes"], [f"part{at}"]))
        parts.append(f"part{at}")
    tensors |= {"shape": np.array([1, 9 * channels, side * side]), "w_zero": np.array(0, np.int8)}
    tensors["w"] = weights.reshape(channels, -1).T.copy()
    nodes += [
        node("Concat", parts, ["all"], axis=1),
        node("Reshape", ["all", "shape"], ["columns"]),
        node("Transpose", ["columns"], ["rows"], perm=[0, 2, 1]),
        node("MatMulInteger", ["rows", "w", "zero", "w_zero"], ["y"]),
    ]
    return milliseconds(nodes, tensors, x, TensorProto.INT32)


def linear(size: int = 1024, group: int = 64) -> dict[str, float]:
    drawn, node, real = np.random.default_rng(0), helper.make_node, TensorProto.FLOAT
    codes = drawn.integers(0, 16, (size, size // group, group)).astype(np.uint8)
    scales = drawn.random((size, size // group), np.float32)
    x = drawn.standard_normal((1, size)).astype(np.float32)
    packed = {"q": codes[..., 0::2] | codes[..., 1::2] << 4, "s": scales}
    how: dict[str, Any] = {"domain": "com.microsoft", "K": size, "N": size, "bits": 4, "block_size": group}

    def product(zeros: Array, **more: Any) -> float:
        nodes = [node("MatMulNBits", ["x", "q", "s", "z"], ["y"], **how, **more)]
        return milliseconds(nodes, {**packed, "z": zeros}, x, real)

    whole = np.full((size, size // group // 2), 8 | 8 << 4, np.uint8)
    return {
        "MatMul, FP32": milliseconds(
            [node("MatMul", ["x", "w"], ["y"])], {"w": drawn.standard_normal((size, size)).astype(np.float32)}, x, real
        ),
        "MatMulNBits, zero point 8": product(whole),
        "MatMulNBits, zero point 7.5": product(np.full((size, size // group), 7.5, np.float32)),
        "MatMulNBits, inputs of 8 bits": product(whole, accuracy_level=4),
    }


def main() -> None:
    for channels, side in ((16, 32), (32, 16), (64, 8)):
        for form, taken in convolution(channels, side).items():
            print(f"{channels:3} channels of {side}x{side}   {form:32} {taken:8.3f} ms")
    for form, taken in linear().items():
        print(f"linear layer of 1,024    {form:32} {taken:8.3f} ms")


if __name__ == "__main__":
    main()
