"""How good answers are: metrics that go with the losses, each a function of sums over samples.

That a metric is one of sums gives a training's running value, and the interval of its value on test data: samples are
drawn anew, and their sums with them (B. Efron, Annals of Statistics 7, 1979).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from tqhw.datasets.base import counting
from tqhw.errors import TqhwError
from tqhw.options import TrainConfig
from tqhw.registry import Registry
from tqhw.train.interval import bootstrap
from tqhw.train.losses import LOSSES, Loss, alike, by_label

ACCURACY: Final = "accuracy"


@dataclass(frozen=True)
class Metric:
    """``sums``: outputs and targets to a row of numbers per sample, (N, k) float64. ``of``: their sums over samples,
    (..., k), to values (...). ``least`` and ``most``: the ends of what it can be.
    """

    name: str
    label: str
    sums: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    of: Callable[[torch.Tensor], torch.Tensor]
    unit: str = ""
    lower_is_better: bool = False
    least: float = 0.0
    most: float = float("inf")

    def better(self, one: float, other: float) -> bool:
        """Whether ``one`` is better than ``other``."""
        return one < other if self.lower_is_better else one > other

    def value(self, rows: torch.Tensor) -> float:
        """Of the rows of all samples."""
        return float(self.of(rows.sum(dim=0)))

    def interval(self, rows: torch.Tensor) -> tuple[float, float]:
        """The ends of the 95 % interval, of samples drawn anew. Positions of one sample stay together."""
        low, high = bootstrap(rows, self.of)
        value = self.value(rows)
        return max(self.least, min(low, value)), min(self.most, max(high, value))


def _right(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    rows, labels = by_label(outputs, targets)
    counts = counting(labels)
    right = (rows.argmax(dim=1) == labels) & counts
    return _by_sample(torch.stack([right, counts], dim=1), len(targets))


def _right_of_one(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    if targets.ndim != 1:
        raise TqhwError(
            f"accuracy is of one label per sample, these are of shape {[*targets.shape]}",
            place="training.metric",
            lever="use token_accuracy",
        )
    return _right(outputs, targets)


def _right_shares(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    found, wanted = alike(outputs, targets)
    counts = counting(wanted)
    right = ((found > 0) == (wanted > 0.5)) & counts
    return _by_sample(torch.stack([right, counts], dim=-1), len(targets))


def _errors(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Of each target: squared error, error, target, its square, and 1."""
    found, wanted = (x.double() for x in alike(outputs, targets))
    counts = counting(wanted)
    known = torch.where(counts, wanted, 0.0)
    apart = torch.where(counts, found - known, 0.0)
    numbers = [apart.square(), apart.abs(), known, known.square(), counts.double()]
    return _by_sample(torch.stack(numbers, dim=-1), len(targets))


def _by_sample(numbers: torch.Tensor, samples: int) -> torch.Tensor:
    return numbers.double().reshape(samples, -1, numbers.shape[-1]).sum(dim=1)


def _share(sums: torch.Tensor) -> torch.Tensor:
    return 100 * sums[..., 0] / sums[..., 1]


def _determination(sums: torch.Tensor) -> torch.Tensor:
    spread = sums[..., 3] - sums[..., 2].square() / sums[..., 4]
    return 1 - sums[..., 0] / spread


METRICS: Final[Registry[Metric]] = Registry(
    "metric",
    "tqhw.metrics",
    {
        metric.name: metric
        for metric in (
            Metric(ACCURACY, "top-1", _right_of_one, _share, "%", most=100.0),
            Metric("token_accuracy", "token accuracy", _right, _share, "%", most=100.0),
            Metric("label_accuracy", "label accuracy", _right_shares, _share, "%", most=100.0),
            Metric("rmse", "RMSE", _errors, lambda s: (s[..., 0] / s[..., 4]).sqrt(), lower_is_better=True),
            Metric("mae", "MAE", _errors, lambda s: s[..., 1] / s[..., 4], lower_is_better=True),
            Metric("r2", "R²", _errors, _determination, least=float("-inf"), most=1.0),
        )
    },
)
"""Metrics by name; one more is one :class:`Metric`."""


def metric_of(config: TrainConfig, targets: torch.Tensor, loss: Loss | None = None) -> Metric:
    """The metric that a training names, or that of its loss: of labels by position, that of positions.

    ``loss``: the object that stands in the place of the name. Raises TqhwError for one that is not known, and one
    of labels where the targets are numbers.
    """
    name = config.metric or (loss or LOSSES.named(config.loss, "training.loss")).metric
    if config.metric is None and name == ACCURACY and targets.ndim > 1:
        name = "token_accuracy"
    found = METRICS.named(name, "training.metric")
    labels, of_labels = not targets.is_floating_point(), found.sums in (_right, _right_of_one)
    if of_labels and not labels:
        raise TqhwError(
            f"{name} is of labels, but the targets are numbers", place="training.metric", lever="use rmse, mae or r2"
        )
    trained_on = loss or LOSSES.named(config.loss, "training.loss")
    if found.sums is _errors and trained_on.reads == "labels":
        lever = "use accuracy or token_accuracy, or a loss of numbers"
        raise TqhwError(
            f"{name} is of numbers, but {trained_on.name} learns labels", place="training.metric", lever=lever
        )
    return found


def metric_of_targets(targets: torch.Tensor) -> Metric:
    """The metric of targets of which nothing else is known: accuracy, of several labels per sample token accuracy, of
    numbers RMSE."""
    if targets.is_floating_point():
        return METRICS["rmse"]
    return METRICS[ACCURACY if targets.ndim == 1 else "token_accuracy"]
