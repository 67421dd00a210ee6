"""Weights are told from activations by what went into them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from tests.workload.nets import Call, parameter  # noqa: E402
from tqhw.workload import extract  # noqa: E402


def padded(m: nn.Module, x: Tensor) -> Tensor:
    """Writes the input into zeros made on the spot, through a view."""
    buffer = torch.zeros(2, 6, 4)
    buffer[:, :5] = x
    return m.layer(buffer) @ buffer.mT


def padded_late(m: nn.Module, x: Tensor) -> Tensor:
    """The same, with a view that is older than the writing."""
    buffer = torch.zeros(2, 6, 4)
    older = buffer.mT
    buffer[:, :5].copy_(x)
    return m.layer(buffer) @ older


@pytest.mark.parametrize("forward", [padded, padded_late])
def test_what_the_input_was_written_into_is_an_activation(forward: Callable[..., Tensor]) -> None:
    linear, product = extract(Call(forward, layer=nn.Linear(4, 4)), (2, 5, 4)).layers
    assert (linear.names, linear.weight_count) == (("layer",), 16)
    assert (product.names, product.weight_count) == (("Call:matmul",), 0)


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: F.linear(x, m.w),
        lambda m, x: F.linear(x, m.w.data),
        lambda m, x: F.linear(x, m.w.detach() * 2),
        lambda m, x: F.linear(x, torch.round(torch.tanh(m.w) * 7) / 7),
        lambda m, x: x @ m.w.mT.contiguous(),
        lambda m, x: F.linear(x, torch.cat([m.w[:3], m.w[3:]])),
        lambda m, x: (m.w @ x.mT).mT,
    ],
    ids=["itself", "data", "scaled", "quantized", "transposed", "cut and joined", "on the left"],
)
def test_whatever_is_made_of_parameters_is_a_weight(forward: Callable[..., Tensor]) -> None:
    workload = extract(Call(forward, w=parameter(7, 5)), (3, 5))
    (layer,) = workload.layers
    assert (layer.names, layer.weight_count, layer.stored_weights) == (("w",), 35, 35)
    assert layer.problem.bounds == {"C": 5, "M": 7, "R": 1, "S": 1, "N": 3, "P": 1, "Q": 1, "G": 1}
    assert workload.other_parameters == 0


def test_a_weight_and_its_scale() -> None:
    model = Call(lambda m, x: F.linear(x, m.w * m.scale), w=parameter(7, 5), scale=parameter(7, 1))
    workload = extract(model, (3, 5))
    assert workload.layers[0].names == ("w",)
    assert (workload.weights, workload.other_parameters) == (35, 7)


def test_constants_are_folded_and_said_so() -> None:
    model = Call(lambda m, x: F.linear(x, m.a @ m.b), a=parameter(7, 2), b=parameter(2, 5))
    workload = extract(model, (3, 5))
    assert workload.folded == ("Call",)
    assert workload.notes[0].endswith("40 % of the multiply-accumulates; it is made of parameters and buffers alone")
    assert [layer.names for layer in workload.layers] == [("Call:matmul",)]
    assert (workload.macs, workload.weights, workload.other_parameters) == (105, 35, 0)


def test_buffers_are_constants_but_not_parameters() -> None:
    model = Call(lambda m, x: m.layer(x @ m.basis), layer=nn.Linear(5, 2, bias=False))
    model.register_buffer("basis", torch.ones(5, 5))
    workload = extract(model, (3, 5))
    assert [layer.weight_count for layer in workload.layers] == [25, 10]
    assert (workload.parameters, workload.weights, workload.other_parameters) == (10, 35, 0)


def test_a_repeated_parameter_is_stored_once() -> None:
    blur = Call(lambda m, x: F.conv2d(x, m.kernel.expand(4, 1, 3, 3), groups=4), kernel=parameter(1, 1, 3, 3))
    (layer,) = extract(blur, (1, 4, 8, 8)).layers
    assert (layer.names, layer.weight_count, layer.stored_weights) == (("kernel",), 36, 9)
