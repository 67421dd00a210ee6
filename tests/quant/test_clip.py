import pytest

torch = pytest.importorskip("torch")

from tqhw.quant import scheme_named  # noqa: E402
from tqhw.quant.clip import best_clip  # noqa: E402


def error(values, clip, bits):
    u = (values / clip).clamp(0, 1)
    return float((scheme_named("truncquant").codes(u, bits) * clip / (2**bits - 1) - values).square().sum())


def test_the_clip_has_the_least_error_of_all_that_are_tried():
    values = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).relu()
    values[0] = 50  # an outlier
    for precisions in ((2,), (8,), (2, 4, 8)):
        found = best_clip(values, 0.0, scheme_named("truncquant"), precisions)
        tried = [50 * 2 ** (-step / 4) for step in range(41)]
        costs = {clip: sum(error(values, clip, bits) for bits in precisions) for clip in tried}
        assert found == pytest.approx(min(costs, key=costs.get))
        assert (found < 50) == (2 in precisions)


def test_few_bits_clip_more():
    values = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).abs()
    two, eight = (best_clip(values, 0.0, scheme_named("truncquant"), (bits,)) for bits in (2, 8))
    assert two < eight


def test_a_range_below_zero_ends_at_the_smallest_value():
    values = torch.nn.functional.gelu(torch.randn(20_000, generator=torch.Generator().manual_seed(0)))
    found = best_clip(values, float(values.min()), scheme_named("truncquant"), (8,))
    assert found > values.max() / 2
