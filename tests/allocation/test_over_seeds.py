"""Means, intervals and differences of several trainings."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tqhw.allocation.measure import MeasuredTop1, of_rows  # noqa: E402
from tqhw.allocation.over_seeds import difference, together  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.train.interval import interval, paired, student  # noqa: E402
from tqhw.train.metrics import METRICS  # noqa: E402

TOP1 = METRICS["accuracy"]


def measured(right: list[int], of: int = 100) -> MeasuredTop1:
    """Right on the pictures of these numbers."""
    rows = torch.zeros(of, 2, dtype=torch.float64)
    rows[:, 1] = 1
    rows[right, 0] = 1
    return of_rows(rows, True, TOP1)


def test_the_interval_is_that_of_runs_and_pictures() -> None:
    runs = [measured([*range(n)]) for n in (70, 80, 90)]
    found = together(runs, TOP1)
    assert (found.mean, found.runs, found.verified) == (80.0, 3, True)
    assert (found.low, found.high) == interval([70.0, 80.0, 90.0], 100)
    assert (together(runs[:1], TOP1).low, together(runs[:1], TOP1).high) == (runs[0].low, runs[0].high)


def test_a_difference_is_paired_by_seed() -> None:
    """Accuracies lie far apart, differences do not: intervals overlap, that of the difference excludes 0."""
    other = [measured([*range(n)], 2000) for n in (1000, 1400, 1800)]
    one = [measured([*range(n)], 2000) for n in (1060, 1470, 1850)]
    found = difference(one, other, TOP1)
    apart = [3.0, 3.5, 2.5]
    assert found.mean == pytest.approx(3.0)
    assert found.low == pytest.approx(3.0 - student(apart)) and found.high == pytest.approx(3.0 + student(apart))
    assert together(one, TOP1).low < together(other, TOP1).high


def test_equal_differences_are_not_surer_than_their_pictures() -> None:
    """Of two pictures in a hundred in every run Student's interval is of no width; that of the pictures is."""
    runs = [measured([*range(50)])] * 3
    found = difference([measured([*range(52)])] * 3, runs, TOP1)
    low, high = paired(2, 0, 100)
    assert found.mean == 2.0
    assert (found.low, found.high) == (pytest.approx(100 * low), pytest.approx(100 * high))
    assert low < 0.0 < 0.04 < high < 0.06
    assert difference(runs, runs, TOP1) == difference(runs[:1], runs[:1], TOP1)


def test_of_numbers_too() -> None:
    rmse = METRICS["rmse"]

    def errors(size: float) -> MeasuredTop1:
        off = torch.full((50, 1), size)
        return of_rows(rmse.sums(off, torch.zeros(50, 1)), True, rmse)

    found = difference([errors(2.0), errors(3.0)], [errors(1.0), errors(2.0)], rmse)
    assert (found.mean, found.low, found.high) == (1.0, 1.0, 1.0)
    assert together([errors(2.0), errors(3.0)], rmse).metric == "rmse"


def test_of_several_comparisons_each_interval_is_wider_so_that_all_hold_together() -> None:
    """Bonferroni's, against what scipy says of Student's quantile and against simulated pairs without a difference."""
    from scipy import stats

    other = [measured([*range(n)], 2000) for n in (1000, 1400, 1800)]
    one = [measured([*range(n)], 2000) for n in (1060, 1470, 1850)]
    apart = [3.0, 3.5, 2.5]
    found = difference(one, other, TOP1, comparisons=4)
    half = stats.t.ppf(1 - 0.05 / 4 / 2, 2) * stats.sem(apart)
    assert (found.low, found.high) == (pytest.approx(3.0 - half), pytest.approx(3.0 + half))
    drawn = torch.Generator().manual_seed(0)
    wrong = {1: 0, 4: 0}
    for _ in range(200):
        families = [
            [measured((torch.rand(300, generator=drawn) < 0.8).nonzero()[:, 0].tolist(), 300)] for _ in range(8)
        ]
        for count in wrong:
            pairs = [difference(families[i], families[i + 4], TOP1, count) for i in range(4)]
            wrong[count] += any(pair.low > 0 or pair.high < 0 for pair in pairs)
    assert wrong[4] <= 18 < wrong[1]  # of 200 families of four comparisons: 5 % and its deviation, against 19 %


@pytest.mark.parametrize(
    ("metric", "found", "wanted", "told"),
    [("rmse", [float("nan"), 1.0], [1.0, 2.0], "rmse"), ("r2", [0.5, 1.0], [1.0, 1.0], "r2")],
)
def test_what_is_no_number_is_not_judged(metric: str, found: list[float], wanted: list[float], told: str) -> None:
    rows = METRICS[metric].sums(torch.tensor(found), torch.tensor(wanted))
    with pytest.raises(TqhwError, match=f"training.metric: the {told} of these test samples is "):
        of_rows(rows, True, METRICS[metric])
