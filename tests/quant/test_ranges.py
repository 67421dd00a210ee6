"""Ranges of quantized inputs: their gradients against PyTorch's own, and that a right shift is quantizing anew."""

import pytest

torch = pytest.importorskip("torch")

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import FULL, InputQuantizer, QuantConfig, convert, quantized_layers, scheme_named  # noqa: E402
from tqhw.quant.ranges import LOWEST, RANGES  # noqa: E402

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
LEARNED = [kind for kind in RANGES.values() if kind.learned]


def quantizer(kind, bits=4, alpha=2.0, low=0.0, gradient="plain", scheme="truncquant"):
    found = InputQuantizer(scheme_named(scheme), gradient, kind, bits, follows=False)
    found.alpha.data.fill_(alpha)
    found.low.data.fill_(low)
    return found


def values(shape=(8, 40), seed=4):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 1.7


def reference(x, alpha, low, bits, slope):
    """The formula with the straight-through estimator, for PyTorch to differentiate."""
    bottom = low * alpha
    u = (torch.minimum(torch.maximum(x, bottom), alpha) - bottom) / (alpha - bottom)
    codes = torch.floor(u * 2**bits).clamp(max=2**bits - 1) / (2**bits - 1)
    return bottom + (alpha - bottom) * (u + (codes - u).detach()), slope


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("low", [0.0, -0.3, -1.0])
@pytest.mark.parametrize("kind", ["lsq", "lsq_plus"])
def test_the_gradients_are_those_of_the_formula(kind, low, bits):
    x, weigh = values(), values(seed=5)
    ours = quantizer(kind, bits, low=low)
    given = x.clone().requires_grad_()
    (ours(given) * weigh).sum().backward()
    theirs = [x.double().requires_grad_(), *(torch.tensor(n, dtype=torch.float64).requires_grad_() for n in (2, low))]
    y, _ = reference(*theirs, bits, 1)
    (y * weigh).sum().backward()
    torch.testing.assert_close(ours(x).double(), y, atol=1e-5, rtol=0)
    torch.testing.assert_close(given.grad.double(), theirs[0].grad)
    spread = 40**0.5  # values of one image
    assert ours.alpha.grad.item() == pytest.approx(theirs[1].grad.item() / spread, rel=1e-4, abs=1e-5)
    if kind == "lsq_plus":
        assert ours.low.grad.item() == pytest.approx(theirs[2].grad.item() / spread, rel=1e-4, abs=1e-5)
    else:
        assert not isinstance(ours.low, torch.nn.Parameter)


def test_at_codes_that_stay_alpha_moves_values_as_its_gradient_says():
    """A finite difference that knows nothing of straight-through estimators: of the error at fixed relative places."""
    x, step = values((1, 4000)), 1e-3
    ours = quantizer("lsq", 3, low=-1.0)
    ours(x).sum().backward()
    inside = x.abs() < 2
    moved = [quantizer("lsq", 3, alpha=2 + sign * step, low=-1.0)(x * (1 + sign * step / 2)) for sign in (1, -1)]
    along = (moved[0] - moved[1]) / (2 * step)  # the codes stay; x moves in proportion, which the gradient takes off
    expected = (along - torch.where(inside, x / 2, 0)).sum() / 4000**0.5
    assert ours.alpha.grad.item() == pytest.approx(expected.item(), rel=1e-2)


def test_the_straight_through_factor_is_that_of_values_alone():
    x = values().requires_grad_()
    plain, paper = quantizer("lsq", 2), quantizer("lsq", 2, gradient="paper")
    for one in (plain, paper):
        one(x).sum().backward()
    assert plain.alpha.grad == paper.alpha.grad
    assert x.grad.unique().tolist() == [0, 1 + 0.75]


def test_at_32_bits_the_ends_alone_move():
    ours, x = quantizer("lsq_plus", FULL, low=-0.5), torch.tensor([[-3.0, -0.2, 0.7, 5.0]])
    ours(x).sum().backward()
    assert ours.alpha.grad.item() == pytest.approx((1 - 0.5) / 2) and ours.low.grad.item() == pytest.approx(2 / 2)


