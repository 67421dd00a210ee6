"""The gradient through the largest weight, against PyTorch's own of the formula with a straight-through estimator."""

from itertools import product

import pytest

torch = pytest.importorskip("torch")

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import FULL, Normalization, QuantConfig, QuantizedWeight, Slices, convert, scheme_named  # noqa: E402
from tqhw.quant.normalization import Normalizer  # noqa: E402

SLICES = [Slices(), Slices(0), Slices(1), Slices(0, 6), Slices(1, 6)]
CASES = [
    case
    for case in product(("tanh", "max", "searched", "zero"), SLICES, (1, 2, 8, FULL), ("plain", "paper"))
    if not (case[0] == "tanh" and case[1].group) and not (case[0] == "zero" and (case[2] == 1 or case[3] == "paper"))
]


def weight():
    w = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(8), dtype=torch.float64) * 0.4
    w[0, 0, 0], w[0, 1, 1] = 2.0, -2.0  # two are the largest
    return w


def reference(w, how, slices, bits, scheme, factor, share):
    """Each slice by itself, all of it differentiated but the code and E."""

    def one(row):
        x = torch.tanh(row) if how.kind == "tanh" else row
        top = x.abs().amax() * (1 if share is None else share)
        line = (x / top).clamp(-1, 1)
        level = line.detach()
        if bits != FULL:
            level = scheme.level(scheme.codes((line.detach() + 1) / 2, bits), bits)
        level = line * factor + (level - line * factor).detach()
        return row.abs().mean().detach() * level if how.kind == "tanh" else top * level

    rows = slices.rows(w)
    made = torch.stack([one(row) for row in rows])
    if slices.axis is None:
        return made.reshape(w.shape)
    moved = w.movedim(slices.axis, 0)
    return made.reshape(moved.shape).movedim(0, slices.axis)


@pytest.mark.parametrize(("kind", "slices", "bits", "gradient"), CASES, ids=str)
def test_it_is_the_derivative_of_the_formula(kind, slices, bits, gradient):
    clip = "searched" if kind == "searched" else "max"
    how = Normalization() if kind == "tanh" else Normalization("linear", clip, zero=kind == "zero")
    scheme = Normalizer(how).scheme(scheme_named("truncquant"))
    w, weigh = weight(), torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    ours = QuantizedWeight(scheme, gradient, bits, True, slices, Normalizer(how), (2,), w.shape, through_maximum=True)
    share = None
    if clip == "searched":
        ours.share.fill_(0.5)
        ours.searched, share = True, 0.5
    given, other = w.clone().requires_grad_(), w.clone().requires_grad_()
    y = ours(given)
    (y * weigh).sum().backward()
    factor = 1.0 if bits == FULL else scheme.factor(gradient, bits)
    z = reference(other, how, slices, bits, scheme, factor, share)
    (z * weigh).sum().backward()
    torch.testing.assert_close(y, z)
    torch.testing.assert_close(given.grad, other.grad)


def test_without_it_the_largest_is_held_constant():
    w, gradients = weight(), []
    for through in (False, True):
        given = w.clone().requires_grad_()
        QuantizedWeight(scheme_named("truncquant"), "plain", 2, through_maximum=through)(
            given
        ).square().sum().backward()
        gradients.append(given.grad)
    differ = gradients[0] != gradients[1]
    assert differ.nonzero().tolist() == [[0, 0, 0], [0, 1, 1]], "the two largest"
    assert not QuantConfig().through_maximum


def test_a_slice_of_zeros_has_no_gradient():
    given = torch.zeros(3, 4, requires_grad=True)
    QuantizedWeight(scheme_named("truncquant"), "plain", 2, slices=Slices(0), through_maximum=True)(
        given
    ).sum().backward()
    assert given.grad.tolist() == [[0] * 4] * 3


def test_convert_takes_it_and_a_step_is_another_one():
    moved = []
    for through in (False, True):
        model = convert(tiny(), QuantConfig(precisions=(2, 8), first=None, through_maximum=through))
        model(images()).square().sum().backward()
        moved.append(model.conv1.parametrizations.weight.original.grad)
    assert (moved[0] != moved[1]).sum() == 1


def test_an_offset_is_refused():
    with pytest.raises(
        TqhwError, match=r"through_maximum: with an offset, the largest and the smallest weight move the"
    ):
        QuantConfig(through_maximum=True, granularity="channel", normalization=Normalization("linear", offset=True))
