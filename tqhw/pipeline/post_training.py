"""Accuracies of a network that is quantized after its training, beside those that it had in floating point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from tqhw import quant, train
from tqhw.datasets import Data, calibrating
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.options import QuantizeOptions
from tqhw.pipeline.training import rows
from tqhw.results import AccuracyRow
from tqhw.system.progress import Watcher
from tqhw.train import METRICS, Metric, Recipe

FLOAT = "fp32"


@dataclass(frozen=True)
class PostTrained:
    """The network of ``recipe``, to be quantized as the experiment says and measured at its precisions."""

    experiment: Experiment
    recipe: Recipe

    notes: ClassVar[tuple[str, ...]] = ("codes were made after the training; no network was trained here",)

    def rows(self, watch: Watcher) -> tuple[AccuracyRow, ...]:
        """Quantizes and measures, on test samples, which quantizing does not see."""
        how, data = chosen(self.experiment), self.recipe.open_data()
        metric = None if how.metric is None else METRICS.named(how.metric, "quantize.metric")
        with watch("quantizing", 3) as tick:
            network = self.recipe.plain_model(trust=True).eval()  # the hardware side has asked before
            whole = train.evaluate_full(network, data, metric=metric)
            tick(1)
            quantized(self.experiment, self.recipe, network, data)
            tick(2)
            found = self._measured(network, data, metric)
            tick(3)
        return rows([(self.recipe.method, found), (FLOAT, [whole])])

    def _measured(self, network: nn.Module, data: Data, metric: Metric | None) -> list[train.Accuracy]:
        bits, stored = self.experiment.hardware_bits, self.experiment.stored_bits
        return train.evaluate_shifted(network, data, bits, stored=stored, metric=metric)


def quantized(experiment: Experiment, recipe: Recipe, network: nn.Module, data: Data) -> nn.Module:
    """``network``, of trained weights, with codes for all precisions of the experiment."""
    how = chosen(experiment)
    batches = None
    if not how.data_free:
        batches = calibrating(data, how.samples, how.batch_size, seed=recipe.training.seed).batches
    precisions = tuple(bits for bits in recipe.bits if bits != quant.FULL)
    recipe.quantize(network, precisions)
    return quant.post_train(network, batches, quant.PostTraining(how.priorities or None))


def chosen(experiment: Experiment) -> QuantizeOptions:
    """How the experiment quantizes. Raises TqhwError for a network of random weights."""
    how = experiment.quantize
    assert how is not None
    if experiment.model.weights is None and ":" not in experiment.model.name:
        raise TqhwError(
            f"{experiment.model.name} has random weights", place="quantize", lever="name trained ones in model.weights"
        )
    if experiment.stored_bits != quant.MAX_BITS:
        raise TqhwError(
            f"codes are made at {quant.MAX_BITS} bits, not at {experiment.stored_bits}",
            place="stored_bits",
            lever="leave it out",
        )
    return how


def planned(experiment: Experiment, recipe: Recipe) -> PostTrained:
    """What is to be measured, refused before anything else is done where it cannot be."""
    chosen(experiment)
    return PostTrained(experiment, replace(recipe, quantization=replace(recipe.quantization, gradient=None)))
