"""Models and inputs that cannot be taken: one message that says what and where."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from tests.workload.nets import Call, parameter  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.workload import extract  # noqa: E402


def refusal(model: nn.Module, shape: object, name: str | None = "net") -> str:
    with pytest.raises(TqhwError) as caught:
        extract(model, shape, name=name)
    return str(caught.value)


class Zoo(nn.Module):
    """Everything that is not supported, and some that is, in one model."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(8, 8)
        self.pair = nn.Bilinear(8, 8, 2)
        self.inside = nn.ModuleDict({"solver": Call(lambda m, x: torch.linalg.solve(m.basis, x.mT).mT)})
        self.inside["solver"].register_buffer("basis", torch.eye(8))
        self.graph = Call(lambda m, x: m.links @ x)
        self.graph.register_buffer("links", torch.eye(4).to_sparse())
        self.spectrum = Call(lambda m, x: (torch.fft.rfft(x) @ m.w).abs(), w=parameter(5, 8))
        self.spectrum.w = nn.Parameter(torch.randn(5, 8, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        x = self.inside["solver"](self.stem(x))
        return self.pair(self.spectrum(self.graph(x)), x)


def test_everything_unsupported_is_listed_at_once_with_its_place() -> None:
    assert refusal(Zoo(), (4, 8)) == (
        "model net: 4 of its operations cannot be mapped: "
        "inside.solver (Call: linear solve); graph (Call: sparse product); spectrum (Call: complex product); "
        "pair (Bilinear: bilinear form) "
        "(supported are convolutions, Linear, recurrent layers, matrix products and attention; "
        "or leave it out, visibly, with --skip PATTERN, of a place or of aten._linalg_solve_ex or aten.mm or "
        "aten._trilinear)"
    )


def test_an_operator_of_another_library_is_not_guessed() -> None:
    library = torch.library.Library("tqhw_test", "DEF")
    library.define("mystery(Tensor a, Tensor b) -> Tensor")
    library.impl("mystery", lambda a, b: a.clone(), "CPU")
    library.define("scale(Tensor a, Tensor b) -> Tensor")
    library.impl("scale", lambda a, b: a * 2, "CPU")
    ops = torch.ops.tqhw_test

    def forward(m: nn.Module, x: Tensor) -> Tensor:
        return m.layer(ops.scale(ops.mystery(x, m.w), m.step))

    model = Call(forward, layer=nn.Linear(4, 4), w=parameter(4, 4), step=parameter(1))
    assert "1 of its operations cannot be mapped: Call (Call: operator tqhw_test.mystery)" in refusal(model, (2, 4))
    library._destroy()


def test_a_constant_convolved_with_an_activation() -> None:
    model = Call(lambda m, x: F.conv2d(m.image, m.layer(x)), layer=nn.Linear(3, 3), image=parameter(1, 1, 8, 8))
    assert "Call (Call: convolution of a constant by an activation)" in refusal(model, (1, 1, 3, 3))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), "no quantizable layer: no product with weights ran ("),
        (nn.Sequential(), "no quantizable layer: no product with weights ran ("),
        (
            Call(lambda m, x: x @ x.mT, idle=nn.Linear(2, 2)),
            "no quantizable layer: no product with weights ran, only 1 of activations (",
        ),
        (
            Call(lambda m, x: m.net(torch.ones(1, 3, 4, 4)), net=nn.Conv2d(3, 3, 3)),
            "no quantizable layer: no product with weights ran (",  # the input does not matter to it
        ),
    ],
)
def test_no_quantizable_layer(model: nn.Module, message: str) -> None:
    assert refusal(model, (1, 3, 4, 4)).startswith(f"model net: {message}")


def test_weights_that_are_not_finite() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        model[1].weight[0, 0] = math.nan
        model[0].bias[1] = math.inf
        model[2].running_var[0] = math.nan
    assert refusal(model, (3, 2)) == (
        "model net: NaN or infinite numbers in 0.bias, 1.weight, 2.running_var (load weights that training left finite)"
    )


def test_many_weights_that_are_not_finite_are_counted() -> None:
    model = nn.Sequential(*[nn.Linear(2, 2, bias=False) for _ in range(7)])
    with torch.no_grad():
        for layer in model:
            layer.weight.fill_(math.nan)
    assert "in 0.weight, 1.weight, 2.weight, 3.weight, 4.weight and 2 more (" in refusal(model, (1, 2))


def test_infinite_masks_are_no_fault() -> None:
    model = Call(lambda m, x: torch.softmax(m.layer(x) + m.mask, -1), layer=nn.Linear(2, 2))
    model.register_buffer("mask", torch.tensor([0.0, -math.inf]))
    assert extract(model, (1, 2)).macs == 4


