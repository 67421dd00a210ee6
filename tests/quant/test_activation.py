import copy
import threading

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    FULL,
    InputQuantizer,
    QuantConfig,
    convert,
    integer_codes,
    quantized_layers,
    real_inputs,
    revert,
    running_on_codes,
    scheme_named,
    set_bits,
)
from tqhw.quant.activation import ALPHA, ALPHA_FLOOR  # noqa: E402


def quantizer(kind="dorefa", bits=2, scheme="truncquant", gradient="plain"):
    return InputQuantizer(scheme_named(scheme), gradient, kind, bits, follows=False)


def test_values_are_clamped_and_take_the_codes_of_the_scheme():
    x = torch.tensor([-1.0, 0.0, 0.2, 0.25, 0.99, 1.0, 7.0])
    assert quantizer()(x).mul(3).round().tolist() == [0, 0, 0, 1, 3, 3, 3]
    assert quantizer(scheme="dorefa")(x).mul(3).round().tolist() == [0, 0, 1, 1, 3, 3, 3]


def test_pact_learns_its_clamp_from_what_lies_above_it():
    pact = quantizer("pact", 8)
    x = torch.tensor([-1.0, 3.0, 6.5, 9.0], requires_grad=True)
    y = pact(x)
    assert y[-1] == 6 and y[1].item() == pytest.approx(3, abs=6 / 255)
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 0, 0]
    assert pact.alpha.grad == 2


def test_the_factor_of_the_gradient_applies():
    x = torch.tensor([0.5], requires_grad=True)
    quantizer(gradient="paper")(x).backward()
    assert x.grad.item() == 0.75


def test_every_quantized_layer_but_the_first_quantizes_its_input():
    model = convert(tiny(), QuantConfig(first=None, last=None, activations="dorefa", activation_bits=1))
    with_inputs = [layer.name for layer in quantized_layers(model) if layer.input_quantizer is not None]
    assert with_inputs == ["conv2", "fc"]
    seen = []
    model.conv2.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(images())
    assert seen[0].unique().tolist() == [0, 1]


def test_activation_bits_follow_the_weights_where_asked():
    model = convert(tiny(), QuantConfig(last=None, activations="dorefa", activation_bits=None))
    set_bits(model, 4)
    assert quantized_layers(model)[0].input_quantizer.bits == 4
    fixed = convert(tiny(), QuantConfig(last=None, activations="dorefa", activation_bits=6))
    set_bits(fixed, 4)
    assert quantized_layers(fixed)[0].input_quantizer.bits == 6


@pytest.mark.parametrize(("scheme", "exact"), [("truncquant", True), ("dorefa", False)])
def test_following_activations_are_shifted_with_the_codes(scheme, exact):
    config = QuantConfig(scheme, (2, 8), last=None, activations="pact", activation_bits=None)
    model = convert(tiny(), config).eval()
    for layer in quantized_layers(model):
        layer.real_weight.data.mul_(4)
    codes = {name: stored.truncate(8) for name, stored in integer_codes(model).items()}
    set_bits(model, 2)
    anew = quantized_layers(model)[0].input_quantizer(torch.linspace(0, 6, 999))
    with running_on_codes(model, codes, 2):
        shifted = quantized_layers(model)[0].input_quantizer(torch.linspace(0, 6, 999))
    assert torch.equal(anew, shifted) == exact
    assert quantized_layers(model)[0].input_quantizer.stored is None


def test_revert_takes_the_input_quantizers_away():
    model = revert(convert(tiny(), QuantConfig(last=None, activations="pact")))
    assert set(model.state_dict()) == set(tiny().state_dict())
    assert not model.conv2._forward_pre_hooks
    assert torch.equal(model.eval()(images()), tiny().eval()(images()))


def test_pretrained_weights_load_beside_a_clamp_they_do_not_know():
    model = convert(tiny(), QuantConfig(last=None, activations="pact"))
    model.fc.input_quantizer.alpha.data.fill_(3)
    model.load_state_dict(tiny(1).state_dict())
    assert model.fc.input_quantizer.alpha == 3


