"""Bits of models that other libraries quantized: weights, what they read, and who says so."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from tqhw.workload import extract  # noqa: E402
from tqhw.workload.operations import MatrixProduct  # noqa: E402
from tqhw.workload.products import RULES  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # other libraries warn as they please

Rows = list[tuple[int | None, bool, int | None, str | None]]


def bits(model: nn.Module, *shape: int) -> Rows:
    layers = extract(model, shape).layers
    return [(layer.weight_bits, layer.fixed_bits, layer.input_bits, layer.bits_from) for layer in layers]


def imported(name: str) -> Any:
    """A library, or a skip with the reason why it is not here."""
    try:
        return __import__(name, fromlist=["x"])
    except Exception as error:  # noqa: BLE001 - an import of a stranger may raise anything
        pytest.skip(f"{name} does not import: {type(error).__name__}: {error}")


def test_brevitas() -> None:
    layers = imported("brevitas.nn")
    model = nn.Sequential(
        layers.QuantConv2d(3, 4, 3, weight_bit_width=4),
        layers.QuantReLU(bit_width=3),
        nn.MaxPool2d(2),
        layers.QuantConv2d(4, 4, 3, weight_bit_width=2),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    assert bits(model.eval(), 1, 3, 10, 10) == [
        (4, True, 32, "weights Brevitas"),
        (2, True, 3, "Brevitas"),
        (None, False, None, None),
    ]


def test_brevitas_attention() -> None:
    layers = imported("brevitas.nn")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = layers.QuantMultiheadAttention(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.attention(x, x, x)[0]
            return found

    found = bits(Net().eval(), 5, 1, 8)
    assert found == [(8, True, 8, "Brevitas"), *[(None, False, 8, "Brevitas")] * 2, (8, True, 8, "Brevitas")]


def _small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 5))


def _qat() -> nn.Module:
    model = torch.ao.quantization.QuantWrapper(_small()).train()
    # The default grid, not one for a machine: eight bits of weights, and of what is read.
    model.qconfig = torch.ao.quantization.QConfig(
        activation=torch.ao.quantization.FakeQuantize.with_args(
            observer=torch.ao.quantization.MovingAverageMinMaxObserver, quant_min=0, quant_max=63
        ),
        weight=torch.ao.quantization.default_weight_fake_quant,
    )
    return torch.ao.quantization.prepare_qat(model)


def test_pytorch_s_quantization_aware_training_keeps_what_it_learned() -> None:
    model = _qat()
    model(torch.randn(1, 3, 8, 8))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = bits(model, 1, 3, 8, 8)
    assert [row[:3] for row in found] == [(8, True, 6)] * 3
    assert {row[3] for row in found} == {"PyTorch's fake_quantize_per_tensor_affine_cachemask_tensor_qparams"}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_pytorch_s_quantized_modules() -> None:
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("no engine for quantized products in this PyTorch")
    model = torch.ao.quantization.QuantWrapper(_small()).eval()
    model.qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")
    prepared = torch.ao.quantization.prepare(model)
    prepared(torch.randn(1, 3, 8, 8))
    kinds = ("conv2d", "conv2d", "linear")
    expected = [(8, True, 8, f"PyTorch's quantized.{kind}") for kind in kinds]
    assert bits(torch.ao.quantization.convert(prepared), 1, 3, 8, 8) == expected
    dynamic = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 4)), {nn.Linear})
    assert bits(dynamic, 1, 8) == [(8, True, 8, "PyTorch's quantized.linear_dynamic")]


def test_fake_quantization_by_hand() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 6))

        def forward(self, x: Tensor) -> Tensor:
            quantize = torch.fake_quantize_per_tensor_affine
            return quantize(x, 0.1, 0, -8, 7) @ quantize(self.weight, 0.1, 0, -2, 1).T

    source = "PyTorch's fake_quantize_per_tensor_affine_cachemask"
    assert bits(Net(), 1, 6) == [(2, True, 4, source)]


@pytest.mark.parametrize(
    ("config", "options", "expected"),
    [
        ("Int8WeightOnlyConfig", {}, (8, 32)),
        ("Int8DynamicActivationInt8WeightConfig", {}, (8, 8)),
        ("IntxWeightOnlyConfig", {"weight_dtype": "int3"}, (3, 32)),
        ("Int8DynamicActivationIntxWeightConfig", {"weight_dtype": "int4"}, (4, 8)),
    ],
)
def test_torchao(config: str, options: dict[str, str], expected: tuple[int, int]) -> None:
    library = imported("torchao.quantization")
    if not hasattr(library, config):
        pytest.skip(f"this torchao has no {config}")
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 32))
    library.quantize_(model, getattr(library, config)(**{key: getattr(torch, name) for key, name in options.items()}))
    kind = type(model[0].weight).__name__
    assert bits(model, 1, 64) == [(expected[0], True, expected[1], f"torchao {kind}")] * 2


@pytest.mark.parametrize(("weights", "inputs"), [("int4", None), ("int2", "int8"), ("int8", "int8")])
def test_torchao_in_training(weights: str, inputs: str | None) -> None:
    """Its modules quantize and give real numbers back; the widths are those of their types."""
    library, training = imported("torchao.quantization"), imported("torchao.quantization.qat")
    config = training.IntxFakeQuantizeConfig
    read = None if inputs is None else config(getattr(torch, inputs), "per_token", is_symmetric=False)
    written = config(getattr(torch, weights), group_size=32)
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 32))
    library.quantize_(model, training.QATConfig(activation_config=read, weight_config=written, step="prepare"))
    width = int(weights.removeprefix("int"))
    source = f"{'' if inputs else 'weights '}torchao IntxFakeQuantizer"
    assert bits(model, 1, 64) == [(width, True, 8 if inputs else 32, source)] * 2


def test_what_torchao_trains_has_its_type_s_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for where it is not installed: a module of its package with the type in ``config``."""
    monkeypatch.setitem(sys.modules, "torchao.quantization.qat", ModuleType("torchao.quantization.qat"))

    class Quantizer(nn.Module):
        def __init__(self, kind: str, enabled: bool = True) -> None:
            super().__init__()
            self.config, self.enabled = SimpleNamespace(dtype=kind), enabled

        def forward(self, x: Tensor) -> Tensor:
            return x * 1.0

    Quantizer.__module__ = "torchao.quantization.qat.fake_quantizer"

    class Net(nn.Module):
        def __init__(self, enabled: bool) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 6))
            self.of_weights, self.of_inputs = Quantizer("torch.int3"), Quantizer("torch.float8_e4m3fn", enabled)

        def forward(self, x: Tensor) -> Tensor:
            return self.of_inputs(x) @ self.of_weights(self.weight).T

    assert bits(Net(True), 1, 6) == [(3, True, 8, "torchao Quantizer")]
    assert bits(Net(False), 1, 6) == [(3, True, 32, "weights torchao Quantizer")]


