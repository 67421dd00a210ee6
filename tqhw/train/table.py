"""The paper's table: training and inference by bit width, mean, deviation and interval over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tqhw.train.evaluate import Accuracy
from tqhw.train.interval import interval


@dataclass(frozen=True)
class Cell:
    """Top-1 in percent over ``runs``, which differ in their seeds; ``deviation`` of the sample, 0 for one.

    ``verified``: every run's shifted integers were those of the quantizer. ``low`` and ``high``: the ends of the 95 %
    interval of the mean (:mod:`tqhw.train.interval`).
    """

    mean: float
    deviation: float
    runs: int
    verified: bool
    low: float
    high: float


def cell_of(runs: Sequence[Accuracy]) -> Cell:
    """The accuracies of one network's runs with several seeds, together."""
    values = [run.top1 for run in runs]
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    ends = interval(values, min(run.samples for run in runs))
    return Cell(statistics.fmean(values), deviation, len(values), all(run.verified for run in runs), *ends)


def accuracy_table(found: Mapping[str, Iterable[Accuracy]]) -> dict[str, dict[int, Cell]]:
    """Rows by name, cells by bits, from the accuracies of any number of runs by the label of their method.

    ``Quant-Quant`` is ordinary training evaluated by quantizing anew, ``Quant-Trunc`` the same network
    shifted, ``TruncQuant-Trunc`` TruncQuant shifted; ``TruncQuant-Quant`` is the check that it equals the latter.
    """
    cells: dict[tuple[str, int], list[Accuracy]] = {}
    for label, accuracies in found.items():
        for accuracy in accuracies:
            cells.setdefault((f"{label}{_INFERRED[accuracy.weights]}", accuracy.bits), []).append(accuracy)
    table: dict[str, dict[int, Cell]] = {}
    for (row, bits), runs in sorted(cells.items()):
        table.setdefault(row, {})[bits] = cell_of(runs)
    return table


_INFERRED = {"shifted": "-Trunc", "requantized": "-Quant", "full": ""}