def test_attention_that_bypasses_its_layers_is_refused():
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    with pytest.raises(TqhwError, match=r"self_attn: torch's MultiheadAttention computes with its weights itself"):
        convert(block, QuantConfig(activations="dorefa"))


def test_attention_that_stays_in_floating_point_lets_other_layers_have_quantized_inputs():
    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0)
    options = {"activations": "lsq", "first": None, "last": None, "layers": {"self_attn.*": "full"}}
    convert(block, QuantConfig(**options), order=())
    assert [layer.name for layer in quantized_layers(block)] == ["linear1", "linear2"]
    assert all(layer.input_quantizer is not None for layer in quantized_layers(block))
    block(torch.randn(2, 3, 8)).sum().backward()
    assert block.linear1.input_quantizer.started and block.linear1.input_quantizer.alpha.grad is not None


@pytest.mark.parametrize("alpha", [0.0, -1.0])
def test_alpha_has_a_floor_that_learning_keeps_too(alpha):
    pact = quantizer("pact", 4)
    pact.alpha.data.fill_(alpha)
    y = pact(torch.tensor([0.5, 2.0]))
    assert y.tolist() == [ALPHA_FLOOR, ALPHA_FLOOR]
    y.sum().backward()
    assert pact.alpha.grad == 2 and pact.alpha == ALPHA_FLOOR


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf")])
def test_a_checkpoint_whose_clamp_is_none_is_refused(alpha):
    model = convert(tiny(), QuantConfig(last=None, activations="pact"))
    state = {**model.state_dict(), "fc.input_quantizer.alpha": torch.tensor(alpha)}
    with pytest.raises(TqhwError, match=r"^fc.input_quantizer.alpha: alpha \S+ and low 0 leave no range to clamp to"):
        model.load_state_dict(state)


@pytest.mark.parametrize("stored", [None, 8])
@pytest.mark.parametrize("scheme", ["truncquant", "dorefa"])
def test_what_is_no_number_stays_none(scheme, stored):
    pact = quantizer("pact", 4, scheme)
    pact.stored = stored
    y = pact(torch.tensor([float("nan"), float("inf"), 3.0])).detach()
    assert y[0].isnan() and y[1] == 6 and y[2] == pytest.approx(3, abs=6 / 15)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("scheme", ["truncquant", "dorefa"])
def test_half_precision_reads_the_grid_of_single_precision(scheme, dtype):
    """Clamped in bfloat16, where 1.3 is 1.3047, the largest inputs got code 256 and, shifted, 0."""
    for bits, stored in ((8, None), (2, 8), (2, None)):
        pact = quantizer("pact", bits, scheme)
        pact.alpha.data.fill_(1.3)
        pact.stored = stored
        x = torch.linspace(0, 2, 999).to(dtype)
        y = pact(x)
        assert y.dtype == dtype and torch.equal(y, pact(x.float()).to(dtype))
        assert y.max() == torch.tensor(1.3).to(dtype)


def test_double_precision_is_not_rounded_to_single():
    x = torch.linspace(0, 1, 99, dtype=torch.float64)
    assert torch.equal(quantizer("pact", bits=FULL)(x), x)


def test_at_32_bits_dorefas_clamp_is_a_relu():
    assert quantizer(bits=FULL)(torch.tensor([-1.0, 0.5, 7.0])).tolist() == [0, 0.5, 7]


def signed(bits, low=-1.0, scheme="truncquant"):
    pact = quantizer("pact", bits, scheme)
    pact.low.fill_(low)
    pact.alpha.data.fill_(2.0)
    return pact


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("low", [-1.0, -0.3, 0.0])
def test_the_signed_grid_is_the_stated_one_and_survives_the_shift(low, bits):
    """low alpha + (1 - low) alpha k / M, with k the code of (x - low alpha) / ((1 - low) alpha)."""
    x = torch.cat([torch.randn(100_000, generator=torch.Generator().manual_seed(2)), torch.linspace(-3, 3, 4097)])
    pact = signed(bits, low)
    y, codes = pact(x), torch.floor((x.clamp(2 * low, 2) - 2 * low) / (2 - 2 * low) * 2**bits).clamp(max=2**bits - 1)
    torch.testing.assert_close(y, 2 * low + (2 - 2 * low) * codes / (2**bits - 1))
    for stored in range(bits, 9):
        pact.stored = stored
        assert torch.equal(pact(x), y)


