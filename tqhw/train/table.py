"""The paper's table: training and inference by bit width, mean and standard deviation over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tqhw.train.evaluate import Accuracy


@dataclass(frozen=True)
class Cell:
    """Top-1 in percent over ``runs``, which differ in their seeds; ``deviation`` of the sample, 0 for one.

    ``verified``: every run's shifted integers were those of the quantizer.
    """

    mean: float
    deviation: float
    runs: int
    verified: bool


def accuracy_table(found: Mapping[str, Iterable[Accuracy]]) -> dict[str, dict[int, Cell]]:
    """Rows by name, cells by bits, from the accuracies of any number of runs by the label of their method.

    ``Quant-Quant`` is ordinary training evaluated by quantizing anew, ``Quant-Trunc`` the same network
    shifted, ``TruncQuant-Trunc`` TruncQuant shifted; ``TruncQuant-Quant`` is the check that it equals the latter.
    """
    cells: dict[tuple[str, int], list[Accuracy]] = {}
    for label, accuracies in found.items():
        for accuracy in accuracies:
            row = f"{label}-{'Trunc' if accuracy.weights == 'shifted' else 'Quant'}"
            cells.setdefault((row, accuracy.bits), []).append(accuracy)
    table: dict[str, dict[int, Cell]] = {}
    for (row, bits), runs in sorted(cells.items()):
        values = [run.top1 for run in runs]
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        verified = all(run.verified for run in runs)
        table.setdefault(row, {})[bits] = Cell(statistics.fmean(values), deviation, len(values), verified)
    return table
