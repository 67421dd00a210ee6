import pytest

pytest.importorskip("torch")

from tqhw.errors import TqhwError
from tqhw.quant import QuantConfig


def test_precisions_are_put_in_rising_order():
    assert QuantConfig(precisions=[8, 32, 2]).precisions == (2, 8, 32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precisions": ()}, "the list of precisions is empty"),
        ({"precisions": (0, 8)}, "precisions: 0 bits cannot be had"),
        ({"precisions": (9,)}, "9 bits cannot be had"),
        ({"precisions": ("two",)}, "'two' is not a whole number of bits"),
        ({"precisions": (2, 2)}, "names a precision twice"),
        ({"scheme": "trunquant"}, "did you mean 'truncquant'"),
        ({"gradient": "exakt"}, "did you mean 'exact'"),
        ({"scheme": "dorefa", "gradient": "exact"}, "'dorefa' has no straight-through gradient 'exact'"),
        ({"norms": "switched"}, "norms: unknown norms 'switched'"),
        ({"granularity": "row"}, "unknown granularity 'row'"),
        ({"activations": "packt"}, "unknown activations 'packt' .did you mean 'pact'"),
        ({"first": 9}, "first: 9 bits cannot be had"),
        ({"last": "ful"}, "last: 'ful' is not a whole number of bits"),
        ({"alpha": 0}, "alpha: a clamp at 0 leaves no range of activations .use a number above 0"),
        ({"alpha": float("nan")}, "alpha: a clamp at nan leaves no range"),
        ({"activation_bits": 9}, "activation_bits: 9 bits cannot be had"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(TqhwError, match=message):
        QuantConfig(**options)
