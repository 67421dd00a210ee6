"""normalization: auto."""

import logging

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.quant.nets import images, tiny  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant import Normalization, QuantConfig, SwitchableBatchNorm, convert, quantization_of  # noqa: E402

AUTO = Normalization("auto")


def block() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8), nn.LayerNorm(8), nn.Linear(8, 4))


def test_batch_norms_keep_the_papers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tqhw"):
        model = convert(tiny(), QuantConfig(first=None, last=None, normalization=AUTO))
    assert quantization_of(model) == QuantConfig(first=None, last=None)
    told = "normalization: auto takes the paper's, for a batch norm gives all 3 quantized layers their magnitude back"
    assert told in caplog.messages
    paper = convert(tiny(), QuantConfig(first=None, last=None))
    assert torch.equal(model.eval()(images()), paper.eval()(images()))
    assert isinstance(model.bn1, SwitchableBatchNorm)


def test_without_them_it_is_linear_per_channel_and_nobody_is_warned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tqhw"):
        model = convert(block(), QuantConfig(normalization=AUTO, activations="lsq"))
    assert quantization_of(model).normalization == Normalization("linear")
    assert quantization_of(model).granularity == "channel"
    told = "takes linear per output channel, for no batch norm gives 1 of 1 quantized layers their magnitude back: 2"
    assert any(told in message for message in caplog.messages)
    assert not any("lose" in message for message in caplog.messages)


def test_depthwise_convolutions_have_it_per_channel_too(caplog: pytest.LogCaptureFixture) -> None:
    parts = (
        nn.Conv2d(1, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, groups=8, bias=False),
        nn.BatchNorm2d(8),
    )
    with caplog.at_level(logging.INFO, "tqhw"):
        model = convert(nn.Sequential(*parts), QuantConfig(first=None, last=None, normalization=AUTO))
    assert quantization_of(model).normalization == Normalization("linear")
    assert any("for 1 of 2 quantized layers are grouped convolutions: 2" in message for message in caplog.messages)


def test_the_model_has_its_own_parameters_and_norms_afterwards() -> None:
    model = tiny()
    own, norms = {name: id(p) for name, p in model.named_parameters()}, (model.bn1, model.bn2)
    with pytest.raises(TqhwError, match="granularity"):
        convert(model, QuantConfig(normalization=AUTO, granularity=64))
    convert(model, QuantConfig(normalization=AUTO, norms="shared"))
    assert (model.bn1, model.bn2) == norms
    names = {name.replace("parametrizations.weight.original", "weight"): id(p) for name, p in model.named_parameters()}
    assert names == own


def test_what_auto_chooses_is_not_chosen_beside_it() -> None:
    with pytest.raises(TqhwError, match=r"kind: auto chooses clip, scales, offset and zero itself .use kind: linear"):
        Normalization("auto", scales="own")
    with pytest.raises(TqhwError, match=r"granularity: auto takes no groups .use normalization: {kind: linear}"):
        QuantConfig(normalization=AUTO, granularity=64)
