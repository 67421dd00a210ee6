"""Which points no other one beats."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tqhw.sweep.fronts import Dot, front, pictures
from tqhw.sweep.outcomes import COLUMNS


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


@pytest.mark.torch
def test_of_an_error_less_is_better_and_metrics_stand_in_pictures_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("torch")  # what was measured is kept there, too
    from tqhw.sweep.store import Finished, opened

    def row(point: int, energy: float, metric: str, score: float, lower: bool) -> tuple[Any, ...]:
        values: dict[str, Any] = {"method": "truncquant", "bits": point, "state": "steady", "energy_mj": energy}
        values |= {"metric": metric, "score": score, "lower_is_better": lower, "proved": True}
        return tuple(values.get(column) for column in COLUMNS)

    with opened(tmp_path, write=True) as store:
        store.plan_points((n, "{}", "p", None) for n in range(6))
        rows = [(1.0, "rmse", 60.0, True), (2.0, "rmse", 70.0, True), (3.0, "rmse", 50.0, True)]
        rows += [(1.0, "r2", 0.3, False), (2.0, "r2", 0.2, False), (3.0, "r2", 0.5, False)]
        store.finish_points(Finished(n, None, [row(n, *values)]) for n, values in enumerate(rows))
        found = {picture.quantity.label: picture for picture in pictures(store)}
    assert [*found] == ["R²", "RMSE (lower is better)"]
    assert [[dot.other for dot in front] for front in found["RMSE (lower is better)"].fronts] == [[60.0, 50.0]]
    assert [[dot.other for dot in front] for front in found["R²"].fronts] == [[0.3, 0.5]]