@pytest.mark.parametrize("kind", LEARNED, ids=lambda kind: kind.name)
def test_where_a_range_starts(kind):
    scheme = scheme_named("truncquant")
    positive, negative = values().abs(), torch.cat([values().abs(), -0.1 * values().abs()])
    alpha, low = kind.start(positive, scheme, (2, 8), None)
    assert low == 0 and 0.3 < alpha < positive.max()
    alpha, low = kind.start(negative, scheme, (2, 8), None)
    assert low == (-1 if kind.symmetric else pytest.approx(float(negative.min()) / alpha))
    assert kind.start(negative, scheme, (2, 8), 1.5)[0] == 1.5


def test_learning_keeps_a_range_that_is_one():
    ours = quantizer("lsq_plus", 4, low=0.5)
    ours(values())
    assert ours.low == 0
    ours.low.data.fill_(2 * LOWEST)
    assert torch.isfinite(ours(values())).all() and ours.low == LOWEST


@pytest.mark.parametrize("kind", ["lsq", "lsq_plus"])
def test_the_first_batch_starts_them_and_training_moves_them(kind):
    model = convert(tiny(), QuantConfig(last=None, activations=kind, activation_bits=None))
    names = {name for name, _ in model.named_parameters() if "input_quantizer" in name}
    moving = ("alpha", "low") if kind == "lsq_plus" else ("alpha",)
    assert names == {f"{layer}.input_quantizer.{part}" for layer in ("conv2", "fc") for part in moving}
    model(images()).square().sum().backward()
    starts = [layer.input_quantizer for layer in quantized_layers(model)]
    assert all(one.started and one.alpha.grad.abs() > 0 for one in starts)
    other = convert(tiny(), QuantConfig(last=None, activations=kind, activation_bits=None))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.eval()(images()), model.eval()(images()))


@pytest.mark.parametrize(
    ("kind", "low", "message"),
    [
        ("lsq", -1.5, "low from -1 to 0"),
        ("lsq_plus", -2000, "low from -1024 to 0"),
        ("lsq_plus", 0.1, "leave no range"),
    ],
)
def test_a_checkpoint_whose_range_is_none_is_refused(kind, low, message):
    model = convert(tiny(), QuantConfig(last=None, activations=kind))
    with pytest.raises(TqhwError, match=message):
        model.load_state_dict({**model.state_dict(), "fc.input_quantizer.low": torch.tensor(low)})


def near_every_edge(low, alpha, dtype):
    """Each edge between two bins of 8 bits, its neighbours in ``dtype``, the ends and what lies beyond."""
    edges = (torch.linspace(low * alpha, alpha, 257, dtype=torch.float64)).to(dtype)
    if dtype in (torch.float32, torch.float64):
        ends = torch.tensor([-9.0, 9.0], dtype=dtype)
        return torch.cat([edges, *(torch.nextafter(edges, end.expand_as(edges)) for end in ends), ends])
    around = edges.view(torch.int16)
    return torch.cat([around - 1, around, around + 1]).view(dtype).nan_to_num(0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("low", [0.0, -0.17, -1.0, -3.0])
def test_shifting_a_million_activations_is_quantizing_them_anew(low, dtype):
    """Codes of every b and B, b <= B <= 8, of the same values: those of B bits, shifted, are those of b."""
    alpha = 1.37
    ours = quantizer("lsq_plus", 8, alpha, low)
    x = torch.cat([values((1 << 20,), seed=6).to(dtype), near_every_edge(low, alpha, dtype)])
    real = x if dtype == torch.float64 else x.float()
    bottom = ours.low.detach() * ours.alpha.detach()
    u = (torch.minimum(torch.maximum(real, bottom), ours.alpha.detach()) - bottom) / (ours.alpha.detach() - bottom)
    codes = {bits: ours.scheme.codes(u, bits).to(torch.uint8) for bits in range(1, 9)}
    assert len(codes[8].unique()) > 200  # bfloat16 has no more between some edges
    assert all(torch.equal(codes[b] >> (b - fewer), codes[fewer]) for b in codes for fewer in range(1, b))
    edges = near_every_edge(low, alpha, dtype)
    for bits in range(1, 9):
        ours.bits, ours.stored = bits, None
        anew = ours(edges)
        for stored in range(bits, 9):
            ours.stored = stored
            assert torch.equal(ours(edges), anew)
