"""The reviewed list of ONNX's operators: what each multiplies and accumulates, from shapes alone.

As for PyTorch's (:mod:`tqhw.workload.operators`), an operator is in one of three tables: :data:`RULES` counts it,
:data:`REFUSED` multiplies and no problem is made of it, :data:`NO_PRODUCT` multiplies nothing. One in none of them is
not known. Names are ONNX's own; those of other domains stand behind them. ``tests/workload/onnx/test_operators.py``
goes through all that the installed package registers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

from tqhw.workload.onnx.attention import Heads, attention_products, products_of
from tqhw.workload.onnx.contrib import MS, QUANT_DOMAINS, broadcast, turned
from tqhw.workload.onnx.einsum import einsum_product
from tqhw.workload.operations import Convolution, MatrixProduct

if TYPE_CHECKING:
    from tqhw.workload.onnx.graph import OnnxGraph, OnnxNode, Shape

Found = Sequence[MatrixProduct | Convolution]
Rule = Callable[["OnnxNode", "OnnxGraph"], Found]


def _of(node: OnnxNode, graph: OnnxGraph, index: int) -> Shape:
    """Raises KeyError where the shape is not known."""
    shape = graph.shape(node.inputs[index])
    if shape is None:
        raise KeyError(node.inputs[index])
    return shape


def _result(node: OnnxNode, graph: OnnxGraph) -> Shape:
    shape = graph.shape(node.outputs[0])
    if shape is None:
        raise KeyError(node.outputs[0])
    return shape


def matrices(left: str, right: str, one: Shape, other: Shape) -> MatrixProduct:
    """NumPy's matmul. A right factor that all of the batch shares is one matrix, with the batch among the rows."""
    one = one if len(one) > 1 else (1, *one)
    other = other if len(other) > 1 else (*other, 1)
    rows, inner, columns = one[-2], one[-1], other[-1]
    whole = math.prod(broadcast(one[:-2], other[:-2]))
    own = math.prod(other[:-2])
    if own and whole % own == 0:
        return MatrixProduct(left, right, own, rows * (whole // own), inner, columns)
    return MatrixProduct(left, right, whole, rows, inner, columns)


def _matmul(left: int = 0, right: int = 1) -> Rule:
    def rule(node: OnnxNode, graph: OnnxGraph) -> Found:
        one = turned(_of(node, graph, left), node.attributes.get("transA"))
        other = turned(_of(node, graph, right), node.attributes.get("transB"))
        return [matrices(node.inputs[left], node.inputs[right], one, other)]

    return rule


def _nbits(node: OnnxNode, graph: OnnxGraph) -> Found:
    """A packed weight: its size stands in attributes."""
    inner, columns = node.attributes["K"], node.attributes["N"]
    rows = math.prod(_of(node, graph, 0)[:-1])
    bits = node.attributes.get("bits", 4)
    return [MatrixProduct(node.inputs[0], node.inputs[1], 1, rows, inner, columns, bits)]


def _conv(inputs: int = 0, weight: int = 1, transposed: bool = False) -> Rule:
    def rule(node: OnnxNode, graph: OnnxGraph) -> Found:
        window, told = _of(node, graph, weight), node.attributes
        picture = _of(node, graph, inputs) if transposed else _result(node, graph)
        axes = len(window) - 2
        stride, dilation = (tuple(told.get(key) or (1,) * axes) for key in ("strides", "dilations"))
        groups = int(told.get("group", 1))
        return [
            Convolution(node.inputs[inputs], node.inputs[weight], window, picture, stride, dilation, groups, transposed)
        ]

    return rule


def _recurrent(node: OnnxNode, graph: OnnxGraph) -> Found:
    """Per direction: all steps' inputs at once, then the hidden state step by step."""
    first, second, inner = _of(node, graph, 0)
    steps, batch = (second, first) if node.attributes.get("layout") else (first, second)
    hidden = node.attributes["hidden_size"]
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1, "DynamicQuantizeLSTM": 4}[node.proto.op_type] * hidden
    ways = 2 if node.attributes.get("direction", b"forward") == b"bidirectional" else 1
    given, on_input, on_state = node.inputs[:3]
    found = []
    for way in range(ways):
        found.append(MatrixProduct(given, on_input, 1, steps * batch, inner, gates, part=way))
        found += [MatrixProduct(given, on_state, 1, batch, hidden, gates, part=way)] * steps
    return found


def _projected_attention(node: OnnxNode, graph: OnnxGraph) -> Found:
    """Queries, keys and values by one weight, then the attention itself."""
    batch, rows, inner = _of(node, graph, 0)
    weights, heads = _of(node, graph, 1), node.attributes["num_heads"]
    sizes = node.attributes.get("qkv_hidden_sizes") or [weights[1] // 3] * 3
    place = 8 if node.proto.op_type == "QAttention" else 4
    kept = graph.shape(node.inputs[place]) if len(node.inputs) > place and node.inputs[place] else None
    past = kept[3] if kept is not None and len(kept) == 5 else 0
    one = Heads(batch, heads, heads, rows, rows + past, sizes[0] // heads, sizes[2] // heads, past)
    projection = MatrixProduct(node.inputs[0], node.inputs[1], 1, batch * rows, inner, weights[1])
    return [projection, *products_of(one, node.inputs[0])]


RULES: dict[str, Rule] = {
    "MatMul": _matmul(),
    "Gemm": _matmul(),
    "MatMulInteger": _matmul(),
    "QLinearMatMul": _matmul(0, 3),
    "Einsum": lambda node, graph: einsum_product(node, [_of(node, graph, i) for i in range(len(node.inputs))]),
    "Conv": _conv(),
    "ConvInteger": _conv(),
    "QLinearConv": _conv(0, 3),
    "ConvTranspose": _conv(transposed=True),
    "DeformConv": _conv(),
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "Attention": attention_products,
    f"{MS}.MatMulNBits": _nbits,
    f"{MS}.MatMulBnb4": _nbits,
    f"{MS}.MatMulFpQ4": _nbits,
    f"{MS}.FusedMatMul": _matmul(),
    f"{MS}.FusedGemm": _matmul(),
    f"{MS}.QGemm": _matmul(0, 3),
    f"{MS}.DynamicQuantizeMatMul": _matmul(),
    f"{MS}.MatMulIntegerToFloat": _matmul(),
    f"{MS}.MatMulInteger16": _matmul(),
    f"{MS}.FusedConv": _conv(),
    f"{MS}.DynamicQuantizeLSTM": _recurrent,
    f"{MS}.Attention": _projected_attention,
    f"{MS}.QAttention": _projected_attention,
    f"{MS}.MultiHeadAttention": attention_products,
    f"{MS}.GroupQueryAttention": attention_products,
}
"""Operator to what it multiplies; a rule raises KeyError where a shape is not known, ValueError for what it cannot."""

REFUSED: dict[str, str] = {
    "LinearAttention": "linear attention",
    "CausalConvWithState": "convolution with a state",
    "ai.onnx.preview.FlexAttention": "attention with functions of its own",
    "ai.onnx.ml.Linear*": "linear model of another kind",
    "ai.onnx.ml.SVM*": "support vectors",
    "ai.onnx.ml.Tree*": "decision trees",
    "ai.onnx.preview.training.*": "training",
    f"{MS}.*MoE": "routed experts",
    f"{MS}.SparseToDenseMatMul": "sparse product",
    f"{MS}.SparseAttention": "sparse attention",
    f"{MS}.LongformerAttention": "sparse attention",
    f"{MS}.Packed*Attention": "packed attention",
    f"{MS}.Decoder*Attention": "attention of a decoder",
    f"{MS}.BeamSearch": "a search with networks inside",
    f"{MS}.GreedySearch": "a search with networks inside",
    f"{MS}.Sampling": "a search with networks inside",
}
"""Operators, or patterns of them, that multiply and that no problem is made of: what they are."""

_NO_PRODUCT = {
    "element by element": """
        Abs Acos Acosh Add And Asin Asinh Atan Atanh BitCast BitShift Bitwise* Cast CastLike Ceil Celu Clip Cos Cosh
        CumProd CumSum Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Hardmax Identity
        IsInf IsNaN LeakyRelu Less LessOrEqual Log LogSoftmax Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal
        Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Sub Sum SwiGLU Swish Tan Tanh
        ThresholdedRelu Where Xor RotaryEmbedding Dropout""",
    "moved, cut, joined": """
        CenterCropPad Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape DepthToSpace Expand EyeLike
        Flatten Gather GatherElements GatherND OneHot Optional* Pad Range Reshape ReverseSequence Scatter
        ScatterElements ScatterND Sequence* Shape Size Slice SpaceToDepth Split SplitToSequence Squeeze TensorScatter
        Tile Transpose Trilu Unique Unsqueeze NonZero""",
    "reduced, chosen": "ArgMax ArgMin Reduce* TopK NonMaxSuppression Det",
    "pooled, sampled between pixels": """
        AffineGrid AveragePool Global*Pool GridSample LpPool MaxPool MaxRoiPool MaxUnpool Resize RoiAlign Upsample""",
    "normalized": """
        BatchNormalization GroupNormalization InstanceNormalization LayerNormalization LRN LpNormalization
        MeanVarianceNormalization RMSNormalization SimplifiedLayerNormalization SkipLayerNormalization""",
    "quantized and back": "QuantizeLinear DequantizeLinear DynamicQuantizeLinear",
    "random, windows, transforms": """
        Bernoulli Multinomial Random* BlackmanWindow HammingWindow HannWindow MelWeightMatrix DFT STFT""",
    "losses": "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss",
    "text, pictures": "ImageDecoder RegexFullMatch String* TfIdfVectorizer",
    "graphs inside, looked at by themselves": "If Loop Scan",
}
_NO_PRODUCT_ELSEWHERE = f"""
    ai.onnx.ml.ArrayFeatureExtractor ai.onnx.ml.Binarizer ai.onnx.ml.C* ai.onnx.ml.DictVectorizer
    ai.onnx.ml.FeatureVectorizer ai.onnx.ml.Imputer ai.onnx.ml.LabelEncoder ai.onnx.ml.Normalizer
    ai.onnx.ml.OneHotEncoder ai.onnx.ml.Scaler ai.onnx.ml.ZipMap
    {MS}.*Gelu {MS}.Bias* {MS}.*LayerNormalization {MS}.GroupNorm {MS}.*RotaryEmbedding {MS}.GatherBlockQuantized
    {MS}.QuantizeLinear {MS}.DequantizeLinear {MS}.QLinearAdd {MS}.QLinearMul {MS}.QLinearSigmoid {MS}.QLinearSoftmax
    {MS}.QLinearLeakyRelu {MS}.QLinearGlobalAveragePool {MS}.QLinearAveragePool {MS}.QLinearConcat {MS}.Trilu"""
NO_PRODUCT: tuple[str, ...] = (
    *(name for names in _NO_PRODUCT.values() for name in names.split()),
    *_NO_PRODUCT_ELSEWHERE.split(),
    *(f"{domain}.{name}" for domain in QUANT_DOMAINS for name in ("Quant", "IntQuant", "BipolarQuant", "Trunc")),
)
"""Operators, or patterns of them, without a product. :data:`REFUSED` comes first."""


@cache
def refused(operator: str) -> str | None:
    """What the operator is, where it is on the list of those that cannot be mapped."""
    return next((what for pattern, what in REFUSED.items() if fnmatchcase(operator, pattern)), None)


@cache
def is_no_product(operator: str) -> bool:
    """Whether the operator is on the list of those that multiply and accumulate nothing."""
    return refused(operator) is None and any(fnmatchcase(operator, pattern) for pattern in NO_PRODUCT)