def test_below_a_signed_range_the_gradient_moves_its_end():
    pact = signed(8, -0.5)
    x = torch.tensor([-4.0, -0.5, 1.0, 5.0], requires_grad=True)
    (pact(x) * torch.tensor([8.0, 1.0, 1.0, 2.0])).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 0]
    assert pact.alpha.grad == 2 - 0.5 * 8


def gelu(**options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 32), nn.LayerNorm(32), nn.Linear(32, 4))
    return convert(net, QuantConfig(last=None, **options))


def inputs():
    return torch.randn(512, 16, generator=torch.Generator().manual_seed(4))


def test_a_layer_that_reads_negative_values_gets_a_range_below_zero():
    model = gelu(activations="pact")
    model(inputs())
    after_gelu, after_norm = (layer.input_quantizer for layer in quantized_layers(model))
    low, alpha = after_gelu.low.item(), after_gelu.alpha.item()
    assert low * alpha == pytest.approx(-0.17, abs=0.01) and after_norm.low < -0.5
    x = torch.tensor([-0.15, 0.0, 0.5])
    torch.testing.assert_close(after_gelu(x).detach(), x, atol=alpha / 100, rtol=0)


def test_the_range_travels_with_the_state_dict():
    model, other = gelu(activations="pact"), gelu(activations="pact")
    model(inputs())
    other.load_state_dict(model.state_dict())
    ours, theirs = (quantized_layers(net)[0].input_quantizer for net in (model, other))
    other(100 * inputs())
    assert theirs.started and theirs.alpha == ours.alpha and theirs.low == ours.low


def test_a_clamp_that_drops_negative_values_is_refused_at_the_first_batch():
    model = gelu(activations="dorefa")
    with real_inputs(model):
        model(inputs())
    with pytest.raises(TqhwError, match=r"^input of layer '2': \d\d% of the values .* are negative: dorefa's clamp"):
        model(inputs())


def test_zeros_start_no_range_and_the_first_real_batch_does():
    model = convert(tiny(), QuantConfig(last=None, activations="pact", precisions=(2, 8), activation_bits=None))
    pact = quantized_layers(model)[0].input_quantizer
    pact(torch.zeros(4))
    pact(torch.tensor([1.0, float("nan")]))
    assert pact.alpha == ALPHA and not pact.started
    pact(images().relu())
    assert pact.started and 0.5 < pact.alpha < images().max()


def test_alpha_starts_where_it_is_told_to():
    model = convert(tiny(), QuantConfig(last=None, activations="pact", alpha=2))
    model(images())
    assert [layer.input_quantizer.alpha.item() for layer in quantized_layers(model)] == [2, 2]


ACTIVATIONS = {"precisions": (2, 8), "first": None, "last": None, "activation_bits": 2}


class Calls(nn.Module):
    """A linear layer between two others, called in the way that ``way`` says."""

    def __init__(self, way):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.way = way

    def forward(self, x):
        return self.c(self.way(self.b, self.a(x).relu()))


WAYS = {
    "forward": lambda layer, x: layer.forward(x),
    "keyword": lambda layer, x: layer(input=x),
    "forward with a keyword": lambda layer, x: layer.forward(input=x),
    "type and shape of the weight": lambda layer, x: layer(x.to(layer.weight.dtype)[:, : layer.weight.shape[1]]),
    "norm of the weight": lambda layer, x: layer(x) + 0 * layer.weight.square().sum(),
}
BYPASSES = {
    "linear": lambda layer, x: nn.functional.linear(x, layer.weight, layer.bias),
    "@": lambda layer, x: x @ layer.weight.t() + layer.bias,
    "einsum": lambda layer, x: torch.einsum("bi,oi->bo", x, layer.weight),
    "addmm": lambda layer, x: torch.addmm(layer.bias, x, layer.weight.T.contiguous()),
    "joined": lambda layer, x: nn.functional.linear(x, torch.cat([layer.weight, layer.weight]))[:, :6],
    "a part": lambda layer, x: nn.functional.linear(x[:, :3], layer.weight[:, :3] * 2) + layer.bias,
    "in place": lambda layer, x: x.new_zeros(2, 6).addmm_(x, layer.weight.t()),
    "linalg": lambda layer, x: torch.linalg.multi_dot([x, layer.weight.t(), torch.eye(6)]),
    "vecdot": lambda layer, x: torch.linalg.vecdot(x[:, None], layer.weight),
    "every pair": lambda layer, x: (x[:, None] * layer.weight).sum(-1),
    "matmul": lambda layer, x: (layer.weight[None] @ x[..., None])[..., 0],
}


