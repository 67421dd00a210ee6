"""The accuracies of a run, as far as they need no PyTorch; :mod:`tqhw.pipeline.accuracy` trains and measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from tqhw.experiment import Experiment
from tqhw.results import AccuracyRow
from tqhw.system.progress import Watcher

HARDWARE_SCHEME = "truncquant"


class Pending(Protocol):
    """Accuracies that are on their way."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of them has to know."""
        ...

    def rows(self, watch: Watcher) -> tuple[AccuracyRow, ...]:
        """Waits for them."""
        ...


@dataclass(frozen=True)
class Known:
    """Rows that nothing is trained for."""

    found: tuple[AccuracyRow, ...]
    notes: ClassVar[tuple[str, ...]] = ()

    def rows(self, watch: Watcher) -> tuple[AccuracyRow, ...]:
        return self.found


def measures(experiment: Experiment) -> bool:
    """Whether something is trained, or quantized afterwards, and measured."""
    return experiment.training is not None or experiment.quantize is not None


def not_measured(experiment: Experiment) -> tuple[AccuracyRow, ...]:
    """Rows that say so."""
    return tuple(AccuracyRow(HARDWARE_SCHEME, bits, "shifted", None, 0, False) for bits in experiment.bits)
