import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import (  # noqa: E402
    QuantConfig,
    SwitchableBatchNorm,
    add_precision,
    convert,
    quantization_of,
    quantized_layers,
    set_bits,
)

EVERY_LAYER = QuantConfig(first=None, last=None)


def test_switching_changes_every_layer_that_is_not_fixed():
    model = convert(tiny(), QuantConfig(first=8, last=None))
    set_bits(model, 2)
    assert [layer.quantizer.bits for layer in quantized_layers(model)] == [8, 2, 2]
    assert model.bn1.bits == 2
    assert len(model.conv2.weight.unique()) == 4


def test_a_refused_switch_changes_nothing():
    model = convert(tiny(), EVERY_LAYER)
    with pytest.raises(TqhwError, match=r"no batch norm for 5 bits"):
        set_bits(model, 5)
    with pytest.raises(TqhwError, match=r"'two' is not a whole number"):
        set_bits(model, "two")
    assert {layer.quantizer.bits for layer in quantized_layers(model)} == {8}
    assert model.bn1.bits == 8


def test_shared_norms_take_any_precision():
    model = convert(tiny(), QuantConfig(norms="shared"))
    set_bits(model, 5)
    assert type(model.bn1) is nn.BatchNorm2d


def test_a_precision_is_added_with_the_norm_of_the_next_higher():
    model = convert(tiny(), EVERY_LAYER)
    model.bn1.at["6"].weight.data.fill_(6)
    model.bn1.weight.data.fill_(8)
    for bits in (5, 7, 32):
        add_precision(model, bits)
    assert [model.bn1.at[bits].weight[0] for bits in ("5", "7", "32")] == [6, 8, 8]
    assert quantization_of(model).precisions == (2, 4, 5, 6, 7, 8, 32)
    set_bits(model, 5)
    assert model.bn1.active is model.bn1.at["5"]


def test_adding_what_is_there_changes_nothing():
    model = convert(tiny(), EVERY_LAYER)
    model.bn1.at["2"].weight.data.fill_(2)
    add_precision(model, 2)
    assert model.bn1.at["2"].weight[0] == 2 and quantization_of(model).precisions == (2, 4, 6, 8)


def test_a_model_with_shared_norms_gets_one_per_precision():
    model = convert(tiny(), QuantConfig(norms="shared", precisions=(4, 8)))
    model.bn1.running_mean.fill_(3)
    add_precision(model, 2)
    assert isinstance(model.bn1, SwitchableBatchNorm)
    assert quantization_of(model).norms == "switchable"
    for bits in (2, 4, 8):
        set_bits(model, bits)
        assert model.bn1.active.running_mean[0] == 3
    assert model.eval()(images()).shape == (6, 10)
