"""Which points no other one beats."""

from __future__ import annotations

import random

from tqhw.sweep.fronts import Dot, front


def _dots(*pairs: tuple[float, float]) -> list[Dot]:
    return [Dot(number, "truncquant", 2, energy, other, {}) for number, (energy, other) in enumerate(pairs)]


def test_a_front_has_what_nothing_beats_in_both() -> None:
    found = front(_dots((1, 9), (2, 5), (3, 6), (2, 7), (4, 1), (5, 1)))
    assert [dot.point for dot in found] == [0, 1, 4]


def test_of_accuracies_more_is_better() -> None:
    found = front(_dots((1, 50), (2, 80), (3, 70), (4, 90)), more=True)
    assert [dot.point for dot in found] == [0, 1, 3]


def test_of_equal_dots_the_first_stands() -> None:
    assert [dot.point for dot in front(_dots((1, 1), (1, 1)))] == [0]


def test_fronts_are_what_comparing_each_with_each_gives() -> None:
    source = random.Random(0)
    for _ in range(50):
        dots = _dots(*((source.randint(0, 9), source.randint(0, 9)) for _ in range(12)))
        kept = {
            (a.energy, a.other)
            for a in dots
            if not any(
                b.energy <= a.energy and b.other <= a.other and (b.energy, b.other) != (a.energy, a.other) for b in dots
            )
        }
        assert {(dot.energy, dot.other) for dot in front(dots)} == kept