def test_lazy_layers() -> None:
    message = "model net: 0.weight, 0.bias not initialized: the sizes of lazy layers are not known yet"
    assert refusal(nn.Sequential(nn.LazyLinear(3)), (1, 2)).startswith(message)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 4, 8, 8), "on an input of 1,4,8,8 the forward pass raised RuntimeError: Given groups=1, weight of size"),
        ((1, 3, 2, 2), "on an input of 1,3,2,2 the forward pass raised RuntimeError: Calculated padded input size"),
        ((3,), "on an input of 3 the forward pass raised RuntimeError: Expected 3D (unbatched) or 4D (batched)"),
        ((10**9, 10**9), "an input of shape 1000000000,1000000000 cannot be made: RuntimeError"),
        ((2**62, 2**62), "an input of shape 4611686018427387904,4611686018427387904 cannot be made: RuntimeError"),
    ],
)
def test_inputs_that_the_model_refuses(shape: tuple[int, ...], message: str) -> None:
    assert refusal(nn.Conv2d(3, 4, 3), shape).startswith(f"model net: {message}")


def test_inputs_of_the_wrong_type_point_to_the_way_out() -> None:
    text = refusal(nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4)), (1, 3, 2, 2))
    assert "on an input of 1,3,2,2 the forward pass raised RuntimeError: Expected tensor for argument #1" in text
    told = "in 0 (Embedding) (give what the forward pass takes, batch first, as in --input input:TYPE[SHAPE]; "
    assert f"{told}of an experiment it is model.input)" in text


def test_what_raises_is_told_with_its_place() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        return x + m.parts["scale"]

    model = nn.Sequential(nn.Linear(2, 2), Call(forward, parts=nn.ModuleDict()))
    assert "on an input of 1,2 the forward pass raised KeyError: 'scale', in 1 (Call) (" in refusal(model, (1, 2))


@pytest.mark.parametrize("shape", [(1, 0, 8, 8), (1, 3, -8, 8), (1, 3, math.nan, 8), (1, 3.0, 8, 8), ()])
def test_shapes_that_are_none(shape: tuple[object, ...]) -> None:
    assert refusal(nn.Conv2d(3, 4, 3), shape).startswith("input")


def test_the_models_own_error_comes_through() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        raise TqhwError("there is no batch norm for 3 bits", place="bits")

    assert refusal(Call(forward), (1, 2)) == "bits: there is no batch norm for 3 bits"


def test_an_exception_without_text() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        raise NotImplementedError

    assert "on an input of 1,2 the forward pass raised NotImplementedError, in Call (" in refusal(Call(forward), (1, 2))


def test_a_model_without_a_name_goes_by_its_class() -> None:
    assert refusal(nn.ReLU(), (1,), name=None).startswith("model ReLU: ")


def test_nested_tensors_inside_of_a_model_are_told_with_their_place() -> None:
    parts = Call(lambda m, x: m.inner(torch.nested.nested_tensor([x[:1], x])).to_padded_tensor(0.0))
    parts.inner = nn.Linear(8, 4)
    text = refusal(parts, (2, 8))
    assert "inner (Linear): nested tensors reach aten.linear" in text and "(pad them" in text


def test_a_branch_on_the_input_is_the_one_that_runs() -> None:
    model = Call(lambda m, x: torch.cond(x.sum() > 1e9, lambda x: m.large(x), lambda x: m.small(x), (x,)))
    model.large, model.small = nn.Sequential(nn.Linear(8, 64), nn.Linear(64, 4)), nn.Linear(8, 4)
    found = extract(model, (2, 8))
    assert [layer.names for layer in found.layers] == [("small",)] and found.macs == 2 * 8 * 4


def test_a_higher_order_operator_that_is_not_known_is_refused() -> None:
    def forward(m: Call, x: Tensor) -> Tensor:
        body = torch.ops.higher_order.while_loop
        return body(lambda i, y: i < 3, lambda i, y: (i + 1, m.inner(y)), (torch.tensor(0), x), ())[1]

    model = Call(forward)
    model.inner = nn.Linear(8, 8)
    assert "higher-order operator while_loop is not known" in refusal(model, (2, 8))


def test_the_operator_to_skip_is_named_and_skipping_it_helps() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        rows = m.fc(x)
        lower = torch.tril(rows @ rows.mT) + 9 * torch.eye(5)
        return torch.linalg.solve(lower, rows)

    model = Call(forward, fc=nn.Linear(4, 4))
    with pytest.raises(TqhwError, match=r"linear solve.*with --skip PATTERN, of a place or of aten._linalg_solve_ex"):
        extract(model, (5, 4))
    workload = extract(model, (5, 4), skip=["aten._linalg_solve_ex"])
    assert workload.macs == 5 * 4 * 4 + 5 * 5 * 4
