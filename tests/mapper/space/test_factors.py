from __future__ import annotations

import itertools
import math

import pytest

from tqhw.mapper.space.factors import count_factorizations, divisors


@pytest.mark.parametrize("number", [1, 2, 7, 36, 97, 360, 1024])
def test_divisors_are_all_and_ascending(number: int) -> None:
    assert divisors(number) == tuple(i for i in range(1, number + 1) if number % i == 0)


@pytest.mark.parametrize("lists", [[(1, 2, 3), (1, 4, 6), (2, 12)], [(5,), (1, 5)], [()], []])
@pytest.mark.parametrize("number", [1, 12, 24, 25])
def test_factorizations_are_counted_as_they_can_be_listed(number: int, lists: list[tuple[int, ...]]) -> None:
    listed = sum(math.prod(choice) == number for choice in itertools.product(*lists))
    assert count_factorizations(number, lists) == listed
