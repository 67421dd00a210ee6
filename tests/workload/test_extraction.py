"""Layers of models written in every way that people write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

from tests.workload.nets import Call, TinyTransformer, parameter  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import QuantConfig, convert  # noqa: E402
from tqhw.workload import Layer, extract  # noqa: E402


def sizes(layer: Layer, dimensions: str = "GNCMRSPQ") -> dict[str, int]:
    return {d: layer.problem.bounds[d] for d in dimensions if layer.problem.bounds[d] > 1}


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        (nn.Conv2d(4, 6, 3, padding=1), (1, 4, 8, 8), {"C": 4, "M": 6, "R": 3, "S": 3, "P": 8, "Q": 8}),
        (nn.Conv2d(4, 6, (3, 5)), (2, 4, 9, 9), {"N": 2, "C": 4, "M": 6, "R": 5, "S": 3, "P": 5, "Q": 7}),
        (nn.Conv2d(4, 6, 3), (4, 8, 9), {"C": 4, "M": 6, "R": 3, "S": 3, "P": 7, "Q": 6}),
        (
            nn.Conv2d(4, 6, 4, padding=2, padding_mode="circular"),
            (1, 4, 8, 8),
            {"C": 4, "M": 6, "R": 4, "S": 4, "P": 9, "Q": 9},
        ),
        (nn.Conv2d(8, 8, 3, groups=8), (1, 8, 5, 5), {"G": 8, "R": 3, "S": 3, "P": 3, "Q": 3}),
        (nn.Conv2d(8, 16, 1, groups=4), (1, 8, 5, 5), {"G": 4, "C": 2, "M": 4, "P": 5, "Q": 5}),
        (nn.Conv1d(4, 6, 3), (2, 4, 9), {"N": 2, "C": 4, "M": 6, "R": 3, "P": 7}),
        (nn.Linear(4, 3), (4,), {"C": 4, "M": 3}),
        (nn.Linear(4, 3), (5, 4), {"N": 5, "C": 4, "M": 3}),
        (nn.Linear(4, 3), (2, 5, 4), {"N": 10, "C": 4, "M": 3}),
        (nn.Linear(4, 3, bias=False), (2, 2, 5, 4), {"N": 20, "C": 4, "M": 3}),
    ],
)
def test_modules(model: nn.Module, shape: tuple[int, ...], expected: dict[str, int]) -> None:
    workload = extract(model, shape)
    (layer,) = workload.layers
    assert sizes(layer) == expected
    assert layer.names == (type(model).__name__,)
    assert layer.weight_count == layer.stored_weights == model.weight.numel() == workload.weights
    assert workload.other_parameters == (0 if model.bias is None else model.bias.numel())
    assert workload.macs == layer.macs == layer.problem.computes


def test_stride_and_dilation() -> None:
    layers = extract(nn.Conv2d(1, 1, 3, stride=(1, 2), dilation=(3, 1)), (1, 1, 20, 20)).layers
    assert layers[0].problem.coefficients == {"Wstride": 2, "Hstride": 1, "Wdilation": 1, "Hdilation": 3}


@pytest.mark.parametrize(
    ("forward", "shape", "expected"),
    [
        (lambda m, x: m.w @ x, (2, 5, 6), {"N": 12, "C": 5, "M": 4}),
        (lambda m, x: m.w @ x, (2, 3, 5, 6), {"N": 36, "C": 5, "M": 4}),
        (lambda m, x: x @ m.w, (2, 3, 6, 4), {"N": 36, "C": 4, "M": 5}),
        (lambda m, x: m.w @ x, (5,), {"C": 5, "M": 4}),
        (lambda m, x: m.w[0] @ x, (5,), {"C": 5}),
        (lambda m, x: x @ m.w[:, 0], (6, 4), {"N": 6, "C": 4}),
        (lambda m, x: torch.addmv(m.w[:, 0], m.w, x), (5,), {"C": 5, "M": 4}),
        (lambda m, x: torch.baddbmm(x[:, :, :1], x, m.w.expand(2, 4, 5)), (2, 6, 4), {"N": 12, "C": 4, "M": 5}),
        (lambda m, x: torch.einsum("bi,io->bo", x, m.w), (6, 4), {"N": 6, "C": 4, "M": 5}),
        (lambda m, x: torch.tensordot(x, m.w, dims=([2], [0])), (2, 3, 4), {"N": 6, "C": 4, "M": 5}),
    ],
)
def test_products_with_one_weight(
    forward: Callable[..., Tensor], shape: tuple[int, ...], expected: dict[str, int]
) -> None:
    (layer,) = extract(Call(forward, w=parameter(4, 5)), shape).layers
    assert sizes(layer) == expected
    assert layer.weight_count == expected["C"] * expected.get("M", 1)


def test_a_weight_per_head() -> None:
    model = Call(lambda m, x: torch.einsum("bhtd,hde->bhte", x, m.w), w=parameter(3, 5, 7))
    (layer,) = extract(model, (2, 3, 4, 5)).layers
    assert sizes(layer) == {"G": 3, "N": 8, "C": 5, "M": 7}
    assert (layer.names, layer.weight_count) == (("w",), 105)


def attention(m: nn.Module, x: Tensor) -> Tensor:
    q, k, v = m.qkv(x).view(2, 6, 3, 2, 4).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def attention_by_hand(m: nn.Module, x: Tensor) -> Tensor:
    q, k, v = m.qkv(x).view(2, 6, 3, 2, 4).permute(2, 0, 3, 1, 4)
    return torch.softmax(q @ k.mT / 2, dim=-1) @ v


@pytest.mark.parametrize("forward", [attention, attention_by_hand])
def test_attention_products_have_no_weights(forward: Callable[..., Tensor]) -> None:
    workload = extract(Call(forward, qkv=nn.Linear(8, 24)), (2, 6, 8))
    linear, scores, values = workload.layers
    assert sizes(linear) == {"N": 12, "C": 8, "M": 24}
    assert sizes(scores) == {"G": 4, "N": 6, "C": 4, "M": 6}  # two pictures of two heads
    assert sizes(values) == {"G": 4, "N": 6, "C": 6, "M": 4}
    assert [layer.names for layer in (scores, values)] == [("Call:matmul",), ("Call:matmul_2",)]
    assert [layer.has_weights for layer in workload.layers] == [True, False, False]
    assert [layer.stored_weights for layer in workload.layers] == [192, 0, 0]


def test_a_transformer_and_its_fused_path() -> None:
    """In evaluation mode PyTorch would run each encoder layer as one operator."""
    assert torch.backends.mha.get_fastpath_enabled()
    workload = extract(TinyTransformer().eval(), (2, 3, 16, 16))
    assert torch.backends.mha.get_fastpath_enabled()
    names = {layer.names[0]: layer for layer in workload.layers}
    block = "encoder.layers.0"
    assert list(names) == [
        "patches",
        f"{block}.self_attn.in_proj_weight",
        f"{block}.self_attn:matmul",
        f"{block}.self_attn:matmul_2",
        f"{block}.self_attn.out_proj",
        f"{block}.linear1",
        f"{block}.linear2",
        "head",
    ]
    assert {layer.count for name, layer in names.items() if name.startswith(block)} == {2}
    assert sizes(names[f"{block}.self_attn:matmul"]) == {"G": 8, "N": 17, "C": 4, "M": 17}
    assert workload.norm_channels == 0  # layer norms are none of the batch norms
    assert workload.weights + workload.other_parameters == workload.parameters


def test_a_kernel_that_is_an_activation() -> None:
    def correlate(m: nn.Module, x: Tensor) -> Tensor:
        kernels = x[:, :, :3, :3].reshape(8, 1, 3, 3)
        return F.conv2d(m.conv(x).reshape(1, 8, 6, 6), kernels, groups=8)

    conv, correlation = extract(Call(correlate, conv=nn.Conv2d(4, 4, 3)), (2, 4, 8, 8)).layers
    assert conv.weight_count == 144
    assert (correlation.names, correlation.weight_count) == (("Call:convolution",), 0)
    assert sizes(correlation) == {"G": 8, "R": 3, "S": 3, "P": 4, "Q": 4}


def test_equal_problems_are_merged_in_order() -> None:
    convs = [nn.Conv2d(4, 4, 3, padding=1) for _ in range(3)]
    model = nn.Sequential(convs[0], nn.Conv2d(4, 4, 1), convs[1], nn.ReLU(), convs[2])
    workload = extract(model, (1, 4, 6, 6))
    assert [(layer.names, layer.count) for layer in workload.layers] == [(("0", "2", "4"), 3), (("1",), 1)]
    assert [(layer.weight_count, layer.stored_weights) for layer in workload.layers] == [(144, 432), (16, 16)]
    assert workload.macs == 3 * 144 * 36 + 16 * 36


def test_a_module_that_runs_twice_is_stored_once() -> None:
    shared = nn.Conv2d(4, 4, 3, padding=1)
    workload = extract(nn.Sequential(shared, shared, nn.MaxPool2d(2), shared), (1, 4, 8, 8))
    assert [(layer.names, layer.stored_weights) for layer in workload.layers] == [(("0", "0"), 144), (("0",), 0)]
    assert (workload.weights, workload.other_parameters, workload.parameters) == (144, 4, 148)


def test_tied_weights_are_stored_once_and_named_where_they_run() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(11, 5)
            self.head = nn.Linear(5, 11, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(self.embed(tokens))

    workload = extract(Tied(), torch.zeros(1, 4, dtype=torch.long))
    assert [layer.names for layer in workload.layers] == [("head",)]
    assert (workload.parameters, workload.weights, workload.other_parameters) == (55, 55, 0)
    assert workload.input_shape == (1, 4)


def test_a_weight_that_one_layer_switches_and_another_keeps_is_stored_by_the_first() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(4, 4, 3, bias=False))
    model[2].weight = model[0].weight
    convert(model, QuantConfig(precisions=(2, 8), last=None))
    found = extract(model, (1, 4, 8, 8))
    assert [(layer.names, layer.weight_bits, layer.stored_weights) for layer in found.layers] == [
        (("0",), 32, 0),
        (("2",), 8, 144),
    ]
    assert found.weights == found.parameters == 144


def test_quantized_projections_are_found_by_their_name() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = convert(nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), QuantConfig(first=None, last=None))
    layers = extract(model, (1, 3, 8)).layers
    found = {name: (layer.weight_bits, layer.fixed_bits) for layer in layers for name in layer.names}
    assert found["layers.0.self_attn.in_proj_weight"] == (8, False)


def test_parametrized_weights_keep_their_layers_name() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    nn.utils.parametrizations.weight_norm(model[0])
    workload = extract(model, (1, 3, 8, 8))
    assert workload.layers[0].names == ("0",)
    assert (workload.weights, workload.other_parameters) == (108, 4 + 4)  # bias, and a norm per output channel


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    "computed",
    [
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        nn.utils.parametrizations.spectral_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
)
def test_so_do_weights_that_hooks_compute(computed: Any) -> None:
    workload = extract(nn.Sequential(computed(nn.Conv2d(3, 4, 3))), (1, 3, 8, 8))
    assert [layer.names for layer in workload.layers] == [("0",)]
    assert (workload.macs, workload.weights) == (3888, 108)


class Tied(nn.Module):
    def __init__(self, read: Any) -> None:
        super().__init__()
        self.look, self.fc, self.read = nn.Embedding(20, 8), nn.Linear(8, 8), read

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.read(self.fc(self.look(ids)), self.look.weight)
        return found


@pytest.mark.parametrize(
    ("read", "columns"),
    [
        (lambda h, w: h @ w.T, 20),
        (lambda h, w: nn.functional.linear(h, w), 20),
        (lambda h, w: torch.einsum("bsd,vd->bsv", h, w), 20),
        (lambda h, w: h @ w.T.contiguous(), 20),
        (lambda h, w: nn.functional.linear(h, w.view(20, 8)[:10]), 10),
        (lambda h, w: sum(nn.functional.linear(h, part) for part in w.chunk(2)), 20),
        (lambda h, w: h @ w[:8, :8], 8),
    ],
)
def test_tied_weights_are_stored_once_however_they_are_turned_and_cut(read: Any, columns: int) -> None:
    workload = extract(Tied(read), {"ids": torch.zeros(1, 5, dtype=torch.int64)})
    assert workload.macs == 5 * 8 * 8 + 5 * 8 * columns
    assert workload.weights == 64 + 8 * columns
    assert {name for layer in workload.layers for name in layer.names} == {"fc", "look"}
    assert workload.parameters == 160 + 64 + 8


def test_a_weight_that_is_read_both_ways_is_stored_once() -> None:
    workload = extract(Tied(lambda h, w: (h @ w.T) @ w), {"ids": torch.zeros(1, 5, dtype=torch.int64)})
    assert (workload.macs, workload.weights) == (320 + 2 * 800, 64 + 160)


def test_batch_norms_and_parameters_that_did_not_run() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.LayerNorm(128))
    model.add_module("shortcut", Call(lambda m, x: x, unused=nn.Linear(128, 2), norm=nn.BatchNorm1d(2)))
    workload = extract(model, (1, 3, 6, 6))
    assert workload.norm_channels == 8
    assert workload.norm_parameters == 16 + 4
    assert workload.weights == 216
    assert workload.other_parameters == 8 + 256 + 258
    assert workload.parameters == 216 + 20 + 522


class Written(nn.Module):
    """Computes with a buffer that it writes the input into, through a view of a view."""

    def __init__(self, empty: Callable[..., torch.Tensor], inference: bool) -> None:
        super().__init__()
        self.linear, self.empty, self.inference = nn.Linear(4, 4, bias=False), empty, inference

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(self.inference):
            buffer = self.empty(2, 4)
            buffer[:, :3][:, 1:] = x[:, :2]
            y = self.linear(buffer)
            return y @ y.mT


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("empty", [torch.zeros, torch.empty])
def test_a_buffer_that_the_input_is_written_into(empty: Callable[..., torch.Tensor], inference: bool) -> None:
    found = extract(Written(empty, inference), (2, 4))
    assert (found.macs, found.weights) == (2 * 4 * 4 + 2 * 4 * 2, 16)
    assert [layer.names for layer in found.layers] == [("linear",), ("Written:matmul",)]


def test_inference_mode_inside_the_model() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        with torch.inference_mode():
            return m.layer(x)

    assert extract(Call(forward, layer=nn.Linear(4, 4)), (2, 3, 4)).macs == 96


def test_half_precision_and_meta_models() -> None:
    assert extract(nn.Linear(4, 4).bfloat16(), (2, 4)).macs == 32
    assert extract(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to("meta"), (1, 3, 5, 5)).macs == 972


def test_the_model_and_the_random_numbers_are_left_as_they_were() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    model[1].eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    noisy = Call(lambda m, x: m.net(x + torch.rand_like(x)), net=model)
    extract(noisy, (1, 3, 8, 8))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in noisy.modules())


def test_the_model_is_left_as_it_was_when_it_raises() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(4, 4))
    with pytest.raises(TqhwError):
        extract(model, (1, 3))
    assert model.training
    assert torch.is_grad_enabled()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_an_exception_that_the_model_handles_itself() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        try:
            return m.wrong(x)
        except RuntimeError:
            return m.right(x)

    model = Call(forward, wrong=nn.Linear(9, 9), right=nn.Linear(4, 2))
    assert [layer.names for layer in extract(model, (1, 4)).layers] == [("right",)]


def test_the_result_does_not_depend_on_the_run() -> None:
    model = TinyTransformer()
    assert extract(model, (1, 3, 16, 16)) == extract(model, (1, 3, 16, 16))


def test_a_model_may_ask_for_a_fused_attention_only_to_be_refused() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        q = m.layer(x).view(1, 2, 4, 8)
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return F.scaled_dot_product_attention(q, q, q)

    with pytest.raises(TqhwError, match=r"1 of its operations cannot be mapped: Call \(Call: fused attention\)"):
        extract(Call(forward, layer=nn.Linear(8, 8)), (8, 8))
