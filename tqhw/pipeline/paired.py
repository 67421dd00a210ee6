"""Two ways of training side by side, seed by seed: what a pair has in common takes no part in how far it lies apart."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from tqhw.report import labels
from tqhw.results import AccuracyRow

REFERENCE = ("truncquant", "shifted")


def paired_notes(accuracy: Sequence[AccuracyRow]) -> tuple[str, ...]:
    """Of the lowest precision, how much more the truncated codes of TruncQuant have than those of each other method.

    Runs with one seed have first weights, order of batches and split in common, and are a pair. Said are the range of
    the differences and, of their mean, Student's interval (docs/quantization.md). Methods without two seeds in common
    are left out.
    """
    shifted = [row for row in accuracy if row.weights == REFERENCE[1] and row.by_seed]
    lowest = min((row.bits for row in shifted), default=0)
    first = next((row for row in shifted if (row.scheme, row.bits) == (REFERENCE[0], lowest)), None)
    others = [row for row in shifted if row.bits == lowest and row.scheme != REFERENCE[0]]
    return () if first is None else tuple(note for other in others for note in _note(first, other))


def _note(first: AccuracyRow, other: AccuracyRow) -> Iterator[str]:
    seeds = [seed for seed in first.by_seed if seed in other.by_seed]
    if len(seeds) < 2 or first.metric != other.metric:
        return
    from tqhw.train.interval import student  # PyTorch

    apart = [first.by_seed[seed] - other.by_seed[seed] for seed in seeds]
    mean, half = statistics.fmean(apart), student(apart)
    same = "in each of them, " if min(apart) > 0 else ""
    names = [labels.series(row.scheme, row.weights) for row in (first, other)]
    yield (
        f"at {labels.bits(first.bits)} {names[0]} less {names[1]}, over {len(seeds)} seeds that both have: "
        f"{same}{min(apart):.1f} to {max(apart):.1f} points; {mean:.1f} in the mean, with a 95 % interval of "
        f"{mean - half:.1f} to {mean + half:.1f} (Student's, of the pairs)"
    )
