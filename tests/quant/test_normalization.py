"""Every normalisation: its formula, and that a right shift of its codes is quantizing anew."""

import re
from itertools import product

import pytest

torch = pytest.importorskip("torch")

from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import Normalization, QuantConfig, Slices, quantize, scheme_named  # noqa: E402
from tqhw.quant.normalization import Normalizer  # noqa: E402

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
MILLION = 1 << 20
WAYS = [
    Normalization("linear", clip, scales, offset, zero)
    for clip, scales, offset, zero in product(("max", "searched"), ("shared", "own"), (False, True), (False, True))
    if not (offset and zero)
]
OFFSET_OR_ZERO = [(False, False), (True, False), (False, True)]
SLICES = [{}, {"channel_axis": 0}, {"channel_axis": 0, "group": 32}, {"channel_axis": 1, "group": 64}]


def name(way):
    return "-".join([way.clip, way.scales, *(["offset"] if way.offset else []), *(["zero"] if way.zero else [])])


def weights(dtype=torch.float32, count=MILLION, rows=256):
    """Random weights with exact zeros, a denormal and outliers, not centred."""
    w = torch.randn(count, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 0.05 + 0.01
    w[::97] = 0
    w[:4] = torch.tensor([0.0, 1.0, -0.8, 1e-3])
    w = w.to(dtype)
    w[4] = torch.finfo(dtype).smallest_normal / 4
    return w.reshape(rows, -1)


def shift_is_exact(w, way, **slices):
    """Over all b <= B; with the clip of the whole list of precisions, as a stored model has it."""
    codes = {bits: quantize(w, bits, normalization=way, **slices) for bits in range(way.fewest, 9)}
    return all(
        torch.equal(codes[stored].truncate(bits).codes, codes[bits].codes)
        and torch.equal(codes[stored].truncate(bits).dequantize(), codes[bits].dequantize())
        for stored in codes
        for bits in range(way.fewest, stored)
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("way", [w for w in WAYS if (w.clip, w.scales) == ("max", "shared")], ids=name)
def test_truncating_a_million_weights_is_quantizing_them_anew(way, dtype):
    assert shift_is_exact(weights(dtype), way, channel_axis=0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("slices", SLICES, ids=str)
def test_it_is_so_for_a_million_weights_in_groups_with_any_clip(slices, dtype):
    """Clips at shares that learning might have come to, of each slice its own; the codes alone, which is all of it."""
    w, parts = weights(dtype), Slices(slices.get("channel_axis"), slices.get("group"))
    for way in (Normalization("linear", "learned", offset=offset, zero=zero) for offset, zero in OFFSET_OR_ZERO):
        how = Normalizer(way)
        scheme = how.scheme(scheme_named("truncquant"))
        drawn = torch.rand(len(parts.rows(w)), 1, generator=torch.Generator().manual_seed(7)) * 0.9 + 0.1
        u = how.normalize(w, parts, parts.stored(drawn, w.shape)).u
        codes = {bits: scheme.codes(u, bits).to(torch.uint8) for bits in range(way.fewest, 9)}
        assert len(codes[8].unique()) > 20
        assert all(torch.equal(codes[b] >> (b - fewer), codes[fewer]) for b in codes for fewer in range(way.fewest, b))


@pytest.mark.parametrize("slices", SLICES, ids=str)
@pytest.mark.parametrize("way", WAYS, ids=name)
def test_it_is_so_for_every_clip_and_every_slice(way, slices):
    assert shift_is_exact(weights(count=1 << 12, rows=64), way, **slices)


def at_every_edge(dtype, way, bits=8):
    """For each edge between two bins of ``bits`` the last weight below and the first above, ends at -1 and 1."""
    ends = torch.tensor([-1.0, 1.0], dtype=dtype)

    def position(w):
        codes = quantize(torch.cat([w, ends]), bits, normalization=way).codes[:-2].int()
        half = 1 << (bits - 1)
        return torch.where(codes >= half, half - 1 - codes, codes) + half if way.zero else codes  # in order of w

    edge = torch.arange(1, 1 << bits)
    below, above = -ends[1].expand(len(edge)), ends[1].expand(len(edge))
    while True:
        middle = (below + above) / 2
        if ((middle == below) | (middle == above)).all():
            assert (position(below) < position(above))[position(above) != position(below)].all()
            return torch.cat([below, above, ends])
        reached = position(middle) >= edge
        below, above = torch.where(reached, below, middle), torch.where(reached, middle, above)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("way", [w for w in WAYS if (w.clip, w.scales) == ("max", "shared")], ids=name)
def test_it_is_so_on_both_sides_of_every_edge(way, dtype):
    w = at_every_edge(dtype, way)
    assert len(quantize(w, 8, normalization=way).codes.unique()) >= 255
    assert shift_is_exact(w, way)


def test_codes_that_are_rounded_do_not_survive_the_shift():
    w, way = weights(count=1 << 12, rows=8), Normalization("linear")
    eight, two = (quantize(w, bits, "dorefa", channel_axis=0, normalization=way) for bits in (8, 2))
    assert not torch.equal(eight.truncate(2).codes, two.codes)


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
@pytest.mark.parametrize("offset", [False, True])
def test_linear_codes_and_numbers_follow_the_definition(bits, offset):
    w = weights(torch.float64, 4096, 8)
    q = quantize(w, bits, channel_axis=0, normalization=Normalization("linear", offset=offset))
    low, high = w.amin(1, keepdim=True), w.amax(1, keepdim=True)
    middle = (low + high) / 2 if offset else torch.zeros_like(low)
    a = (high - low) / 2 if offset else w.abs().amax(1, keepdim=True)
    k = torch.floor(((w - middle) / (2 * a) + 0.5) * 2**bits).clamp(0, 2**bits - 1)
    assert (q.codes.double() - k).abs().max() <= 1 and (q.codes.double() == k).double().mean() > 0.999
    torch.testing.assert_close(q.dequantize(), a * (2 * q.codes.double() / (2**bits - 1) - 1) + middle)
    assert (q.dequantize() - w).abs().max() <= 1.01 * 2 * a.max() / 2**bits


@pytest.mark.parametrize("bits", [2, 3, 8])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_with_zero_pruned_weights_stay_zero_and_others_are_in_the_middle_of_their_bins(bits, dtype):
    w = weights(dtype, 4096, 8)
    for slices in SLICES[1:3]:
        q = quantize(w, bits, normalization=Normalization("linear", zero=True), **slices)
        assert (q.dequantize()[w == 0] == 0).all() and (w == 0).any()
    a, half = w.double().abs().amax(1, keepdim=True), 2 ** (bits - 1)
    q = quantize(w, bits, channel_axis=0, normalization=Normalization("linear", zero=True))
    magnitude = torch.floor(half * w.double().abs() / a).clamp(max=half - 1)
    expected = w.double().sign() * a * (magnitude + 0.5) / half * (magnitude > 0)
    off = (q.dequantize().double() - expected).abs() > 0.02 * a
    assert off.double().mean() < 0.01, "float32 may round a weight over an edge"


def test_own_scales_are_the_least_squares_of_their_codes():
    w = weights(torch.float64, 4096, 8)
    for offset in (False, True):
        q = quantize(w, 8, channel_axis=0, normalization=Normalization("linear", scales="own", offset=offset))
        for bits in (1, 2, 4):
            cut = q.truncate(bits)
            level = 2 * cut.codes.double() / (2**bits - 1) - 1
            left = w - cut.dequantize()
            assert (left * level).sum(dim=1).abs().max() < 1e-9
            assert not offset or left.sum(dim=1).abs().max() < 1e-9
            shared = quantize(w, bits, channel_axis=0, normalization=Normalization("linear", offset=offset))
            assert left.square().sum() <= (w - shared.dequantize()).square().sum()


def error(w, way, bits=(2, 4), **slices):
    q = quantize(w, 8, normalization=way, precisions=bits, **slices)
    return sum((w - q.truncate(b).dequantize()).square().sum() for b in bits)


@pytest.mark.parametrize("scales", ["shared", "own"])
def test_a_searched_clip_is_better_than_the_largest_weight_and_smaller_groups_than_large_ones(scales):
    w = weights(count=1 << 14, rows=32)
    largest, searched = (Normalization("linear", clip, scales) for clip in ("max", "searched"))
    assert error(w, searched, channel_axis=0) < 0.8 * error(w, largest, channel_axis=0)
    sizes = [error(w, searched, channel_axis=0, group=group) for group in (512, 128, 32)]
    assert sizes == sorted(sizes, reverse=True)


def test_equal_weights_and_zeros_stay_what_they_are():
    for way in WAYS:
        zeros = quantize(torch.zeros(4, 8), 4, channel_axis=0, normalization=way)
        assert (zeros.dequantize() == 0).all()
    ones = quantize(torch.full((4, 8), 0.3), 4, channel_axis=0, normalization=Normalization("linear", offset=True))
    assert torch.equal(ones.dequantize(), torch.full((4, 8), 0.3))


def test_a_group_is_quantized_as_if_it_were_alone():
    w = weights(count=1 << 10, rows=4).reshape(4, 8, 4, 8)
    for axis, rows in ((0, w.reshape(4, 256)), (1, w.transpose(0, 1).reshape(8, 128))):
        q = quantize(w, 5, channel_axis=axis, group=32, normalization=Normalization("linear"))
        assert q.scale.shape == (len(rows), rows.shape[1] // 32)
        whole = Slices(axis, 32)
        for number, part in enumerate(rows.reshape(-1, 32)):
            alone = quantize(part, 5, normalization=Normalization("linear"))
            assert torch.equal(whole.rows(q.codes)[number], alone.codes)
            assert torch.equal(whole.rows(q.dequantize())[number], alone.dequantize())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "liner"}, r"kind: unknown value 'liner' \(did you mean 'linear'"),
        ({"kind": "linear", "clip": "min"}, "clip: unknown value 'min'"),
        ({"clip": "searched"}, r"the paper's normalisation has no clip, scales, offset or zero .*\(use kind: linear\)"),
        ({"kind": "linear", "offset": True, "zero": True}, "offset: with an offset, no code of a sign and a magnitude"),
        ({"kind": "linear", "zero": 1}, "zero: 1 must be true or false"),
        ({"knd": "linear"}, "unknown key 'knd'"),
    ],
)
def test_normalisations_that_are_none_are_refused(options, message):
    with pytest.raises(TqhwError, match=message):
        Normalization(**options)


