import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import SwitchableBatchNorm  # noqa: E402


def batch(mean):
    return torch.randn(32, 3, 4, 4, generator=torch.Generator().manual_seed(0)) + mean


def test_each_precision_keeps_its_own_statistics():
    norm = SwitchableBatchNorm(nn.BatchNorm2d(3, momentum=1.0), (2, 8))
    norm.select(8)
    norm(batch(5.0))
    norm.select(2)
    norm(batch(-5.0))
    assert float(norm.running_mean.mean()) == pytest.approx(5, abs=0.1)
    assert float(norm.at["2"].running_mean.mean()) == pytest.approx(-5, abs=0.1)


def test_state_dict_of_one_norm_fills_every_precision():
    plain = nn.BatchNorm2d(3)
    torch.nn.init.constant_(plain.weight, 0.3)
    norm = SwitchableBatchNorm(nn.BatchNorm2d(3), (2, 4, 8))
    norm.load_state_dict(plain.state_dict())
    assert set(plain.state_dict()) < set(norm.state_dict())
    for bits in ("2", "4"):
        assert torch.equal(norm.at[bits].weight, plain.weight)
    norm.at["2"].weight.data.zero_()
    assert torch.equal(norm.at["4"].weight, plain.weight), "the precisions share no storage"


def test_without_affine_parameters_or_statistics():
    norm = SwitchableBatchNorm(nn.BatchNorm1d(3, affine=False, track_running_stats=False), (2, 8))
    norm.select(2)
    assert float(norm(torch.randn(8, 3)).mean().abs()) < 1e-6


def test_an_unknown_precision_is_refused():
    norm = SwitchableBatchNorm(nn.BatchNorm2d(3), (2, 8))
    with pytest.raises(TqhwError, match=r"no batch norm for 5 bits \(trained precisions: 2, 8; add_precision"):
        norm.select(5)


def test_the_shape_of_the_input_is_checked_as_before():
    with pytest.raises(ValueError, match=r"expected 4D input"):
        SwitchableBatchNorm(nn.BatchNorm2d(3), (2, 8))(torch.randn(4, 3))


def test_the_precisions_are_shown():
    assert "precisions=[2, 8]" in repr(SwitchableBatchNorm(nn.BatchNorm2d(3), (2, 8)))
