"""What an operator multiplies and accumulates: the count rules of the reviewed list, from shapes alone.

A rule gets the operator's arguments by name and its result, and gives the matrix products or convolutions that it
computes. Which of the two factors is the weight is not its business.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from torch import Tensor

from tqhw.workload.operations import Convolution, MatrixProduct
from tqhw.workload.operators import plain_name

Arguments = dict[str, Any]
PACKED = object()
"""The place of a factor that is no tensor: a weight that a library has packed."""


Found = list[MatrixProduct | Convolution]
Rule = Callable[[Arguments, Any], Found]


def _pair(left: str, right: str) -> Rule:
    """Two matrices or vectors; leading axes are a batch."""
    return lambda a, _: [_matrices(a[left], a[right])]


def _matrices(left: Tensor, right: Tensor) -> MatrixProduct:
    rows, inner = left.shape[-2:] if left.dim() > 1 else (1, left.shape[0])
    columns = right.shape[-1] if right.dim() > 1 else 1
    return MatrixProduct(left, right, math.prod(left.shape[:-2]), rows, inner, columns)


def _linear(inputs: str, weight: str, bits: int | None = None) -> Rule:
    """A linear layer whose weight has a layout of its own: its columns are those of the result."""

    def rule(a: Arguments, result: Tensor) -> Found:
        given, inner = a[inputs], a[inputs].shape[-1]
        factor = a[weight] if isinstance(a[weight], Tensor) else PACKED
        rows = given.numel() // inner if inner else 0
        return [MatrixProduct(given, factor, 1, rows, inner, result.shape[-1], bits)]

    return rule


def _first_of(rule: Rule) -> Rule:
    """Of an operator with several results, the first of which is the product."""
    return lambda a, results: rule(a, results[0])


def _addbmm(a: Arguments, _: Any) -> Found:
    """A batch of products added up: one product over a longer inner dimension."""
    left, right = a["batch1"], a["batch2"]
    batch, rows, inner = left.shape
    return [MatrixProduct(left, right, 1, rows, batch * inner, right.shape[-1])]


def _addr(a: Arguments, _: Any) -> Found:
    left, right = a["vec1"], a["vec2"]
    return [MatrixProduct(left, right, 1, left.shape[0], 1, right.shape[0])]


def _distances(a: Arguments, _: Any) -> Found:
    """Squared distances: one multiply-accumulate for each pair of rows and coordinate."""
    if a.get("p", 2.0) != 2.0:
        return []
    product = _matrices(a["x1"], a["x2"].mT)
    return [MatrixProduct(a["x1"], a["x2"], product.batch, product.rows, product.inner, product.columns)]


def _substitution(factor: str, right: str) -> Rule:
    """Equations with a triangular factor, solved as blocked substitution does: half of the unknowns first, then the
    block beside the diagonal times these is taken off the other half's right sides, and each half is halved again.

    Every number beside the diagonal meets every right side once, which is n (n - 1) / 2 multiply-accumulates for each;
    dividing by the diagonal is elementwise.
    """

    def rule(a: Arguments, result: Any) -> Found:
        given, sides = a[factor], a[right]
        size = given.shape[-1]
        solution = result if isinstance(result, Tensor) else result[0]
        batch = math.prod(given.shape[:-2])
        columns = solution.numel() // (batch * size) if batch * size else 0
        return [
            MatrixProduct(given, sides, batch * count, rows, inner, columns, part=number, solved=True)
            for number, ((rows, inner), count) in enumerate(_beside_the_diagonal(size).items())
        ]

    return rule


@cache
def _beside_the_diagonal(size: int) -> Counter[tuple[int, int]]:
    """Rows and columns of the blocks that a triangle of ``size`` is halved into, and how many there are of each."""
    if size < 2:
        return Counter()
    half = size // 2
    return Counter({(size - half, half): 1}) + _beside_the_diagonal(half) + _beside_the_diagonal(size - half)


def _convolution(inputs: str = "input") -> Rule:
    def rule(a: Arguments, result: Tensor) -> Found:
        given, weight, transposed = a[inputs], a["weight"], bool(a.get("transposed", False))
        picture = tuple(given.shape if transposed else result.shape)
        stride, dilation = tuple(a["stride"]), tuple(a["dilation"])
        return [
            Convolution(given, weight, tuple(weight.shape), picture, stride, dilation, int(a["groups"]), transposed)
        ]

    return rule


def _over_time(a: Arguments, result: Tensor) -> Found:
    """``conv_tbc``: time, batch, channels; the weight is width, inputs, outputs."""
    (width, inputs, outputs), (time, batch, _) = a["weight"].shape, result.shape
    window, picture = (outputs, inputs, width), (batch, outputs, time)
    return [Convolution(a["self"], a["weight"], window, picture, (1,), (1,), 1)]


def _deformable(a: Arguments, result: Tensor) -> Found:
    """The products of a convolution, on pixels sampled before."""
    weight, groups = a["weight"], int(a["groups"])
    stride, dilation = (a["stride_h"], a["stride_w"]), (a["dilation_h"], a["dilation_w"])
    return [Convolution(a["input"], weight, tuple(weight.shape), tuple(result.shape), stride, dilation, groups)]


def _packed_convolution(a: Arguments, result: Tensor) -> Found:
    packed: Any = a.get("packed_weight", a.get("weight"))
    weight, _ = packed.unpack()
    axes, transposed = result.dim() - 2, bool(packed.transpose())
    window = (*weight.shape[:2], *tuple(weight.shape[2:])[-axes:])  # one axis is packed as two
    stride, dilation = (tuple(packed.stride())[-axes:], tuple(packed.dilation())[-axes:])
    picture = tuple(a["qx"].shape if transposed else result.shape)
    return [Convolution(a["qx"], PACKED, window, picture, stride, dilation, int(packed.groups()), transposed, 8)]


def _recurrent(a: Arguments, result: Any) -> Found:
    """One direction of one layer: all steps' inputs at once, then the hidden state step by step."""
    given, on_input, on_state = a["input"], a["weight0"], a["weight1"]
    steps, batch, inner = given.shape
    gates, hidden = on_state.shape
    first = MatrixProduct(given, on_input, 1, steps * batch, inner, gates)
    return [first, *[MatrixProduct(a["hx_"], on_state, 1, batch, hidden, gates)] * steps]


