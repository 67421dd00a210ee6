"""Which larger bounds are searched, and why those."""

from __future__ import annotations

import math

import pytest

from tests.mapper.places import conv, machine
from tqhw.mapper.space.sizes import MOST_SIZES, padded_sizes, sizes_of

COLUMNS = [range(1, 15)]


@pytest.mark.parametrize(
    ("bound", "sizes"),
    [
        (1, [1]),
        (7, [7]),  # one pass as it is
        (56, [56]),
        (197, [197, 198, 204, 208, 210]),  # in 197, 18, 17, 16, 15 passes
        (64, [64, 65]),
        (1009, [1009, 1010, 1012, 1014, 1022]),
    ],
)
def test_every_larger_size_takes_fewer_passes(bound: int, sizes: list[int]) -> None:
    assert sizes_of(bound, COLUMNS) == sizes


def test_a_dimension_that_no_array_takes_gets_divisors() -> None:
    assert sizes_of(997, []) == [997, 998, 999, 1000, 1008]
    assert sizes_of(64, []) == [64]


def test_a_fixed_factor_is_met() -> None:
    assert sizes_of(197, [[14]]) == [197, 210]


def test_the_own_bounds_come_first_then_those_that_waste_least() -> None:
    problem = conv(C=197, M=997, P=1009, Q=509)
    found = padded_sizes(problem, machine("eyeriss_like_free")[0])
    assert found[0] == tuple(problem.bounds.values())
    assert len(found) == MOST_SIZES
    assert [math.prod(sizes) for sizes in found] == sorted(math.prod(sizes) for sizes in found)
