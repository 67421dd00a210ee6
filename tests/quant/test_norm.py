import copy
import threading

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn.utils import parametrize  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    QuantConfig,
    SwitchableBatchNorm,
    convert,
    is_quantized,
    load,
    revert,
    save,
    set_bits,
)
from tqhw.quant.statistics import measure_norms  # noqa: E402


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


class NormReLU(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x).relu()


class NormWith(nn.BatchNorm2d):
    def __init__(self, channels, act):
        super().__init__(channels)
        self.act = act


class Renamed(nn.BatchNorm2d):
    pass


def net(norm):
    return nn.Sequential(nn.Conv2d(1, 3, 3), norm, nn.Conv2d(3, 3, 3), nn.Flatten())


class NormPReLU(nn.BatchNorm2d):
    def __init__(self, channels):
        super().__init__(channels)
        self.act = nn.PReLU(channels)

    def forward(self, x):
        return self.act(super().forward(x))


@pytest.mark.parametrize("norm", [NormReLU(3), NormWith(3, 1), NormPReLU(3), nn.BatchNorm2d(3, bias=False)])
def test_norms_that_do_more_do_it_at_every_precision(norm):
    x, kind = batch(1.0), type(norm)
    alone = copy.deepcopy(norm).eval()
    model = convert(net(norm), QuantConfig(precisions=(2, 8), first=None))
    own = model[1].eval()
    assert isinstance(own, kind) and type(own.at["2"]) is kind
    for bits in (2, 8):
        own.select(bits)
        assert torch.equal(own(x), alone(x))
    with torch.no_grad():
        own.at["2"].weight.fill_(3)
        if kind is NormPReLU:
            own.at["2"].act.weight.fill_(-2)
            alone.act.weight.fill_(-2)
        alone.weight.fill_(3)
    own.select(2)
    assert torch.equal(own(x), alone(x))
    other = SwitchableBatchNorm(kind(3, 1) if kind is NormWith else copy.deepcopy(alone), (2, 8))
    other.load_state_dict(alone.state_dict())
    assert torch.equal(other.at["2"].weight, alone.weight)
    reverted = revert(model)[1]
    assert type(reverted) is kind and torch.equal(reverted(x), alone(x))
    assert set(reverted.state_dict()) == set(alone.state_dict())


def test_a_norm_that_stands_twice_in_one_module_stays_one():
    shared = nn.BatchNorm2d(3)
    model = net(shared)
    model.add_module("again", shared)
    convert(model, QuantConfig(precisions=(2, 8), first=None))
    assert model.again is model[1] and type(model.again).__mro__[1] is SwitchableBatchNorm
    assert revert(model).again is model[1]


def test_hooks_of_the_norm_stay_and_run_once():
    norm, seen = nn.BatchNorm2d(3), []
    norm.register_forward_hook(lambda module, *_: seen.append(module))
    model = convert(net(norm), QuantConfig(precisions=(2, 8), first=None))
    model[1].select(2)
    model[1](batch(0.0))
    assert seen == [model[1]]


class NoCopy(nn.BatchNorm2d):
    def __init__(self, channels):
        super().__init__(channels)
        self.lock = threading.Lock()  # what cannot be copied


def test_a_conversion_that_fails_half_way_leaves_the_model_as_it_was():
    odd, plain = NoCopy(3), nn.BatchNorm2d(3)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), plain, odd, nn.Conv2d(3, 3, 3), nn.Flatten())
    before = [*model.state_dict()]
    with pytest.raises(TypeError, match="cannot pickle"):
        convert(model, QuantConfig(precisions=(2, 8), first=None, last=None))
    assert model[1] is plain and model[2] is odd and type(model[0]) is nn.Conv2d
    assert [*model.state_dict()] == before and not is_quantized(model)


def test_a_norm_whose_tensors_are_computed_is_refused():
    norm = nn.BatchNorm2d(3)
    parametrize.register_parametrization(norm, "weight", nn.Identity())
    with pytest.raises(TqhwError, match=r"^1: its tensors are computed by a parametrization \(remove it first\)"):
        convert(net(norm), QuantConfig(precisions=(2, 8), first=None))


def test_a_subclass_that_changes_nothing_is_kept():
    model = convert(net(Renamed(3)), QuantConfig(precisions=(2, 8), first=None))
    assert type(model[1].at["2"]) is Renamed and type(revert(model)[1]) is Renamed


def test_frozen_parameters_stay_frozen_at_every_precision():
    norm = nn.BatchNorm2d(3)
    norm.weight.requires_grad_(False)
    model = convert(net(norm), QuantConfig(precisions=(2, 8), first=None))
    for own in (model[1], model[1].at["2"], revert(model)[1]):
        assert not own.weight.requires_grad and own.bias.requires_grad


def test_norms_that_are_named_stay_one_for_all_precisions(tmp_path):
    """As the shortcuts' norms in the published code of Any-Precision DNNs."""
    config = QuantConfig(precisions=(2, 8), last=None, unswitched=("*2",))
    model = convert(tiny(), config)
    assert isinstance(model.bn1, SwitchableBatchNorm) and type(model.bn2) is nn.BatchNorm2d
    for bits in (2, 8):
        set_bits(model, bits)
        model.train()(images())
    assert model.bn2.num_batches_tracked == 2 and model.bn1.of(2).num_batches_tracked == 1
    kept = model.bn2.running_mean.clone()
    measure_norms(model, lambda: [model(images() + 1)])
    assert torch.equal(model.bn2.running_mean, kept), "they serve the other precisions, too"
    model.eval()
    save(model, tmp_path / "one.tqhw")
    for bits in (2, 8):
        set_bits(model, bits)
        assert torch.equal(load(tmp_path / "one.tqhw", bits).into(tiny(1)).eval()(images()), model(images()))


def test_a_pattern_that_names_no_norm_is_refused():
    with pytest.raises(TqhwError, match=r"unswitched: unknown batch norm 'bn3' \(did you mean 'bn"):
        convert(tiny(), QuantConfig(unswitched=("bn3",)))
    with pytest.raises(TqhwError, match="unswitched: shared norms are one for all precisions already"):
        QuantConfig(norms="shared", unswitched=("bn1",))