def test_a_proxy_that_runs_itself_to_say_its_width_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Brevitas's for weights do; a stand-in for it. The run goes on where it was."""
    monkeypatch.setitem(sys.modules, "brevitas.proxy", ModuleType("brevitas.proxy"))
    calls = []

    class Proxy(nn.Module):
        is_quant_enabled = True

        def bit_width(self) -> Tensor:
            calls.append(self)
            self(torch.zeros(1))
            return torch.tensor(3.0)

        def forward(self, x: Tensor) -> Tensor:
            return x * 1.0

    Proxy.__module__ = "brevitas.proxy.parameter_quant"

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.proxy = nn.Parameter(torch.randn(4, 6)), Proxy()

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.proxy(self.weight).T

    assert bits(nn.Sequential(Net(), nn.ReLU()), 1, 6) == [(3, True, 32, "weights Brevitas")]
    assert len(calls) == 1


def test_codes_of_pytorch_are_followed_through_dequantizing() -> None:
    """As in torch.ao's reference models, whose products are of real numbers."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 6))

        def forward(self, x: Tensor) -> Tensor:
            read = torch.quantize_per_tensor(x, 0.1, 128, torch.quint8).dequantize()
            return read @ torch.quantize_per_tensor(self.weight, 0.1, 0, torch.qint8).dequantize().T

    assert bits(Net(), 1, 6) == [(8, True, 8, "weights qint8; inputs quint8")]


@pytest.mark.parametrize("weights", ["qint8", "qint4", "qint2"])
@pytest.mark.parametrize("frozen", [False, True])
def test_quanto(weights: str, frozen: bool) -> None:
    library = imported("optimum.quanto")
    model = _small()
    library.quantize(model, weights=getattr(library, weights))
    if frozen:
        library.freeze(model)
    width = int(weights.removeprefix("qint"))
    assert bits(model, 1, 3, 8, 8) == [(width, True, 32, f"optimum-quanto {weights}")] * 3


def test_quanto_with_activations_loses_no_layer() -> None:
    """What it quantizes travels in wrappers: the product inside reads numbers that no operator gave."""
    library = imported("optimum.quanto")
    model = _small()
    library.quantize(model, weights=library.qint8, activations=library.qint8)
    found = extract(model, (1, 3, 8, 8))
    assert found.macs == extract(_small(), (1, 3, 8, 8)).macs
    assert found.folded == ()
    assert [layer.input_bits for layer in found.layers] == [32, 8, 8]


def test_quanto_with_activations_that_are_not_whole_numbers() -> None:
    library = imported("optimum.quanto")
    model = _small()
    library.quantize(model, weights=library.qint4, activations=library.qfloat8)
    assert [layer.input_bits for layer in extract(model, (1, 3, 8, 8)).layers][-1] == 8


def test_what_a_layer_is_called_with_says_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for optimum-quanto, whose types of tensor know theirs."""
    monkeypatch.setitem(sys.modules, "optimum.quanto", ModuleType("optimum.quanto"))
    kind = type("qtype", (), {"__module__": "optimum.quanto.tensor.qtype", "bits": 8, "name": "qfloat8"})()
    layer = type("QLinear", (nn.Linear,), {"__module__": "optimum.quanto.nn.qlinear", "weight_qtype": kind})(6, 4)

    def quantize(module: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
        read = given[0] * 1.0
        read.qtype = kind
        return (read,)

    plain = bits(nn.Sequential(layer), 1, 6)
    layer.register_forward_pre_hook(quantize)
    source = "optimum-quanto qfloat8"
    assert (plain, bits(nn.Sequential(layer), 1, 6)) == ([(8, True, 32, source)], [(8, True, 8, source)])


@pytest.mark.parametrize(
    ("kind", "expected"), [("Linear4bit", (4, True, 16)), ("Linear8bitLt", (8, True, 8)), ("Embedding", None)]
)
def test_bitsandbytes_by_the_names_of_its_classes(
    kind: str, expected: tuple[int, bool, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stand-ins for where it is not installed. Its layers are subclasses of Linear with these names."""
    monkeypatch.setitem(sys.modules, "bitsandbytes.nn", ModuleType("bitsandbytes.nn"))
    layer = type(kind, (nn.Linear,), {"__module__": "bitsandbytes.nn"})(8, 4).to(torch.bfloat16)
    (row,) = bits(nn.Sequential(layer), 1, 8)
    assert row == ((None, False, None, None) if expected is None else (*expected, f"bitsandbytes {kind}"))


def test_layers_of_bitsandbytes_itself() -> None:
    """Where it is installed: its operators multiply, and its packed codes are as many weights as the layer has."""
    library = pytest.importorskip("bitsandbytes")
    four = library.nn.Linear4bit(64, 32, quant_type="nf4", compute_dtype=torch.float32).to("cpu")
    eight = library.nn.Linear8bitLt(64, 32, has_fp16_weights=False).to("cpu")
    for layer, expected in ((four, (4, 32)), (eight, (8, 8))):
        model = nn.Sequential(layer).eval()
        for _ in range(2):  # quantized at the first call, or before
            (found,) = extract(model, (4, 64)).layers
            assert (found.weight_bits, found.input_bits, found.macs, found.stored_weights) == (*expected, 8192, 2048)


@pytest.mark.parametrize("kind", ["gemv_4bit", "int8_scaled_mm", "int8_mixed_scaled_mm"])
def test_the_operators_of_bitsandbytes_are_products(kind: str) -> None:
    given, weight, result = torch.zeros(2, 4, 64), torch.zeros(1024, 1, dtype=torch.uint8), torch.zeros(2, 4, 32)
    several = kind == "int8_mixed_scaled_mm"
    arguments = {"A": given, "B": weight, "CA": given, "CB": weight}
    (found,) = RULES[f"bitsandbytes.{kind}"](arguments, (result, None) if several else result)
    assert isinstance(found, MatrixProduct)
    assert (found.rows, found.inner, found.columns, found.bits) == (8, 64, 32, 4 if kind == "gemv_4bit" else 8)


def test_a_wrapper_s_numbers_come_from_where_its_codes_came_from() -> None:
    """A stand-in for the types of tensor that libraries make: codes and a scale inside, no operator that made it."""

    class Codes(Tensor):
        @staticmethod
        def __new__(cls, codes: Tensor, scale: float) -> Codes:
            made: Codes = Tensor._make_wrapper_subclass(cls, codes.shape, dtype=torch.float32)
            made.codes, made.scale = codes, scale
            return made

        def __tensor_flatten__(self) -> tuple[list[str], float]:
            return ["codes"], self.scale

        @classmethod
        def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten.relu.default:
                return Codes(args[0].codes.clamp(min=0), args[0].scale)
            raise NotImplementedError(func)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(6, 4))

        def forward(self, x: Tensor) -> Tensor:
            wrapped = torch.relu(Codes((x * 10).round().to(torch.int8), 0.1))
            return (wrapped.codes.float() * wrapped.scale) @ self.weight

    found = extract(Net(), (2, 6))
    assert (found.macs, found.folded) == (48, ())
