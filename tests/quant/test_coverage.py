import logging

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.quant.nets import tiny  # noqa: E402
from tqhw.quant import QuantConfig, convert, coverage  # noqa: E402


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4)
        self.first, self.head = nn.Linear(4, 6), nn.Linear(6, 10)
        self.experts = nn.Parameter(torch.ones(3, 4, 5))
        self.token = nn.Parameter(torch.ones(1, 1, 4))
        self.rnn = nn.GRU(2, 3)


def test_what_stays_is_named_with_its_share_and_reason(caplog):
    with caplog.at_level(logging.INFO, "tqhw"):
        model = convert(Mixed(), QuantConfig(first="full", last=None))
    found = coverage(model)
    rnn = 9 * 2 + 9 * 3
    assert (found.switch, found.total) == (60 + rnn, 40 + 24 + 60 + 60 + rnn)
    assert {kept.place: (kept.numbers, kept.why) for kept in found.kept} == {
        "experts": (60, "in FP32: a Mixed is no layer that can be quantized"),
        "table.weight": (40, "looked up, not multiplied"),
        "first.weight": (24, "in FP32 as first, last or layers say"),
    }
    assert found.text == (
        "45.9 % of the weights switch their bits (105 of 229); what stays: 26.2 % experts (in FP32: a Mixed is no "
        "layer that can be quantized); 17.5 % table.weight (looked up, not multiplied); 10.5 % first.weight (in FP32 "
        "as first, last or layers say)"
    )
    assert ("tqhw", logging.WARNING, found.text) in caplog.record_tuples


def test_what_options_keep_is_no_warning(caplog):
    with caplog.at_level(logging.INFO, "tqhw"):
        model = convert(tiny(), QuantConfig(last=4))
    assert coverage(model).text == (
        "83.2 % of the weights switch their bits (1,152 of 1,384); what stays: 11.6 % fc.weight (always at 4 bits); "
        "5.2 % conv1.weight (in FP32 as first, last or layers say)"
    )
    assert ("tqhw", logging.INFO, coverage(model).text) in caplog.record_tuples
    whole = coverage(convert(tiny(), QuantConfig(first=None, last=None)))
    assert whole.share == 1 and whole.text == "100.0 % of the weights switch their bits (1,384 of 1,384)"


def test_a_tied_weight_counts_once_and_is_named_where_it_stays():
    model = nn.ModuleList([nn.Embedding(9, 4), nn.Linear(4, 9), nn.Linear(4, 9)])
    model[1].weight = model[2].weight = model[0].weight
    found = coverage(convert(model, QuantConfig(first=None, last=None)))
    assert (found.switch, found.total, found.tied) == (36, 36, 36) and [kept.place for kept in found.kept] == [
        "0.weight"
    ]


def test_many_places_are_counted():
    model = nn.Sequential(*(nn.Bilinear(2, 2, 3) for _ in range(5)), nn.Linear(3, 3))
    assert (
        "0.weight, 1.weight, 2.weight and 2 more (in FP32: a Bilinear"
        in coverage(convert(model, QuantConfig(first=None, last=None))).text
    )


def test_a_weight_that_is_computed_stays():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 6))
    found = coverage(convert(nn.Sequential(layer, nn.Linear(6, 5)), QuantConfig(first="full", last=None)))
    assert (found.switch, found.total) == (30, 54)
    assert [(kept.place, kept.numbers) for kept in found.kept] == [("0.parametrizations.weight.original1", 24)]
    assert "(in FP32: parts of a weight that is computed, by weight_norm say)" in found.text
