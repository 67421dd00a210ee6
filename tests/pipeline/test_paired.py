"""Two methods seed by seed: differences by hand, and Student's interval of them from a table of t."""

from __future__ import annotations

import math
from statistics import stdev

import pytest

pytest.importorskip("torch")

from tqhw.pipeline.paired import paired_notes
from tqhw.results import AccuracyRow


def row(scheme: str, bits: int, *tops: float, first: int = 0, weights: str = "shifted") -> AccuracyRow:
    by_seed = {str(seed): top for seed, top in enumerate(tops, first)} if len(tops) > 1 else {}
    return AccuracyRow(scheme, bits, weights, sum(tops) / len(tops), 100, True, runs=len(tops), by_seed=by_seed)


def test_the_lowest_precision_is_compared_seed_by_seed() -> None:
    rows = [row("truncquant", 2, 90, 92, 94), row("dorefa", 2, 80, 62, 54), row("truncquant", 4, 95, 95, 95)]
    (note,) = paired_notes(rows)
    half = 4.302653 * stdev([10, 30, 40]) / math.sqrt(3)
    assert note == (
        "at 2 bits TruncQuant, truncated less Ordinary QAT, truncated, over 3 seeds that both have: in each of them, "
        f"10.0 to 40.0 points; 26.7 in the mean, with a 95 % interval of {80 / 3 - half:.1f} to {80 / 3 + half:.1f} "
        "(Student's, of the pairs)"
    )


def test_what_is_not_less_in_each_is_not_said_to_be() -> None:
    (note,) = paired_notes([row("truncquant", 2, 90, 92), row("dorefa", 2, 91, 62)])
    assert "in each of them" not in note and "-1.0 to 30.0 points" in note


def test_seeds_that_are_not_those_of_both_are_no_pairs() -> None:
    (note,) = paired_notes([row("truncquant", 2, 90, 92, 94), row("dorefa", 2, 80, 62, 54, first=1)])
    assert "over 2 seeds that both have: in each of them, 12.0 to 32.0 points" in note
    assert paired_notes([row("truncquant", 2, 90, 92), row("dorefa", 2, 80, 62, first=1)]) == ()
    assert paired_notes([row("truncquant", 2, 90), row("dorefa", 2, 80)]) == ()
    assert paired_notes([row("truncquant", 2, 90, 92), row("dorefa", 2, 80, 62, weights="requantized")]) == ()


def test_of_several_methods_the_intervals_hold_together() -> None:
    """Of two comparisons each has 97.5 %: against 6.2053, what scipy says of Student's t with 2 degrees of freedom."""
    rows = [row("truncquant", 2, 90, 92, 94), row("dorefa", 2, 80, 62, 54), row("lsq", 2, 89, 85, 90)]
    alone = row("any_precision", 2, 70)  # no pairs: judged by nothing, and no comparison
    one, other, together = paired_notes([*rows, alone])
    for note, apart, mean in ((one, [10, 30, 40], 80 / 3), (other, [1, 7, 4], 4.0)):
        half = 6.205347 * stdev(apart) / math.sqrt(3)
        assert f"with a simultaneous 95 % interval of {mean - half:.1f} to {mean + half:.1f} (" in note
    assert together == (
        "the intervals of the 2 differences hold all together with 95 %: each has 97.5 % (Bonferroni's)"
    )


def test_differences_of_nothing_have_no_sign() -> None:
    (note,) = paired_notes([row("truncquant", 2, 90.0, 90.0), row("dorefa", 2, 90.02, 90.04)])
    assert ": 0.0 to 0.0 points; 0.0 in the mean, with a 95 % interval of -0.2 to 0.1 (" in note
