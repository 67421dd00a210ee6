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
        ({"precisions": ("two",)}, "precisions: 'two' must be a whole number"),
        ({"precisions": (2, 2)}, "names a precision twice"),
        ({"scheme": "trunquant"}, "did you mean 'truncquant'"),
        ({"gradient": "exakt"}, "did you mean 'exact'"),
        ({"scheme": "dorefa", "gradient": "exact"}, "'dorefa' has no straight-through gradient 'exact'"),
        ({"norms": "switched"}, "norms: unknown value 'switched' .did you mean 'switchable'"),
        ({"granularity": "row"}, "granularity: unknown value 'row' .known: tensor, channel"),
        ({"activations": "packt"}, "activations: unknown value 'packt' .did you mean 'pact'"),
        ({"first": 9}, "first: 9 must be at most 8 .Bits of the first layer"),
        ({"last": "ful"}, "last: unknown value 'ful' .did you mean 'full'"),
        ({"alpha": 0}, "alpha: 0 must be more than 0 .Where the clamp of pact starts"),
        ({"alpha": float("nan")}, "alpha: nan must be a finite number"),
        ({"activation_bits": 9}, "activation_bits: 9 must be at most 8"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(TqhwError, match=message):
        QuantConfig(**options)