@pytest.mark.parametrize("kind", ["dorefa", "pact"])
@pytest.mark.parametrize("way", WAYS)
def test_inputs_are_quantized_however_a_layer_is_called(way, kind):
    config = QuantConfig(**ACTIVATIONS, activations=kind)
    model, plain = convert(Calls(WAYS[way]), config), convert(Calls(lambda layer, x: layer(x)), config)
    for module in (model, plain):
        module.c.input_quantizer.started = kind == "dorefa"  # of signs of its own
    x = torch.linspace(-1, 1, 24).reshape(4, 6)
    seen = []
    model.b.input_quantizer.register_forward_hook(lambda *_: seen.append(1))
    assert torch.equal(model(x), plain(x)) and len(seen) == 1
    model(x).sum().backward()
    assert model.b.parametrizations.weight.original.grad.abs().sum() > 0
    assert type(revert(model).b) is nn.Linear


@pytest.mark.parametrize("way", BYPASSES)
def test_products_with_a_weight_beside_its_layer_are_refused(way):
    model = convert(Calls(BYPASSES[way]), QuantConfig(**ACTIVATIONS, activations="pact"))
    with pytest.raises(TqhwError, match=r"layer 'b': its weight is used by [\w ]+, not by a call .* .call the layer"):
        model(torch.ones(2, 6))
    alone = convert(Calls(BYPASSES[way]), QuantConfig(**{**ACTIVATIONS, "layers": {"b": "full"}}, activations="pact"))
    assert alone(torch.ones(2, 6)).shape == (2, 3)
    assert convert(Calls(BYPASSES[way]), QuantConfig(precisions=(2, 8), first=None))(torch.ones(2, 6)).shape == (2, 3)


def test_copies_watch_their_own_layer():
    model = convert(Calls(WAYS["forward"]), QuantConfig(**ACTIVATIONS, activations="pact"))
    twin = copy.deepcopy(model)
    assert twin.b.parametrizations.weight[0].reader is twin.b.input_quantizer is not model.b.input_quantizer
    assert not any("reader" in name for name in twin.state_dict())
    x = torch.linspace(-1, 1, 24).reshape(4, 6)
    assert torch.equal(twin(x), model(x))


def test_a_layer_without_its_input_says_so_itself():
    model = convert(Calls(lambda layer, x: layer()), QuantConfig(**ACTIVATIONS, activations="pact"))
    with pytest.raises(TypeError, match="input"):
        model(torch.ones(2, 6))


def test_threads_in_one_layer_quantize_what_they_read_once_each():
    """Both have passed the layer's hook before either is in its forward pass."""
    model = convert(tiny(), QuantConfig(precisions=(2, 8), first=None, last=None, activations="pact")).eval()
    with torch.no_grad():
        model(images())
    meeting, seen, found = threading.Barrier(2, timeout=60), [], {}
    model.fc.input_quantizer.register_forward_hook(lambda *_: seen.append(threading.get_ident()))
    model.fc.register_forward_pre_hook(lambda *_: meeting.wait() * 0 or None)

    def work(number):
        with torch.no_grad():
            found[number] = model.fc(model.fc.input_quantizer.alpha * torch.full((1, 16), number / 3))

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 2 and {*found} == {1, 2} and not torch.equal(found[1], found[2])
