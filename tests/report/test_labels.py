import pytest

from tqhw.report import labels


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234.5, "1,234"),
        (999.6, "1,000"),
        (12.345, "12.3"),
        (1, "1.00"),
        (0.0123456, "0.0123"),
        (-0.5, "-0.500"),
        (1e-7, "1.00e-07"),
        (2.5e12, "2.50e+12"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert labels.number(value) == text


def test_ratios_and_claims() -> None:
    assert [labels.times(v) for v in (0.9523, 3.2, 14.21, 1234)] == ["0.95x", "3.20x", "14.2x", "1,234x"]
    assert labels.times(None) == "x / 0"
    assert [labels.claim(v) for v in (20.0, 3.2, None)] == ["20x", "3.2x", ""]


def test_no_number_is_a_zero_below_zero() -> None:
    assert [labels.number(-0.0), labels.percent(-0.04), labels.times(-0.001), labels.claim(-0.0)] == [
        "0",
        "0.0",
        "0.00x",
        "0x",
    ]


def test_percentages_that_were_not_measured_say_so() -> None:
    assert labels.percent(97.34) == "97.3"
    assert labels.percent(0.0) == "0.0"
    assert labels.percent(None) == "not measured"


def test_units_are_scaled_to_the_largest() -> None:
    assert labels.scaled(5e8, "bit") == (1e6, "Mbit")
    assert labels.scaled(1e9, "bit") == (1e9, "Gbit")
    assert labels.scaled(0, "bit") == (1.0, "bit")


def test_names() -> None:
    assert [labels.bits(b) for b in (1, 8)] == ["1 bit", "8 bits"]
    assert labels.series("dorefa", "shifted") == "Ordinary QAT, truncated"
    assert labels.series("mine", "odd") == "mine, odd"


@pytest.mark.parametrize(
    ("value", "text"), [(float("nan"), "not a number"), (float("inf"), "infinite"), (float("-inf"), "minus infinite")]
)
def test_what_is_no_finite_number_is_said_in_words(value: float, text: str) -> None:
    assert labels.number(value) == text
