"""What several trainings of one network measure together, and how two allocations differ on the same trainings."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import torch

from tqhw.allocation.answer import PairedDifference
from tqhw.allocation.measure import MeasuredTop1
from tqhw.train import Accuracy, Cell, cell_of
from tqhw.train.evaluate import Measured
from tqhw.train.interval import bootstrap, each_of, paired, student
from tqhw.train.metrics import ACCURACY, Metric


def together(runs: Sequence[MeasuredTop1], metric: Metric) -> Cell:
    """Mean, deviation and interval over the runs and their test samples, as accuracies of a run have them."""
    return cell_of([_accuracy(one, metric) for one in runs])


def _accuracy(one: MeasuredTop1, metric: Metric) -> Accuracy:
    if metric.name == ACCURACY:
        return Accuracy("", 0, one.top1, one.samples, one.verified, "shifted")
    other = Measured(metric.name, one.top1, one.low, one.high, metric.unit, metric.lower_is_better)
    return Accuracy("", 0, None, one.samples, one.verified, "shifted", other)


def difference(
    one: Sequence[MeasuredTop1], other: Sequence[MeasuredTop1], metric: Metric, comparisons: int = 1
) -> PairedDifference:
    """``one`` less ``other``, run by run: the mean with its interval.

    ``comparisons``: so many intervals hold together with 95 %. Student's over the runs, never narrower than that of one
    run on its test samples, the same for both (see :mod:`tqhw.train.interval`).
    """
    sure = each_of(comparisons)
    apart = [mine.top1 - its.top1 for mine, its in zip(one, other, strict=True)]
    mean = statistics.fmean(apart)
    ends = [_on_samples(mine.rows, its.rows, metric, sure) for mine, its in zip(one, other, strict=True)]
    below = max(0.0, statistics.fmean(value - low for value, (low, _) in zip(apart, ends, strict=True)))
    above = max(0.0, statistics.fmean(high - value for value, (_, high) in zip(apart, ends, strict=True)))
    half = student(apart, sure) if len(apart) > 1 else 0.0
    return PairedDifference(mean, mean - max(half, below), mean + max(half, above))


def _on_samples(one: np.ndarray, other: np.ndarray, metric: Metric, sure: float) -> tuple[float, float]:
    if metric.name == ACCURACY:
        apart = one[:, 0] - other[:, 0]
        low, high = paired(int((apart > 0).sum()), int((apart < 0).sum()), int(one[:, 1].sum()), sure)
        return 100 * low, 100 * high
    columns = one.shape[1]
    both = torch.from_numpy(np.concatenate([one, other], axis=1))
    return bootstrap(both, lambda sums: metric.of(sums[..., :columns]) - metric.of(sums[..., columns:]), sure)
