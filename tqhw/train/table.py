"""The paper's table: training and inference by bit width, mean, deviation and interval over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tqhw.errors import TqhwError
from tqhw.results.words import series
from tqhw.train.evaluate import Accuracy, Measured
from tqhw.train.interval import interval, student
from tqhw.train.metrics import ACCURACY, METRICS


@dataclass(frozen=True)
class Cell:
    """Top-1 in percent, or what another ``metric`` says, over ``runs``, which differ in their seeds.

    ``deviation``: of the sample, 0 for one.

    ``verified``: every run's shifted integers were those of the quantizer. ``low`` and ``high``: the ends of the 95 %
    interval of the mean (:mod:`tqhw.train.interval`).
    """

    mean: float
    deviation: float
    runs: int
    verified: bool
    low: float
    high: float
    metric: str = ACCURACY


def cell_of(runs: Sequence[Accuracy]) -> Cell:
    """The accuracies of one network's runs with several seeds, together."""
    values, metrics = [run.value for run in runs], sorted({run.metric for run in runs})
    if len(metrics) > 1:
        told = " and ".join(metrics)
        raise TqhwError(
            f"runs that were measured by {told} have no mean", place="metric", lever="measure them one by one"
        )
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    others = [run.other for run in runs if run.other is not None]
    ends = _ends(values, others) if others else interval(values, min(run.samples for run in runs))
    verified = all(run.verified for run in runs)
    return Cell(statistics.fmean(values), deviation, len(values), verified, *ends, metrics[0])


def _ends(values: Sequence[float], runs: Sequence[Measured]) -> tuple[float, float]:
    """As :func:`tqhw.train.interval.interval`: Student's t over the runs, never narrower than one run's own."""
    mean = statistics.fmean(values)
    low = mean - statistics.fmean(run.value - run.low for run in runs)
    high = mean + statistics.fmean(run.high - run.value for run in runs)
    if len(values) == 1:
        return low, high
    half, least = student(values), METRICS[runs[0].metric].least if runs[0].metric in METRICS else -math.inf
    return max(least, min(low, mean - half)), max(high, mean + half)


def accuracy_table(found: Mapping[str, Iterable[Accuracy]]) -> dict[str, dict[int, Cell]]:
    """Rows by name, cells by bits, from the accuracies of any number of runs by the label of their method.

    ``Ordinary QAT, re-quantized`` is ordinary training evaluated by quantizing anew (the paper's Quant-Quant),
    ``Ordinary QAT, truncated`` the same network shifted (Quant-Trunc), ``TruncQuant, truncated`` TruncQuant shifted;
    ``TruncQuant, re-quantized`` is the check that it equals the latter.
    """
    cells: dict[tuple[str, int], list[Accuracy]] = {}
    for label, accuracies in found.items():
        for accuracy in accuracies:
            cells.setdefault((series(label, accuracy.weights), accuracy.bits), []).append(accuracy)
    table: dict[str, dict[int, Cell]] = {}
    for (row, bits), runs in sorted(cells.items()):
        table.setdefault(row, {})[bits] = cell_of(runs)
    return table
