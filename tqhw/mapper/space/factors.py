"""Divisors and perfect factorizations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache


@cache
def divisors(number: int) -> tuple[int, ...]:
    """All divisors of a positive number, ascending."""
    small = [i for i in range(1, int(number**0.5) + 1) if number % i == 0]
    return tuple(sorted({*small, *(number // i for i in small)}))


def count_factorizations(number: int, allowed: Sequence[Sequence[int]]) -> int:
    """In how many ways ``number`` is a product of one factor out of every list of ``allowed``."""
    ways = {1: 1}
    for factors in allowed:
        longer: dict[int, int] = {}
        for product, count in ways.items():
            for factor in factors:
                if number % (product * factor) == 0:
                    longer[product * factor] = longer.get(product * factor, 0) + count
        ways = longer
    return ways.get(number, 0)
