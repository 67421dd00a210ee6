"""The property TruncQuant rests on: a right shift of the codes is quantizing anew, and not so for rounding."""

import pytest

torch = pytest.importorskip("torch")

from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import SCHEMES, scheme_named  # noqa: E402
from tqhw.quant.schemes import gradient_named  # noqa: E402

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
MILLION = 1_000_000


def unit_interval(dtype: "torch.dtype") -> "torch.Tensor":
    """A million random u, and the ones where rounding would show: 0, 1, denormals, around every bin edge."""
    u = torch.rand(MILLION, generator=torch.Generator().manual_seed(7), dtype=torch.float64).to(dtype)
    edges = torch.arange(257, dtype=torch.float64).div(256).to(dtype)
    below = torch.nextafter(edges, torch.zeros_like(edges))
    above = torch.nextafter(edges, torch.ones_like(edges))
    tiny = torch.finfo(dtype).smallest_normal
    denormals = torch.tensor([tiny, tiny / 2, tiny / 8], dtype=dtype)
    assert (denormals > 0).all()
    return torch.cat([u, edges, below, above, denormals])


def survives_the_shift(scheme: str, u: "torch.Tensor") -> bool:
    codes = {bits: SCHEMES[scheme].codes(u, bits).to(torch.uint8) for bits in range(1, 9)}
    return all(
        torch.equal(codes[stored] >> (stored - bits), codes[bits])
        for stored in range(1, 9)
        for bits in range(1, stored + 1)
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_truncquant_codes_survive_every_shift(dtype):
    assert survives_the_shift("truncquant", unit_interval(dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rounded_codes_do_not(dtype):
    assert not survives_the_shift("dorefa", unit_interval(dtype))


@pytest.mark.parametrize("name", sorted(SCHEMES))
@pytest.mark.parametrize("bits", range(1, 9))
def test_codes_fill_their_range_and_no_more(name, bits):
    codes = SCHEMES[name].codes(torch.linspace(0, 1, 4097), bits)
    assert codes.unique().tolist() == list(range(2**bits))


def test_only_one_reaches_the_clamp():
    below_one = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))
    u = torch.stack([below_one, torch.tensor(1.0)])
    assert (u * 256).floor().tolist() == [255, 256]
    assert SCHEMES["truncquant"].codes(u, 8).tolist() == [255, 255]


def test_straight_through_factors_are_the_named_ones():
    truncquant = scheme_named("truncquant")
    assert truncquant.gradients[0] == "paper"
    assert truncquant.factor("paper", 2) == 3 / 4
    assert truncquant.factor("plain", 2) == 1
    assert truncquant.factor("exact", 2) == 4 / 3


def test_unknown_scheme_is_refused_with_the_nearest():
    with pytest.raises(TqhwError, match=r"unknown scheme 'truncquand' \(did you mean 'truncquant'"):
        scheme_named("truncquand")


def test_gradient_must_belong_to_the_scheme():
    assert gradient_named(scheme_named("dorefa"), None) == "plain"
    with pytest.raises(TqhwError, match=r"'dorefa' has no straight-through gradient 'paper' \(use plain\)"):
        gradient_named(scheme_named("dorefa"), "paper")
    with pytest.raises(TqhwError, match=r"unknown straight-through gradient 'papr'"):
        gradient_named(scheme_named("truncquant"), "papr")
