"""Precisions of a quantized model in its layers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tqhw.models import build  # noqa: E402
from tqhw.quant import QuantConfig, convert, integer_codes, running_on_codes, set_bits  # noqa: E402
from tqhw.workload import Workload, extract  # noqa: E402

SHAPE = (1, 3, 32, 32)


def bits(workload: Workload) -> dict[str, tuple[int | None, bool]]:
    return {name: (layer.weight_bits, layer.fixed_bits) for layer in workload.layers for name in layer.names}


def test_a_plain_model_says_nothing() -> None:
    assert set(bits(extract(build("resnet20"), SHAPE)).values()) == {(None, False)}


def test_layers_say_their_bits_and_whether_they_follow_a_switch() -> None:
    model = convert(build("resnet20"), QuantConfig(precisions=(2, 4, 8), layers={"layer2.0.conv1": 6}))
    found = bits(extract(model, SHAPE))
    assert found.pop("conv1") == found.pop("fc") == (32, True)
    assert found.pop("layer2.0.conv1") == (6, True)
    assert set(found.values()) == {(8, False)}
    set_bits(model, 2)
    found = bits(extract(model, SHAPE))
    assert found["layer2.0.conv1"] == (6, True)
    assert found["layer3.2.conv2"] == (2, False)


def test_quantizing_changes_neither_work_nor_weights() -> None:
    plain = extract(build("resnet20"), SHAPE)
    model = convert(build("resnet20"), QuantConfig(precisions=(2, 4, 8), first=None, last=None))
    for precision in (2, 8):
        set_bits(model, precision)
        quantized = extract(model, SHAPE)
        assert [layer.names for layer in quantized.layers] == [layer.names for layer in plain.layers]
        assert (quantized.macs, quantized.weights) == (plain.macs, plain.weights)
        # The channels of one precision are fetched at a switch; all three sets are stored.
        assert quantized.norm_channels == plain.norm_channels
        assert quantized.norm_parameters == 3 * plain.norm_parameters
        assert quantized.other_parameters == plain.other_parameters


def test_a_model_that_runs_on_integer_codes() -> None:
    model = convert(build("resnet20"), QuantConfig(precisions=(2, 8), first=None, last=None))
    expected = extract(model, SHAPE)
    with running_on_codes(model, integer_codes(model), bits=8):
        assert extract(model, SHAPE) == expected


def test_problems_of_one_size_but_two_precisions_stay_apart() -> None:
    model = nn.Sequential(*[nn.Conv2d(4, 4, 3, padding=1) for _ in range(4)])
    convert(model, QuantConfig(precisions=(2, 8), first=None, last=None, layers={"1": 3, "2": "full"}))
    layers = extract(model, (1, 4, 6, 6)).layers
    assert [(layer.names, layer.weight_bits) for layer in layers] == [(("0", "3"), 8), (("1",), 3), (("2",), 32)]
