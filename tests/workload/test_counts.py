"""Multiply-accumulates and weights against known figures and against counts that share no code with ours."""

from __future__ import annotations

import itertools
import math

import pytest

torch = pytest.importorskip("torch")

from hypothesis import assume, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from tests.workload.nets import Call, TinyTransformer  # noqa: E402
from tqhw.models import MODELS, build, default_input  # noqa: E402
from tqhw.spec import CONV2D  # noqa: E402
from tqhw.workload import Workload, extract  # noqa: E402

WEIGHTS, _, OUTPUTS = CONV2D.data_spaces


def counted_macs(model: nn.Module, shape: tuple[int, ...]) -> int:
    """PyTorch's own counter: two operations per multiply-accumulate."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(shape))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("name", "macs", "parameters", "weights", "channels"),
    [
        ("resnet20", 40_813_184, 272_474, 270_896, 784),
        ("resnet18", 1_814_073_344, 11_689_512, 11_678_912, 4_800),
        ("resnet50", 4_089_184_256, 25_557_032, 25_502_912, 26_560),
        ("mobilenet_v2", 300_774_272, 3_504_872, 3_469_760, 17_056),
    ],
)
def test_known_counts(name: str, macs: int, parameters: int, weights: int, channels: int) -> None:
    model = build(name)
    workload = extract(model, default_input(name))
    assert workload.macs == macs == counted_macs(model, default_input(name))
    assert (workload.parameters, workload.weights, workload.norm_channels) == (parameters, weights, channels)
    assert workload.norm_parameters == 2 * channels
    classes = list(model.modules())[-1].out_features
    assert workload.other_parameters == classes == parameters - weights - 2 * channels  # the classifier's bias


def test_known_sizes_of_resnet18() -> None:
    """The 12 problems of the recorded timeloop-mapper searches, which were written by hand."""
    layers = extract(build("resnet18"), (1, 3, 224, 224)).layers
    found = [tuple(layer.problem.bounds[d] for d in "CMRSPQ") for layer in layers]
    strides = [layer.problem.coefficients["Wstride"] for layer in layers]
    stages = [(64, 56), (128, 28), (256, 14), (512, 7)]
    expected = [(3, 64, 7, 7, 112, 112), (64, 64, 3, 3, 56, 56)]
    for (inputs, _), (outputs, size) in itertools.pairwise(stages):
        expected += [(inputs, outputs, 3, 3, size, size), (outputs, outputs, 3, 3, size, size)]
        expected += [(inputs, outputs, 1, 1, size, size)]
    assert found == [*expected, (512, 1000, 1, 1, 1, 1)]
    assert strides == [2, 1, *[2, 1, 2] * 3, 1]
    assert [layer.count for layer in layers] == [1, 4, *[1, 3, 1] * 3, 1]


def test_a_batch_multiplies_all_but_the_weights() -> None:
    one, four = (extract(build("mobilenet_v2"), (batch, 3, 64, 64)) for batch in (1, 4))
    assert four.macs == 4 * one.macs
    assert (four.weights, four.parameters) == (one.weights, one.parameters)


def test_a_transformer_without_the_fused_path() -> None:
    model = TinyTransformer()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            expected = counted_macs(model, (2, 3, 16, 16))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    assert extract(model, (2, 3, 16, 16)).macs == expected


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    axes = draw(st.sampled_from([1, 2]))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))  # noqa: E731
    groups = draw(st.integers(1, 3))
    inputs, outputs = (groups * draw(st.integers(1, 3)) for _ in range(2))
    kernel, stride, dilation, padding, size = each(1, 4), each(1, 3), each(1, 3), each(0, 3), each(1, 12)
    window = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    assume(all(s + 2 * p >= w for s, p, w in zip(size, padding, window, strict=True)))
    kind = nn.Conv1d if axes == 1 else nn.Conv2d
    module = kind(inputs, outputs, kernel, stride, padding, dilation, groups, bias=draw(st.booleans()))
    return module, (draw(st.integers(1, 3)), inputs, *size)


@settings(max_examples=60)
@given(convolutions())
def test_any_convolution(case: tuple[nn.Module, tuple[int, ...]]) -> None:
    model, shape = case
    workload = extract(model, shape)
    (layer,) = workload.layers
    with torch.no_grad():
        output = model(torch.zeros(shape))
    assert workload.macs == counted_macs(model, shape)
    assert layer.problem.tensor_words(WEIGHTS) == layer.weight_count == model.weight.numel()
    assert layer.problem.tensor_words(OUTPUTS) == output.numel()
    # No window reaches past the padded input, and the next one would.
    for axis, (kernel, out, prefix) in enumerate([("S", "Q", "H"), ("R", "P", "W")][-(len(shape) - 2) :]):
        bounds, values = layer.problem.bounds, layer.problem.coefficients
        stride, dilation = values[f"{prefix}stride"], values[f"{prefix}dilation"]
        covered = (bounds[out] - 1) * stride + (bounds[kernel] - 1) * dilation + 1
        padded = shape[2 + axis] + 2 * model.padding[axis]
        assert covered <= padded < covered + stride


@settings(max_examples=40)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(1, 5), st.booleans())
def test_any_product_of_activations(shape: list[int], columns: int, turned: bool) -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        other = m.layer(x)  # [..., rows, columns]
        return other.mT @ x if turned else x.mT @ other

    model = Call(forward, layer=nn.Linear(shape[-1], columns))
    workload = extract(model, shape)
    assert workload.macs == 2 * math.prod(shape) * columns
    assert workload.weights == shape[-1] * columns


def exported_macs(model: nn.Module, shape: tuple[int, ...]) -> tuple[list[tuple[str, int]], int]:
    """Kind and multiply-accumulates of every convolution and linear layer in the graph of ``torch.export``."""
    graph = torch.export.export(model.eval(), (torch.zeros(shape),)).graph
    found = []
    for node in graph.nodes:
        if node.target in (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default):
            weight = node.args[1].meta["val"].shape
            outputs = node.meta["val"].numel()
            found.append((node.target.__name__, outputs * math.prod(weight[1:])))
    return found, sum(macs for _, macs in found)


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"resnet50"}))
def test_the_exported_graph_has_the_same_layers(name: str) -> None:
    model = build(name)
    layers, macs = exported_macs(model, (1, 3, 64, 64))
    workload = extract(model, (1, 3, 64, 64))
    assert workload.macs == macs
    assert sum(layer.count for layer in workload.layers) == len(layers)


def test_where_export_and_a_run_differ() -> None:
    """Control flow that depends on the data has no graph, but it has a run."""

    def forward(m: nn.Module, x: Tensor) -> Tensor:
        return m.one(x) if x.sum() > 1e9 else m.two(x)

    model = Call(forward, one=nn.Linear(4, 4), two=nn.Linear(4, 2))
    with pytest.raises(torch.fx.experimental.symbolic_shapes.GuardOnDataDependentSymNode):
        exported_macs(model, (1, 4))
    workload: Workload = extract(model, (1, 4))
    assert [layer.names for layer in workload.layers] == [("two",)]
    assert workload.other_parameters == 2 + 20
