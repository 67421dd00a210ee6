"""Two ways of training side by side, seed by seed: what a pair has in common takes no part in how far it lies apart."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tqhw.report import labels
from tqhw.results import AccuracyRow

REFERENCE = ("truncquant", "shifted")


def paired_notes(accuracy: Sequence[AccuracyRow]) -> tuple[str, ...]:
    """Of the lowest precision, how much more the truncated codes of TruncQuant have than those of each other method.

    Runs with one seed have first weights, order of batches and split in common, and are a pair. Said are the range of
    the differences and, of their mean, Student's interval (docs/quantization.md); those of several methods hold all
    together. Methods without two seeds in common are left out.
    """
    shifted = [row for row in accuracy if row.weights == REFERENCE[1] and row.by_seed]
    lowest = min((row.bits for row in shifted), default=0)
    first = next((row for row in shifted if (row.scheme, row.bits) == (REFERENCE[0], lowest)), None)
    if first is None:
        return ()
    others = [row for row in shifted if row.bits == lowest and row.scheme != REFERENCE[0]]
    apart = [(other, differences) for other in others if len(differences := _differences(first, other)) > 1]
    if not apart:
        return ()
    from tqhw.train.interval import simultaneous  # PyTorch

    notes = (_note(first, other, differences, len(apart)) for other, differences in apart)
    return (*notes, *([simultaneous(len(apart))] if len(apart) > 1 else []))


def _differences(first: AccuracyRow, other: AccuracyRow) -> list[float]:
    """By the seeds that both have; none where they measure different things."""
    if first.metric != other.metric:
        return []
    return [top1 - other.by_seed[seed] for seed, top1 in first.by_seed.items() if seed in other.by_seed]


def _note(first: AccuracyRow, other: AccuracyRow, apart: Sequence[float], comparisons: int) -> str:
    from tqhw.train.interval import each_of, student  # PyTorch

    mean, half = statistics.fmean(apart), student(apart, each_of(comparisons))
    same = "in each of them, " if min(apart) > 0 else ""
    names = [labels.series(row.scheme, row.weights) for row in (first, other)]
    kind = "a simultaneous" if comparisons > 1 else "a"
    return (
        f"at {labels.bits(first.bits)} {names[0]} less {names[1]}, over {len(apart)} seeds that both have: "
        f"{same}{min(apart):z.1f} to {max(apart):z.1f} points; {mean:z.1f} in the mean, with {kind} 95 % interval of "
        f"{mean - half:z.1f} to {mean + half:z.1f} (Student's, of the pairs)"
    )
