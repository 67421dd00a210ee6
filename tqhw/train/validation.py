"""Validation while a network is trained: on training samples that are held out, never on test data."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from tqhw.datasets import Data, held_out
from tqhw.errors import TqhwError
from tqhw.options import TrainConfig
from tqhw.quant import is_quantized, set_bits
from tqhw.quant.files.tensorfile import read_tensors
from tqhw.train.checkpoint import Checkpoints, EpochRecord, history_of, load_model, save_best
from tqhw.train.evaluate import answers_of, rows_of
from tqhw.train.metrics import METRICS, Metric


def split(data: Data, config: TrainConfig) -> tuple[Data, Data | None]:
    """What is trained on, and the data set whose test part is held out of it; None where nothing is."""
    if config.validation is None:
        return data, None
    return held_out(data, config.validation.share, config.seed)


@dataclass
class Validated:
    """Measures the precisions of a network on ``data``'s test part, which is held out of the training."""

    data: Data
    config: TrainConfig
    metric: Metric
    precisions: Sequence[int]
    keep: Checkpoints | None
    _best: dict[str, torch.Tensor] = field(default_factory=dict)

    def measure(self, model: nn.Module, history: list[EpochRecord], *, writes: bool) -> None:
        """Puts what the held-out samples say into the last record, where it is due; keeps the best network.

        ``writes``: whether this process is the one that writes files.
        """
        how, epoch = self.config.validation, len(history)
        if how is None or (epoch % how.every and epoch < self.config.epochs):
            return
        scores = {}
        for bits in self.precisions:
            if is_quantized(model):
                set_bits(model, bits)
            answers = answers_of(model, self.data, self.config.batch_size, self.config.threads)
            scores[bits] = self.metric.value(rows_of(self.metric, answers))
        history[-1] = replace(history[-1], validation=scores)
        if how.keep == "best" and best_of(history, self.metric) == epoch - 1:
            if self.keep is None:
                self._best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            elif writes:
                save_best(self.keep, model, self.config, history)

    def restore_best(self, model: nn.Module, history: Sequence[EpochRecord]) -> None:
        """Gives ``model`` the weights of the best epoch, where that is what the training keeps."""
        if self.config.validation is None or self.config.validation.keep != "best":
            return
        if self.keep is None:
            model.load_state_dict(self._best)
        else:
            load_model(self.keep.best, read_tensors(self.keep.best), model)


def check_best(path: Path, checkpoint: Path) -> None:
    """Refuses the file of a best epoch, ``path``, that is not that of the training which left ``checkpoint``."""
    history, best = history_of(checkpoint), history_of(path)
    number = best_of(history, METRICS.named(history[-1].metric, "training.metric")) if history else -1
    if len(best) != number + 1 or best != history[: number + 1]:
        raise TqhwError(
            f"is of another training, or of another epoch than the best one, {number + 1}",
            place=str(path),
            lever="copy the folder as a whole, or train anew",
        )


def best_of(history: Sequence[EpochRecord], metric: Metric) -> int:
    """The number of the best epoch of those that were validated, by the mean over precisions; of equal ones the first.

    One whose metric is no number is never the best, unless all are such.
    """
    best, value = -1, float("nan")
    for number, record in enumerate(history):
        if record.validation:
            mean = statistics.fmean(record.validation.values())
            if best < 0 or value != value or metric.better(mean, value):
                best, value = number, mean
    return best