def _grouped(left: str, right: str) -> Rule:
    """Rows that are routed between stacked matrices; without a routing, a batch of products."""

    def rule(a: Arguments, result: Any) -> Found:
        one, other = a[left], a[right]
        if one.dim() == 2 and other.dim() == 3:
            rows, inner = one.shape
            return [MatrixProduct(one, other, 1, rows, inner, other.shape[-1], experts=other.shape[0])]
        if one.dim() == 3 and other.dim() == 2:  # (L R)^T = R^T L^T
            inner, columns = other.shape
            return [MatrixProduct(other, one, 1, columns, inner, one.shape[1], experts=one.shape[0])]
        if one.dim() == 2:  # the inner dimension is cut: every part of it is a product of its own
            return [MatrixProduct(one, other, 1, one.shape[0], one.shape[1], other.shape[1])]
        return [_matrices(one, other)]

    return rule


RULES: dict[str, Rule] = {
    "aten.mm": _pair("self", "mat2"),
    "aten.bmm": _pair("self", "mat2"),
    "aten._int_mm": _pair("self", "mat2"),
    "aten._scaled_mm": _pair("self", "mat2"),
    "aten._scaled_mm_v2": _pair("self", "mat2"),
    "aten.mv": _pair("self", "vec"),
    "aten.dot": _pair("self", "tensor"),
    "aten.vdot": _pair("self", "other"),
    "aten.addmm": _pair("mat1", "mat2"),
    "aten._addmm_activation": _pair("mat1", "mat2"),
    "aten.baddbmm": _pair("batch1", "batch2"),
    "aten.addmv": _pair("mat", "vec"),
    "aten.addr": _addr,
    "aten.addbmm": _addbmm,
    "aten._euclidean_dist": _distances,
    "aten._cdist_forward": _distances,
    "aten.linalg_solve_triangular": _substitution("self", "B"),
    "aten.triangular_solve": _substitution("A", "self"),
    "aten.linear": _linear("input", "weight"),
    "aten.mkldnn_linear": _linear("self", "weight"),
    "aten._mixed_dtypes_linear": _linear("input", "weight"),
    "aten._weight_int8pack_mm": _linear("self", "mat2", 8),
    "aten._weight_int4pack_mm": _linear("self", "mat2", 4),
    "aten._weight_int4pack_mm_for_cpu": _linear("self", "mat2", 4),
    "aten._weight_int4pack_mm_with_scales_and_zeros": _linear("self", "mat2", 4),
    "aten._dyn_quant_matmul_4bit": _linear("inp", "packed_weights", 4),
    "aten.convolution": _convolution(),
    "aten._convolution": _convolution(),
    "aten.convolution_overrideable": _convolution(),
    "aten.mkldnn_convolution": _convolution("self"),
    "aten.conv_tbc": _over_time,
    "aten.mkldnn_rnn_layer": _recurrent,
    "aten._grouped_mm": _grouped("self", "mat2"),
    "aten._scaled_grouped_mm": _grouped("self", "mat2"),
    "aten._scaled_grouped_mm_v2": _grouped("self", "mat2"),
    "transformers.grouped_mm_fallback": _grouped("input", "weight"),
    "torchvision.deform_conv2d": _deformable,
    "quantized.matmul": _pair("qa", "qb"),
    "quantized.int4mm_packed_weight_cpu": _linear("self", "mat2", 4),
    "quantized.linear_dynamic_fp16_unpacked_weight": _linear("X", "weight", 16),
    **dict.fromkeys(
        (
            "quantized.linear",
            "quantized.linear_relu",
            "quantized.linear_leaky_relu",
            "quantized.linear_tanh",
            "quantized.linear_dynamic",
            "quantized.linear_relu_dynamic",
            "quantized.linear_with_input_q_dq_qweight_dq_output_fp32",
            "quantized.linear_with_input_q_dq_qweight_dq_relu_output_fp32",
        ),
        _linear("X", "W_prepack", 8),
    ),
    "quantized.linear_dynamic_fp16": _linear("X", "W_prepack", 16),
    "quantized.linear_relu_dynamic_fp16": _linear("X", "W_prepack", 16),
    **{
        f"quantized.{kind}{axes}d{end}": _packed_convolution
        for kind in ("conv", "conv_transpose")
        for axes in (1, 2, 3)
        for end in ("", "_relu", "_add", "_add_relu", "_dynamic")
    },
    "onednn.qlinear_pointwise": _linear("qx", "qw", 8),
    "mkldnn._linear_pointwise": _linear("X", "W"),
    "mkl._mkl_linear": _linear("X", "ORI_W"),
    "quanto.qbytes_mm": _linear("A", "B", 8),
    "bitsandbytes.gemv_4bit": _linear("A", "B", 4),
    "bitsandbytes.gemm_4bit": _linear("A", "B", 4),
    "bitsandbytes.int8_linear_matmul": _linear("A", "B", 8),
    "bitsandbytes.int8_scaled_mm": _linear("A", "B", 8),
    "bitsandbytes.int8_mixed_scaled_mm": _first_of(_linear("CA", "CB", 8)),
}
"""Operator, without its overload, to what it computes."""


def products(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Found | None:
    """What a call of this operator multiplies and accumulates; None for one without a rule."""
    rule = RULES.get(plain_name(str(func.overloadpacket)))
    if rule is None:
        return None
    return rule(arguments(func, args, kwargs), result)


def arguments(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """The arguments of a call by name; those with defaults only where they are given."""
    names = [argument.name for argument in func._schema.arguments]
    return {**dict(zip(names, args, strict=False)), **kwargs}
