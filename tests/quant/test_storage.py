import pytest

torch = pytest.importorskip("torch")

from tests.quant.nets import tiny  # noqa: E402
from tqhw import models  # noqa: E402
from tqhw.quant import QuantConfig, convert, storage  # noqa: E402


def test_every_part_is_counted():
    parts = storage(convert(tiny(), QuantConfig(precisions=(2, 4, 8), first=8, last="full")), stored=4)
    assert parts.codes == 72 + 1152 // 2, "conv1 keeps 8 bits, conv2 has 4"
    assert parts.scales == 2 * 4
    assert parts.norms == 2 * (8 + 16) * 4 * 4, "4-bit codes serve 2 and 4 bits"
    assert parts.unquantized == (160 + 10 + 8) * 4
    assert parts.fp32 == 4 * (72 + 1152 + 160 + 10 + 8 + 24 * 4)
    assert parts.total == parts.codes + parts.scales + parts.norms + parts.unquantized


def test_a_scale_per_channel_takes_more():
    model = convert(tiny(), QuantConfig(precisions=(8,), granularity="channel", norms="shared"))
    assert storage(model).scales == 4 * 16


def test_resnet50_comes_near_the_papers_ratio():
    """The paper states 3.53; this counts 8-bit codes everywhere and batch norms for 8 precisions."""
    every = QuantConfig(precisions=tuple(range(1, 9)), first=None, last=None)
    parts = storage(convert(models.build("resnet50"), every))
    assert parts.codes == 25_502_912
    assert parts.norms == 8 * 53_120 * 2 * 4
    assert parts.unquantized == 4 * 1000
    assert parts.ratio == pytest.approx(3.54, abs=0.02)
