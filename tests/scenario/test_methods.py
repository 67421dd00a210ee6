from __future__ import annotations

import pytest

from tqhw.errors import TqhwError
from tqhw.scenario.methods import precisions, ways, widths
from tqhw.scenario.network import Width
from tqhw.scenario.ways import Options

ALL = ("truncquant", "any_precision", "multi_model", "fixed")


def test_each_rendering_is_needed_once() -> None:
    assert widths(ALL, (2, 8), Options()) == (Width(2, 2), Width(8, 8), Width(32, 2), Width(32, 8))
    assert widths(("truncquant",), (2, 8), Options(layout="packed")) == (Width(8, 2), Width(8, 8))
    assert widths(("any_precision",), (2,), Options(requantize="writeback")) == (Width(2, 2),)
    assert widths(("fixed",), (2, 4), Options(stored_bits=6)) == (Width(6, 6),)


def test_fixed_knows_only_the_stored_bits() -> None:
    assert precisions("fixed", (2, 4), Options()) == (8,)
    assert precisions("truncquant", (2, 4), Options()) == (2, 4)


@pytest.mark.parametrize("bits", [0, 9, 32])
def test_bits_beyond_the_stored_ones_are_refused(bits: int) -> None:
    with pytest.raises(TqhwError, match=rf"bits: {bits} bits cannot be run \(1 to 8, the stored bits\)"):
        ways("truncquant", bits, Options())


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(TqhwError, match=r"unknown method 'truncquand' \(did you mean 'truncquant'\?"):
        ways("truncquand", 2, Options())


@pytest.mark.parametrize(
    ("option", "value", "nearest"),
    [("layout", "bitplanes", "bitplane"), ("requantize", "stream", "streaming"), ("residency", "Auto", "auto")],
)
def test_an_unknown_choice_names_the_nearest(option: str, value: str, nearest: str) -> None:
    with pytest.raises(TqhwError, match=rf"{option}: unknown value '{value}' \(did you mean '{nearest}'"):
        Options(**{option: value})  # type: ignore[arg-type]
