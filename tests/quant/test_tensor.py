import pytest

torch = pytest.importorskip("torch")

from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import normalize, quantize  # noqa: E402

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]


def weights(dtype=torch.float32, count=1_000_000):
    """Random weights with an exact 0, a denormal, and both ends of the range."""
    w = torch.randn(count, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 0.05
    w[:4] = torch.tensor([0.0, 1.0, -1.0, 1e-3])
    w = w.to(dtype)
    w[4] = torch.finfo(dtype).smallest_normal / 4
    return w


def at_every_edge(dtype):
    """For each of the 255 edges of the 8-bit bins the last weight below and the first above; the largest is 1."""
    one = torch.ones(1, dtype=dtype)
    edge = torch.arange(1, 256)
    below, above = -one.expand(255), one.expand(255)
    while True:
        middle = (below + above) / 2
        if ((middle == below) | (middle == above)).all():
            return torch.cat([below, above])
        reached = quantize(torch.cat([middle, one]), 8).codes[:-1] >= edge
        below, above = torch.where(reached, below, middle), torch.where(reached, middle, above)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_truncating_is_quantizing_for_truncquant_and_not_for_dorefa(dtype):
    edges = at_every_edge(dtype)
    w = torch.cat([weights(dtype), edges])
    assert w.abs().max() == 1
    below, above = quantize(w, 8).codes[-510:].int().chunk(2)
    assert (below < above).all(), "they lie on both sides"
    for scheme, exact in (("truncquant", True), ("dorefa", False)):
        codes = {bits: quantize(w, bits, scheme) for bits in range(1, 9)}
        same = [
            torch.equal(codes[stored].truncate(bits).codes, codes[bits].codes)
            for stored in range(1, 9)
            for bits in range(1, stored)
        ]
        assert all(same) == exact


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_codes_and_real_weights_follow_the_definition(bits):
    w = weights(torch.float64, 2000).reshape(20, 100)
    u = torch.tanh(w) / (2 * torch.tanh(w).abs().max()) + 0.5
    top = 2**bits - 1
    for scheme, expected in (
        ("truncquant", torch.floor((top + 1) * u).clamp(max=top)),
        ("dorefa", torch.round(top * u)),
    ):
        q = quantize(w, bits, scheme)
        assert q.codes.dtype == torch.uint8 and q.codes.shape == w.shape and q.bits == bits
        assert torch.equal(q.codes.double(), expected)
        torch.testing.assert_close(q.dequantize(), w.abs().mean() * (2 * expected / top - 1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dequantize_returns_the_type_of_the_weight(dtype):
    q = quantize(weights(dtype, 100), 4)
    assert q.dequantize().dtype == dtype
    assert q.truncate(2).dequantize().dtype == dtype


def test_a_scale_per_channel_quantizes_each_channel_by_itself():
    w = weights(count=1000).reshape(4, 10, 25) * torch.tensor([1.0, 10.0, 0.1, 0.0]).reshape(4, 1, 1)
    q = quantize(w, 8, channel_axis=0)
    assert q.scale.shape == (4, 1, 1)
    for channel in range(4):
        alone = quantize(w[channel], 8)
        assert torch.equal(q.codes[channel], alone.codes)
        assert torch.equal(q.dequantize()[channel], alone.dequantize())


def test_zero_weights_stay_zero():
    assert torch.equal(quantize(torch.zeros(3, 3), 2).dequantize(), torch.zeros(3, 3))


def test_scale_does_not_depend_on_the_number_of_threads():
    w = weights()
    before = torch.get_num_threads()
    try:
        scales = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            scales.append(normalize(w).scale)
    finally:
        torch.set_num_threads(before)
    assert scales[0] == scales[1] == scales[2]


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (0, r"bits: 0 bits cannot be had: codes have 1 to 8 bits \(use 1 to 8\)"),
        (9, "9 bits cannot be had"),
        ("two", "'two' is not a whole number of bits"),
        (True, "True is not a whole number"),
        (2.0, "2.0 is not a whole number"),
    ],
)
def test_bits_outside_the_range_are_refused(bits, message):
    with pytest.raises(TqhwError, match=message):
        quantize(torch.ones(2), bits)


def test_more_bits_than_stored_are_refused():
    with pytest.raises(TqhwError, match=r"6 bits cannot be had: the codes are stored at 4 bits \(use 1 to 4\)"):
        quantize(torch.ones(2), 4).truncate(6)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.tensor([1.0, float("nan"), float("inf")]), "2 of 3 weights are NaN or infinite"),
        (torch.ones(3, dtype=torch.int32), "a weight is a floating-point tensor, not torch.int32"),
        ([1.0], "not list"),
        (torch.ones(0, 3), r"a weight of shape \(0, 3\) holds no number"),
    ],
)
def test_what_is_no_weight_is_refused(weight, message):
    with pytest.raises(TqhwError, match=message):
        quantize(weight)


def test_a_channel_axis_that_is_not_there_is_refused():
    with pytest.raises(TqhwError, match=r"axis 2 is not one of the 2"):
        quantize(torch.ones(2, 2), channel_axis=2)
