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
    keep_precisions,
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


@pytest.mark.parametrize("kept", [(2,), (8,), (2, 4), (4, 8), (3, 4), (2, 3, 4, 8)])
def test_precisions_that_are_kept_give_what_they_gave(kept):
    model = convert(tiny(), QuantConfig(precisions=(2, 4, 8), first=None, last=None))
    add_precision(model, 3)
    with torch.no_grad():
        for number, bits in enumerate((2, 3, 4, 8)):
            set_bits(model, bits)
            for norm in (model.bn1, model.bn2):
                norm.active.running_mean.add_(number / 10)
                norm.active.weight.mul_(1 + number)
        model.eval()
        expected = {}
        for bits in kept:
            set_bits(model, bits)
            expected[bits] = model(images())
        keep_precisions(model, kept)
        assert quantization_of(model).precisions == kept and model.bn1.bits == kept[-1]
        for bits in (2, 3, 4, 8):
            if bits in kept:
                set_bits(model, bits)
                assert torch.equal(model(images()), expected[bits])
            else:
                with pytest.raises(TqhwError, match=f"there is no batch norm for {bits} bits"):
                    set_bits(model, bits)
    assert sum("bn1" in name for name in model.state_dict()) == 5 * len(kept)


def test_precisions_that_are_not_there_cannot_be_kept():
    model = convert(tiny(), QuantConfig(precisions=(2, 8), norms="shared"))
    with pytest.raises(TqhwError, match=r"the model has no precision of 4 bits .it has 2, 8; add_precision makes"):
        keep_precisions(model, (2, 4))
    keep_precisions(model, (2,))
    with pytest.raises(TqhwError, match=r"there is no batch norm for 8 bits"):
        set_bits(model, 8)