LINEAR, ZERO = {"kind": "linear"}, {"kind": "linear", "zero": True}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"granularity": 64}, r"granularity: the paper's normalisation has no groups.*\(use normalization: {kind: lin"),
        ({"granularity": 0, "normalization": LINEAR}, "granularity: 0 must be at least 1"),
        ({"normalization": ZERO, "precisions": (1, 8)}, "precisions: with zero, 1 bit is the sign alone"),
        ({"normalization": ZERO, "scheme": "dorefa"}, "scheme 'dorefa' has no codes of a sign and a magnitude"),
        ({"normalization": {"kind": "linear", "zer": True}}, "normalization.zer: unknown key 'zer'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(TqhwError, match=message):
        QuantConfig(**options)


def test_groups_that_do_not_divide_a_channel_are_refused():
    with pytest.raises(
        TqhwError, match=r"the 36 weights of an output channel are no whole .* of 32 \(use groups of 18"
    ):
        quantize(torch.ones(8, 4, 3, 3), group=32, normalization=Normalization("linear"))


def test_a_weight_has_no_groups_by_the_papers_normalisation_and_no_network_for_auto():
    with pytest.raises(
        TqhwError, match=r"group: the paper's normalisation has no groups.*\(use normalization: {kind: l"
    ):
        quantize(torch.ones(8, 64), group=32)
    with pytest.raises(TqhwError, match=r"normalization: auto looks at the network of a weight.*\(use kind: linear or"):
        quantize(torch.ones(8, 64), normalization=Normalization("auto"))


@pytest.mark.parametrize("way", [{"scales": "own"}, {"scales": "own", "zero": True}, {"scales": "own", "offset": True}])
@pytest.mark.parametrize("largest", [(torch.float16, 65504.0), (torch.bfloat16, 9e36), (torch.float64, 1e150)], ids=str)
def test_scales_that_are_fitted_to_the_largest_weights_of_a_type_do_not_pass_its_end(way, largest):
    dtype, most = largest
    w = torch.randn(8, 24, generator=torch.Generator().manual_seed(1)).clamp(-1, 1).double()
    w = (torch.cat([w, w.sign(), w.abs()]) * most).to(dtype)
    for bits in (8, 4, 2):
        q = quantize(w, bits, **of(way))
        assert torch.isfinite(q.dequantize()).all()
        assert torch.equal(q.truncate(2).dequantize(), quantize(w, 2, **of(way)).dequantize())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_weights_near_the_end_of_a_type_are_refused(dtype):
    rule = "1e+150" if dtype == torch.float64 else "1e+37"
    with pytest.raises(TqhwError, match=rf"weight: a weight of magnitude .* is above {re.escape(rule)}: sums would"):
        quantize(torch.tensor([1.0, -torch.finfo(dtype).max], dtype=dtype))


def of(way):
    return {"normalization": Normalization("linear", **way), "channel_axis": 0}


def test_bits_without_scales_are_refused():
    q = quantize(torch.ones(4, 4), 4, normalization=Normalization("linear", scales="own", zero=True))
    with pytest.raises(TqhwError, match=r"there are no scales for 1 bits \(use one of 2, 3, 4\)"):
        q.truncate(1)
