"""Every kind of layer against a count by hand or by PyTorch, and what is said where nothing is counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from tests.workload.nets import Call, parameter  # noqa: E402
from tests.workload.test_counts import counted_macs  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.spec import load_problem  # noqa: E402
from tqhw.workload import extract, write  # noqa: E402


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.ConvTranspose2d(8, 4, 2, 2), (1, 8, 14, 14)),
        (nn.ConvTranspose2d(6, 9, (4, 3), (2, 1), padding=1, groups=3, bias=False), (2, 6, 5, 7)),
        (nn.ConvTranspose2d(8, 4, 4, 1), (1, 8, 1, 1)),
        (nn.ConvTranspose1d(4, 6, 5, 3), (2, 4, 9)),
        (nn.ConvTranspose3d(4, 6, 3, 2, output_padding=1), (1, 4, 3, 4, 5)),
        (nn.Conv3d(3, 8, (3, 5, 1), stride=(2, 1, 3), padding=(1, 0, 2), dilation=(1, 2, 1)), (2, 3, 6, 11, 7)),
        (nn.Conv3d(6, 6, 3, groups=6, bias=False), (1, 6, 4, 4, 4)),
    ],
)
def test_transposed_and_3d_convolutions(model: nn.Module, shape: tuple[int, ...], tmp_path) -> None:
    workload = extract(model, shape)
    (layer,) = workload.layers
    assert workload.macs == counted_macs(model, shape)
    assert layer.weight_count == layer.stored_weights == workload.weights == model.weight.numel()
    spaces = {space.name: space for space in layer.problem.shape.data_spaces}
    assert layer.problem.tensor_words(spaces["Weights"]) == model.weight.numel()
    if isinstance(model, nn.Conv3d):
        assert layer.problem.tensor_words(spaces["Outputs"]) == model(torch.zeros(shape)).numel()
    else:
        assert layer.problem.tensor_words(spaces["Inputs"]) == math.prod(shape)
    write(workload, tmp_path)
    (file,) = tmp_path.glob("*.yaml")
    assert load_problem(file).computes == workload.macs


def test_a_3d_convolution_has_depth_in_f_and_t() -> None:
    model = nn.Conv3d(3, 8, (3, 5, 1), stride=(2, 1, 3), padding=(1, 0, 2), dilation=(1, 2, 1))
    problem = extract(model, (2, 3, 6, 11, 7)).layers[0].problem
    assert problem.shape.name == "conv3d"
    sizes = {"C": 3, "M": 8, "R": 1, "S": 5, "T": 3, "N": 2, "P": 4, "Q": 3, "F": 3, "G": 1}
    assert problem.bounds == sizes
    steps = {"Wstride": 3, "Hstride": 1, "Dstride": 2, "Wdilation": 1, "Hdilation": 2, "Ddilation": 1}
    assert problem.coefficients == steps


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
@pytest.mark.parametrize(("layers", "both"), [(1, False), (2, True)])
def test_recurrent_layers(kind: Callable[..., nn.Module], gates: int, layers: int, both: bool) -> None:
    inputs, hidden, batch, steps = 6, 5, 3, 7
    model = Call(
        lambda m, x: m.out(m.memory(x)[0]),
        memory=kind(inputs, hidden, layers, bidirectional=both, batch_first=True),
        out=nn.Linear(hidden * (1 + both), 4),
    )
    directions = 1 + both
    sizes = [inputs, *[hidden * directions] * (layers - 1)]
    weights = sum(directions * gates * hidden * (size + hidden) for size in sizes)
    workload = extract(model, (batch, steps, inputs))
    last = hidden * directions * 4
    assert workload.macs == batch * steps * (weights + last)
    assert workload.weights == weights + last
    assert workload.other_parameters == workload.parameters - workload.weights
    state = [layer for layer in workload.layers if "memory.weight_hh_l0" in layer.names]
    assert [layer.names.count("memory.weight_hh_l0") for layer in state] == [steps]
    assert state[0].problem.bounds["N"] == batch
    meta = extract(model.to("meta"), (batch, steps, inputs))
    assert (meta.macs, meta.weights) == (workload.macs, workload.weights)


def test_a_packed_sequence_computes_what_is_there() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        return m.memory(nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 2]), batch_first=True))[0].data

    workload = extract(Call(forward, memory=nn.LSTM(4, 3, batch_first=True)), (2, 5, 4))
    assert workload.macs == 7 * 12 * (4 + 3)
    assert workload.weights == 12 * (4 + 3)


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
def test_cells_and_projections() -> None:
    model = Call(lambda m, x: m.memory(m.cell(x)[None])[0], cell=nn.GRUCell(4, 5), memory=nn.LSTM(5, 6, proj_size=2))
    workload = extract(model, (3, 4))
    assert workload.macs == 3 * (15 * (4 + 5) + 24 * (5 + 2) + 6 * 2)
    assert workload.weights == 15 * 9 + 24 * 7 + 12


@pytest.mark.parametrize(
    ("forward", "macs", "weights"),
    [
        (lambda m, x: torch.conv_tbc(x.view(1, 4, 5), m.w.view(1, 5, 7), x.new_zeros(7)), 4 * 35, 35),
        (lambda m, x: torch.addr(x.new_zeros(4, 35), x[:, 0], m.w.view(35)), 4 * 35, 35),
        (lambda m, x: torch.vdot(x[0], m.w[0]), 5, 5),
        (lambda m, x: torch.cdist(x, m.w), 4 * 35, 35),
        (lambda m, x: torch._euclidean_dist(x, m.w), 4 * 35, 35),
        (lambda m, x: torch.addbmm(x.new_zeros(4, 7), x.expand(2, 4, 5), m.w.mT.expand(2, 5, 7)), 2 * 4 * 35, 35),
        (lambda m, x: torch._int_mm(x.to(torch.int8).repeat(8, 1), m.w.mT.to(torch.int8)), 32 * 35, 35),
        (lambda m, x: F.linear(x, m.w).sum() + F.linear(F.linear(x, m.w), m.w.t()), 3 * 4 * 35, 35),
        (lambda m, x: torch._weight_int8pack_mm(x, m.w.to(torch.int8), m.scales), 4 * 35, 35),
    ],
    ids=["conv_tbc", "addr", "vdot", "cdist", "distance", "addbmm", "int", "tied", "int8"],
)
def test_operators_that_few_know(forward: Callable[..., Tensor], macs: int, weights: int) -> None:
    model = Call(forward, w=parameter(7, 5))
    model.register_buffer("scales", torch.ones(7))
    workload = extract(model, (4, 5))
    assert (workload.macs, workload.weights) == (macs, weights)
    assert {layer.names[0] for layer in workload.layers} == {"w"}


def small() -> nn.Sequential:
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), *head).eval()


SMALL = {("0",): 6 * 27 * 36, ("5",): 48, ("7",): 24}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda m: torch.jit.trace(m, torch.zeros(1, 3, 8, 8)),
        lambda m: torch.jit.script(m),
        lambda m: torch.export.export(m, (torch.zeros(1, 3, 8, 8),)),
        lambda m: torch.export.export(m, (torch.zeros(2, 3, 8, 8),), dynamic_shapes=({0: torch.export.Dim("n")},)),
        lambda m: torch.fx.symbolic_trace(m),
        torch.compile,
        lambda m: nn.Sequential(*[torch.compile(part) for part in m]),
    ],
    ids=["traced", "scripted", "exported", "of any batch", "fx", "compiled", "compiled parts"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_programs_have_the_layers_of_the_model(wrap: Callable[[nn.Module], nn.Module]) -> None:
    workload = extract(wrap(small()), (1, 3, 8, 8))
    assert {layer.names: layer.macs for layer in workload.layers} == SMALL
    assert workload.weights == 6 * 27 + 48 + 24


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_frozen_script_has_layers_without_names() -> None:
    """Its weights are constants, and its modules know no mode."""
    workload = extract(torch.jit.freeze(torch.jit.script(small().eval())), (1, 3, 8, 8))
    assert sorted(layer.macs for layer in workload.layers) == sorted(SMALL.values())
    assert (workload.weights, workload.parameters) == (6 * 27 + 48 + 24, 0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_dynamically_quantized_layers_are_counted_with_their_bits() -> None:
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("no engine for quantized products in this PyTorch")
    model = torch.ao.quantization.quantize_dynamic(small(), {nn.Linear}, dtype=torch.qint8)
    workload = extract(model, (1, 3, 8, 8))
    assert {layer.names: layer.macs for layer in workload.layers} == SMALL
    assert [(layer.weight_bits, layer.fixed_bits) for layer in workload.layers] == [(None, False), (8, True), (8, True)]
    assert workload.weights == 6 * 27 + 48 + 24


@pytest.mark.parametrize(
    ("rows", "routing", "sizes", "weights"),
    [
        (8, None, [(2, 4)], 1024),
        (7, None, [(1, 4), (1, 3)], 1024),
        (1, None, [(1, 1)], 1024),
        (8, (3, 1), [(1, 6), (1, 2)], 1024),
        (8, (0, 1), [(1, 8)], 1024),
    ],
)
def test_stacked_experts(
    rows: int, routing: tuple[int, ...] | None, sizes: list[tuple[int, int]], weights: int
) -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        return F.grouped_mm(x.bfloat16(), m.w.bfloat16(), offs=m.offs)

    model = Call(forward, w=parameter(2, 16, 32))
    model.register_buffer("offs", torch.tensor([1, rows], dtype=torch.int32))
    workload = extract(model, (rows, 16), routing=routing)
    assert [(layer.problem.bounds["G"], layer.problem.bounds["N"]) for layer in workload.layers] == sizes
    assert {layer.names for layer in workload.layers} == {("w",)}
    assert workload.macs == rows * 16 * 32
    assert (workload.weights, workload.other_parameters) == (weights, 0)
    how = "as given" if routing else "as equally as possible, an assumption"
    assert workload.notes == (f"w: {rows} rows are routed between 2 experts, {how}",)


def test_experts_that_the_input_picks_from_a_stack() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        chosen = m.gate(x).argmax(-1)
        return torch.bmm(m.w[chosen], x[..., None])[..., 0]

    workload = extract(Call(forward, gate=nn.Linear(8, 3, bias=False), w=parameter(3, 6, 8)), (5, 8))
    assert workload.macs == 5 * 8 * 3 + 5 * 6 * 8
    assert (workload.weights, workload.other_parameters) == (24 + 144, 0)
    sizes = [(layer.names, layer.problem.bounds["G"], layer.problem.bounds["N"]) for layer in workload.layers]
    assert sizes == [(("gate",), 1, 5), (("w",), 2, 2), (("w",), 1, 1)]


def test_a_routing_of_other_experts() -> None:
    model = Call(lambda m, x: F.grouped_mm(x, m.w, offs=m.offs), w=parameter(2, 16, 32))
    model.register_buffer("offs", torch.tensor([1, 8], dtype=torch.int32))
    with pytest.raises(TqhwError, match="routing at w: 3 shares for 2 experts"):
        extract(model, (8, 16), routing=(1, 1, 1))


def test_an_expert_without_tokens_is_no_layer_and_said_so() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        first = (x[:, 0] < 99).long()
        return torch.cat([expert(x[first == i]) for i, expert in enumerate(m.experts)])

    workload = extract(Call(forward, experts=nn.ModuleList(nn.Linear(8, 8) for _ in range(2))), (4, 8))
    assert [layer.names for layer in workload.layers] == [("experts.1",)]
    assert workload.notes == ("no layer, as it ran on no rows: experts.0",)
    assert (workload.weights, workload.other_parameters) == (64, 8 + 72)


def test_what_is_made_inside_is_computed_once_and_said_so(tmp_path) -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        return m.c(torch.cat([m.a(x), m.b(torch.ones(len(x), 8))], -1))

    model = Call(forward, a=nn.Linear(8, 16), b=nn.Linear(8, 16), c=nn.Linear(32, 2))
    workload = extract(model, (1, 8))
    assert (workload.macs, workload.folded, workload.folded_macs) == (128 + 64, ("b",), (128,))
    (note,) = workload.notes
    assert note.startswith("computed once, of constants, and no layer: b, 40 % of the multiply-accumulates; ")
    assert note.endswith("; give it as an input of the model")


def by_substitution(lower: Tensor, sides: Tensor) -> tuple[Tensor, int]:
    """The solution row by row, and how many multiply-accumulates that took."""
    rows, macs = [], 0
    for i in range(lower.shape[0]):
        row = sides[i].clone()
        for j in range(i):
            row -= lower[i, j] * rows[j]
            macs += row.numel()
        rows.append(row / lower[i, i])
    return torch.stack(rows), macs


@pytest.mark.filterwarnings("ignore:torch.triangular_solve is deprecated")
@pytest.mark.parametrize(("size", "columns"), [(1, 4), (2, 1), (5, 3), (8, 2), (13, 4)])
@pytest.mark.parametrize("way", ["left", "right", "old"])
def test_a_triangular_solve_is_counted_as_substitution(size: int, columns: int, way: str) -> None:
    def forward(m: Call, x: Tensor) -> Tensor:
        lower, sides = torch.tril(x @ x.mT) + 9 * torch.eye(size), m.fc(x)
        if way == "left":
            return torch.linalg.solve_triangular(lower, sides, upper=False)
        if way == "right":
            return torch.linalg.solve_triangular(lower, sides.mT, upper=False, left=False)
        return torch.triangular_solve(sides, lower, upper=False).solution

    model = Call(forward, fc=nn.Linear(6, columns, bias=False))
    rows = torch.randn(size, 6)
    lower, sides = torch.tril(rows @ rows.mT) + 9 * torch.eye(size), model.fc(rows).detach()
    solved, macs = by_substitution(lower, sides)
    torch.testing.assert_close(solved, torch.linalg.solve_triangular(lower, sides, upper=False))
    workload = extract(model, (size, 6))
    products = size * 6 * (size + columns)
    assert workload.macs - products == macs == columns * size * (size - 1) // 2
    assert workload.weights == 6 * columns
    batched = extract(Call(forward, fc=model.fc), (2, 3, size, 6))
    assert batched.macs == 6 * workload.macs


def test_a_triangle_that_is_a_weight_is_stored_once() -> None:
    def forward(m: Call, x: Tensor) -> Tensor:
        lower = torch.tril(m.basis) + torch.eye(9)
        return torch.linalg.solve_triangular(lower, torch.linalg.solve_triangular(lower, x, upper=False), upper=False)

    workload = extract(Call(forward, basis=parameter(9, 9)), (9, 4))
    assert workload.macs == 2 * 4 * 9 * 8 // 2
    assert workload.weights == 9 * 8 // 2
    assert {name for layer in workload.layers for name in layer.names} == {"basis"}


def test_of_an_inverse_that_the_input_decides_nothing_is_a_weight() -> None:
    def forward(m: Call, x: Tensor) -> Tensor:
        lower = torch.tril(m.fc(x) @ x.mT) + 9 * torch.eye(4)
        return torch.linalg.solve_triangular(lower, torch.eye(4), upper=False)

    workload = extract(Call(forward, fc=nn.Linear(4, 4, bias=False)), (4, 4))
    assert (workload.weights, workload.macs) == (16, 2 * 4 * 4 * 4 + 4 * 4 * 3 // 2)


def test_a_state_that_begins_with_zeros_is_no_weight_and_its_first_step_counts() -> None:
    """Once as it stands in recurrent cells, beside a weight; once as in linear attention, beside an activation."""

    def forward(m: Call, x: Tensor) -> Tensor:
        hidden, state = torch.zeros(1, 4), x.new_zeros(4, 4).unsqueeze(0)
        for row in x.unbind(1):
            hidden = torch.tanh(m.inputs(row) + m.hidden(hidden))
            read = row.unsqueeze(1) @ state
            state = 0.5 * state + hidden.unsqueeze(-1) * row.unsqueeze(-2)
        return read

    layers = {name: nn.Linear(4, 4, bias=False) for name in ("inputs", "hidden")}
    workload = extract(Call(forward, **layers), (1, 5, 4))
    assert (workload.weights, workload.macs, workload.folded) == (2 * 16, 3 * 5 * 16, ())


def test_zeros_that_a_weight_is_written_into_are_a_weight() -> None:
    def forward(m: Call, x: Tensor) -> Tensor:
        padded = torch.zeros(8, 4)
        padded[:6] = m.basis
        return x @ padded.mT

    workload = extract(Call(forward, basis=parameter(6, 4)), (3, 4))
    assert (workload.macs, workload.layers[0].has_weights) == (3 * 8 * 4, True)


def test_random_numbers_are_an_input() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        return m.c(torch.cat([m.a(x), m.b(torch.randn(len(x), 8))], -1))

    workload = extract(Call(forward, a=nn.Linear(8, 16), b=nn.Linear(8, 16), c=nn.Linear(32, 2)), (1, 8))
    assert (workload.macs, workload.folded) == (128 + 128 + 64, ())


def test_a_weight_that_is_drawn_is_a_weight() -> None:
    model = Call(lambda m, x: F.linear(x, m.w + torch.randn(7, 5)), w=parameter(7, 5))
    assert [layer.weight_count for layer in extract(model, (3, 5)).layers] == [35]


@pytest.mark.parametrize(
    ("forward", "why"),
    [
        (
            lambda m, x: m.net(torch.full((1, 4), float(x.sum()))),
            r"the input's values leave PyTorch in Call \(int\(\), item\(\), tolist\(\)\)",
        ),
        (
            lambda m, x: m.net(torch.from_numpy(x.numpy())),
            r"the input does not reach it \(made inside, or turned to NumPy\)",
        ),
    ],
)
def test_all_folded_is_an_error_that_says_why(forward: Callable[..., Tensor], why: str) -> None:
    with pytest.raises(TqhwError, match=r"no product with weights ran \(all of it is computed once, .* in net: " + why):
        extract(Call(forward, net=nn.Linear(4, 4)), (1, 4))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_packed_weights_of_an_unknown_operator_are_refused() -> None:
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("no engine for quantized products in this PyTorch")
    packed = torch.ops.quantized.conv2d_prepack(
        torch.quantize_per_tensor(torch.randn(2, 3, 3, 3), 0.1, 0, torch.qint8), None, [1, 1], [0, 0], [1, 1], 1
    )
    library = torch.library.Library("tqhw_packed", "DEF")
    library.define("run(Tensor x, __torch__.torch.classes.quantized.Conv2dPackedParamsBase w) -> Tensor")
    library.impl("run", lambda x, w: x.clone(), "CPU")
    model = Call(lambda m, x: torch.ops.tqhw_packed.run(m.layer(x), packed), layer=nn.Linear(4, 4))
    with pytest.raises(TqhwError, match=r"Call \(Call: operator tqhw_packed.run\)"):
        extract(model, (1, 3, 4, 4))
    library._destroy()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_operators_that_multiply_nothing_are_no_hindrance() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        y = m.layer(x)
        a, b = (torch.quantize_per_tensor(t, 0.1, 0, torch.quint8) for t in (x, y))
        y = torch.ops.quantized.add(a, b, 0.1, 0).dequantize()
        y = F.grid_sample(y[None, None], y[None, :, :2, None].repeat(1, 1, 1, 2), align_corners=False)
        return torch.linalg.cross(y[..., :1].expand(1, 1, 4, 3), x[:, :3].expand(1, 1, 4, 3)) * m.scale

    assert extract(Call(forward, layer=nn.Linear(4, 4, bias=False), scale=parameter(4, 3)), (4, 4)).macs == 64


@pytest.mark.parametrize(
    ("pattern", "skipped"),
    [("pair", "pair (Bilinear: bilinear form)"), ("aten._trilinear", "pair (Bilinear: bilinear form)")],
)
def test_what_cannot_be_mapped_is_skipped_visibly(pattern: str, skipped: str) -> None:
    model = Call(lambda m, x: m.pair(m.layer(x), x), layer=nn.Linear(4, 4), pair=nn.Bilinear(4, 4, 2))
    workload = extract(model, (3, 4), skip=[pattern])
    assert workload.macs == 48
    assert workload.skipped == ((skipped, 0),)
    assert workload.notes == (f"left out by --skip, with its multiply-accumulates: {skipped} (not counted)",)


def test_layers_modules_and_operators_can_be_skipped() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 7)), nn.Linear(7, 8))
    workload = extract(model, (1, 4), skip=["1", "2"])
    assert [layer.names for layer in workload.layers] == [("0",)]
    assert workload.skipped == (("1.0", 30), ("1.1", 42), ("2", 56))
    with pytest.raises(TqhwError, match=r"skip: 'layer\*' matches nothing that ran \(known: 0, 1\.0, 1\.1, 2\)"):
        extract(model, (1, 4), skip=["layer*"])


def test_flattened_parameters_keep_their_names() -> None:
    model = small()
    plain = extract(model, (1, 3, 8, 8))
    vector = nn.utils.parameters_to_vector(model.parameters()).detach()
    nn.utils.vector_to_parameters(vector, model.parameters())
    assert extract(model, (1, 3, 8, 8)) == plain


@pytest.mark.parametrize("axis", [0, 1])
def test_parts_of_a_fused_matrix_keep_their_names(axis: int) -> None:
    model = Call(
        lambda m, x: m.q(x) @ m.k(x.detach()).mT @ m.v(x),
        **{name: nn.Linear(4, 4, bias=False) for name in "qkv"},
    )
    fused = torch.randn((12, 4) if axis == 0 else (4, 12))
    for name, part in zip("qkv", fused.chunk(3, axis), strict=True):
        getattr(model, name).weight = nn.Parameter(part)
    workload = extract(model, (2, 3, 4))
    assert workload.layers[0].names == ("q", "k", "v")
    assert (workload.parameters, workload.weights, workload.other_parameters) == (48, 48, 0)


def test_two_parameters_that_are_one_tensor_are_stored_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = nn.Parameter(model[0].weight.data)
    workload = extract(model, (1, 4))
    assert [layer.names for layer in workload.layers] == [("0", "1")]
    assert (workload.parameters, workload.weights, workload.other_parameters) == (16, 16, 0)


def test_a_backbone_kept_whole_and_in_parts() -> None:
    base = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    model = Call(lambda m, x: m.tail(m.head(x)), base=base, head=base[:2], tail=base[2])
    workload = extract(model, (1, 3, 8, 8))
    assert (workload.parameters, workload.weights) == (108 + 4 + 8 + 144 + 4, 108 + 144)
    assert (workload.norm_parameters, workload.other_parameters) == (8, 8)


def test_a_weight_that_a_norm_is_folded_into_counts_the_norm_once() -> None:
    def forward(m: nn.Module, x: Tensor) -> Tensor:
        scale = m.norm.weight / (m.norm.running_var + 1e-5).sqrt()
        return F.linear(m.norm(x), m.layer.weight * scale)

    workload = extract(Call(forward, layer=nn.Linear(4, 3), norm=nn.BatchNorm1d(4)), (2, 4))
    assert (workload.weights, workload.norm_parameters, workload.other_parameters) == (12, 8, 3)


class Packed(torch.Tensor):
    """A weight of int8 codes and a scale that PyTorch takes for a float tensor, as quantization libraries have them."""

    @staticmethod
    def __new__(cls, codes: Tensor, scale: Tensor) -> Packed:
        return torch.Tensor._make_wrapper_subclass(cls, codes.shape, dtype=scale.dtype)

    def __init__(self, codes: Tensor, scale: Tensor) -> None:
        self.codes, self.scale = codes, scale

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["codes", "scale"], None

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten.t.default, torch.ops.aten.detach.default):
            return Packed(func(args[0].codes), args[0].scale)
        if func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            return func(*[a.codes * a.scale if isinstance(a, Packed) else a for a in args])
        raise NotImplementedError(f"{func} of a packed tensor")


def test_weights_of_a_tensor_subclass() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3))
    codes = torch.ones(4, 6, dtype=torch.int8)
    model[0].weight = nn.Parameter(Packed(codes, torch.tensor(0.5)), requires_grad=False)
    workload = extract(model, (2, 6))
    assert {layer.names: (layer.macs, layer.stored_weights) for layer in workload.layers} == {
        ("0",): (48, 24),
        ("1",): (24, 12),
    }
    assert (workload.parameters, workload.other_parameters) == (24 + 4 + 12 + 3, 7)


def test_nested_tensors_have_no_shape() -> None:
    parts = torch.nested.nested_tensor([torch.ones(2, 6), torch.ones(3, 6)], layout=torch.jagged)
    with pytest.raises(TqhwError, match=r"input: a nested tensor has no shape to count with \(pad it"):
        extract(nn.Linear(6, 4), parts)
