import pytest

pytest.importorskip("torch")

from tests.quant.nets import tiny
from tqhw.errors import TqhwError
from tqhw.quant import Normalization, QuantConfig, convert


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


def test_options_by_position_are_refused_with_their_key():
    with pytest.raises(TqhwError, match=r"kind: unknown value 'lin' .did you mean 'linear'. known: tanh, linear, auto"):
        Normalization("lin")
    with pytest.raises(TqhwError, match="offset: 1 must be true or false"):
        Normalization("linear", "max", "shared", 1)
    with pytest.raises(TqhwError, match="Unexpected positional argument"):
        QuantConfig("truncquant", (2, 8), "full")


@pytest.mark.parametrize("bits", [{"first": 1}, {"last": 1}, {"layers": {"conv2": 1}}], ids=str)
def test_with_a_zero_no_layer_has_one_bit(bits):
    with pytest.raises(TqhwError, match=r"bits of layer '\w+': with zero, 1 bit is the sign alone and every weight 0"):
        convert(tiny(), QuantConfig(**bits, normalization=Normalization("linear", zero=True)))
