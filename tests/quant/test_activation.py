import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    InputQuantizer,
    QuantConfig,
    convert,
    integer_codes,
    quantized_layers,
    revert,
    running_on_codes,
    scheme_named,
    set_bits,
)


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
