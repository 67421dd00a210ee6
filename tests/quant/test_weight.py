import pytest

torch = pytest.importorskip("torch")

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.quant import (  # noqa: E402
    FULL,
    QuantConfig,
    QuantizedWeight,
    convert,
    quantize,
    quantized_layers,
    scheme_named,
    set_bits,
    shared_normalization,
)


def gradient_of(gradient, bits, scheme="truncquant"):
    w = torch.randn(5, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    upstream = torch.randn(5, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    real = QuantizedWeight(scheme_named(scheme), gradient, bits)(w)
    real.backward(upstream)
    return w, upstream, w.grad


@pytest.mark.parametrize("scheme", ["truncquant", "dorefa"])
@pytest.mark.parametrize("bits", [1, 2, 8])
def test_the_training_weight_is_the_dequantized_code(scheme, bits):
    w = torch.randn(40, 9, generator=torch.Generator().manual_seed(5))
    trained = QuantizedWeight(scheme_named(scheme), "plain", bits)(w)
    assert torch.equal(trained, quantize(w, bits, scheme).dequantize())


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_gradient_is_that_of_the_unquantized_weight_times_the_factor(bits):
    w, upstream, plain = gradient_of("plain", bits)
    reference = w.detach().clone().requires_grad_()
    t = torch.tanh(reference)
    unquantized = w.detach().abs().mean() * (2 * (t / (2 * t.abs().max().detach()) + 0.5) - 1)
    unquantized.backward(upstream)
    torch.testing.assert_close(plain, reference.grad)
    top = 2**bits - 1
    torch.testing.assert_close(gradient_of("paper", bits)[2], plain * top / (top + 1))
    torch.testing.assert_close(gradient_of("exact", bits)[2], plain * (top + 1) / top)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("bits", [1, 3, 8, FULL])
def test_the_operations_in_place_are_the_readable_ones_bit_for_bit(dtype, bits):
    generator = torch.Generator().manual_seed(11)
    w = torch.randn(64, 33, generator=generator, dtype=dtype).requires_grad_()
    upstream = torch.randn(64, 33, generator=generator, dtype=dtype)
    quantizer = QuantizedWeight(scheme_named("truncquant"), "paper", bits)
    real = quantizer(w)
    real.backward(upstream)
    with torch.no_grad():
        t = torch.tanh(w)
        scale, largest, top = w.abs().double().mean().to(dtype), t.abs().max(), 2**bits - 1
        u = t / (2 * largest) + 0.5
        code = torch.clamp(torch.floor(u * 2**bits), max=top)
        expected = scale * (2 * (u if bits == FULL else code / top) - 1)
        factor = 1.0 if bits == FULL else top / (top + 1)
        gradient = upstream * ((1 - t * t) * (scale / largest)) * factor
    assert torch.equal(real, expected)
    assert torch.equal(w.grad, gradient)


def test_the_exact_factor_is_the_mean_slope_of_the_staircase():
    """From the first step's foot to the last one's the dequantised staircase climbs 1 while u climbs 1 - 2^-n."""
    truncquant = scheme_named("truncquant")
    for bits in (1, 2, 4):
        feet = torch.tensor([0.0, 1 - 2.0**-bits])
        low, high = (truncquant.codes(feet, bits) / (2**bits - 1)).tolist()
        assert (high - low) / (1 - 2.0**-bits) == pytest.approx(truncquant.factor("exact", bits))


def test_full_precision_is_the_normalised_weight():
    w = torch.randn(6, 6, generator=torch.Generator().manual_seed(5))
    t = torch.tanh(w)
    full = QuantizedWeight(scheme_named("truncquant"), "paper", FULL)(w)
    torch.testing.assert_close(full, w.abs().mean() * t / t.abs().max())


def test_half_precision_gradients_keep_their_type():
    w = torch.randn(6, 6).bfloat16().requires_grad_()
    QuantizedWeight(scheme_named("truncquant"), "paper", 4)(w).sum().backward()
    assert w.grad.dtype == torch.bfloat16


def test_sharing_the_normalization_changes_no_gradient():
    def gradients(shared):
        model = convert(tiny(), QuantConfig())
        if shared:
            with shared_normalization(model):
                step(model)
        else:
            step(model)
        return [p.grad for p in model.parameters()]

    def step(model):
        for bits in (8, 4, 2):
            set_bits(model, bits)
            model(images()).square().sum().backward()

    for one, other in zip(gradients(True), gradients(False), strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


def test_sharing_ends_with_the_block():
    model = convert(tiny(), QuantConfig(first=None))
    with shared_normalization(model):
        model(images())
    layer = quantized_layers(model)[0]
    before = layer.module.weight.clone()
    with torch.no_grad():
        layer.real_weight.add_(torch.randn_like(layer.real_weight))
    assert not torch.equal(layer.module.weight, before)


def test_a_layer_that_starts_at_zero_does_not_learn():
    """As docs/quantization.md says: E = mean|w| is 0 there, and the slope with it."""
    quantizer = QuantizedWeight(scheme_named("truncquant"), "plain", 8)
    weight = torch.zeros(3, 3, requires_grad=True)
    (quantizer(weight) * torch.randn(3, 3)).sum().backward()
    assert torch.equal(weight.grad, torch.zeros(3, 3))
