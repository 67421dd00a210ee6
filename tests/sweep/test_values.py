"""Lists, ranges and draws."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tqhw.errors import TqhwError
from tqhw.sweep.values import drawn, listed


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ([1, "a"], [1, "a"]),
        ({"from": 1, "to": 7, "step": 2}, [1, 3, 5, 7]),
        ({"from": 2, "to": 4}, [2, 3, 4]),
        ({"from": 8, "to": 64, "times": 2}, [8, 16, 32, 64]),
        ({"from": 0, "to": 0.3, "step": 0.1}, [0.0, 0.1, 0.2, 0.30000000000000004]),
    ],
)
def test_values_of_a_list_or_a_range(given: Any, values: list[Any]) -> None:
    assert listed(given, "here") == values


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "the list of values is empty"),
        (3, "3 is no list of values"),
        ({"a": 1}, "a map of 1 is no list of values"),
        ({"from": 1, "to": 3, "stride": 2}, "unknown key of a range 'stride' (did you mean 'step'?"),
        ({"from": 1, "to": 3, "step": 0}, "the range does not go up"),
        ({"from": 0, "to": 3, "times": 2}, "the range does not go up"),
        ({"from": 1, "to": 3, "times": 2, "step": 1}, "step and times are two kinds of ranges"),
        ({"from": 1, "to": "x"}, "to is 'x', no number"),
        ({"from": 1}, "to is None, no number"),
        ({"from": 1, "to": 1e9}, "the range has more than 100000 values"),
        ({"from": 5, "to": 3}, "the list of values is empty"),
    ],
)
def test_what_is_no_list_of_values(given: Any, told: str) -> None:
    with pytest.raises(TqhwError) as error:
        listed(given, "here")
    assert str(error.value).startswith(f"here: {told}")


@pytest.mark.parametrize(
    ("given", "kind", "low", "high"),
    [
        ([3, 5], int, 3, 5),
        ({"from": 3, "to": 9}, int, 3, 9),
        ({"from": 2, "to": 512, "log": True}, int, 2, 512),
        ({"from": 0.5, "to": 2}, float, 0.5, 2),
    ],
)
def test_draws_are_within_and_the_same_for_the_same_seed(given: Any, kind: type, low: float, high: float) -> None:
    draw = drawn(given, "here")
    first = [draw(source) for source in [random.Random(3)] for _ in range(200)]
    again = [draw(source) for source in [random.Random(3)] for _ in range(200)]
    assert first == again
    assert all(isinstance(value, kind) and low <= value <= high for value in first)
    assert len({*first}) > 1


def test_draws_by_magnitude_have_half_of_them_below_the_middle_one() -> None:
    draw, source = drawn({"from": 1, "to": 10_000, "log": True}, "here"), random.Random(0)
    below = sum(draw(source) < 100 for _ in range(1000))
    assert 400 < below < 600


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"from": 3}, "a map of 1 is nothing to draw from"),
        (7, "7 is nothing to draw from"),
        ({"from": 3, "to": 1}, "the range is none"),
        ({"from": 0, "to": 9, "log": True}, "the range is none"),
        ({"from": 1, "to": 9, "step": 2}, "unknown key of a range 'step'"),
    ],
)
def test_what_is_nothing_to_draw_from(given: Any, told: str) -> None:
    with pytest.raises(TqhwError) as error:
        drawn(given, "here")
    assert str(error.value).startswith(f"here: {told}")
