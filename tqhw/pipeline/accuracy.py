"""Training and measuring: the accuracy that every precision really has."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from tqhw import datasets, models, quant, train
from tqhw.errors import TqhwError
from tqhw.experiment.schema import Experiment, Training
from tqhw.results import AccuracyRow
from tqhw.scenario.network import Scales
from tqhw.scenario.summary import Switching
from tqhw.system.progress import Watcher
from tqhw.system.workers import Aside, aside
from tqhw.train.recipe import DataRecipe, ModelRecipe
from tqhw.version import __version__
from tqhw.workload import check_mappable, execution_order

HARDWARE_SCHEME = "truncquant"


def model_input(experiment: Experiment) -> tuple[int, ...] | dict[str, str]:
    """What the network is run on, batch first: as given, else as the data set's images, else as published.

    Raises TqhwError where it is given and is not that of the data set.
    """
    if experiment.training is None:
        return experiment.model.input or models.default_input(experiment.model.name)
    images = (1, *_data(experiment.training).image_shape)
    given = experiment.model.input
    if isinstance(given, dict) or (given is not None and given[1:] != images[1:]):
        told = given if isinstance(given, dict) else list(given)
        raise TqhwError(
            f"the input {told} is not that of the data set, {list(images)}",
            place="model.input",
            lever="leave it out, or leave out the training",
        )
    return given or images


def _data(training: Training) -> DataRecipe:
    """The data set; its images have a size where it leaves the choice."""
    size = training.size if "size" in datasets.options_of(training.data) else None
    return DataRecipe(training.data, path=training.path, size=size, options=training.data_options or None)


def recipe(experiment: Experiment, scheme: str) -> train.Recipe:
    """Everything that decides the weights of the experiment's network, quantized with ``scheme``.

    Without a training section: those that it starts from, which the seed alone decides.
    """
    choices = asdict(experiment.quantization)
    if scheme != HARDWARE_SCHEME:
        choices["gradient"] = None  # the key names one of truncquant's
    precisions = tuple(sorted({*experiment.bits, experiment.stored_bits}))
    training = experiment.training
    options = {} if training is None else {f.name: getattr(training, f.name) for f in fields(train.TrainingOptions)}
    return train.Recipe(
        method=scheme,
        bits=precisions,
        model=ModelRecipe(experiment.model.name, experiment.model.options),
        data=DataRecipe() if training is None else _data(training),
        quantization=quant.QuantConfig(scheme=scheme, precisions=precisions, **choices),
        training=train.TrainConfig(**options, seed=experiment.seed),
    )


def network(experiment: Experiment, trust: bool = False) -> nn.Module:
    """The experiment's network, quantized and not trained.

    Of a network that can neither be quantized nor be mapped, the TqhwError says what cannot be mapped: that is the
    network's own, where what is quantized is a choice.
    """
    found = recipe(experiment, HARDWARE_SCHEME)
    plain = found.plain_model(trust=trust)
    try:
        order = execution_order(plain, model_input(experiment), name=experiment.model.name)
        return found.quantize(plain, found.bits, order)
    except TqhwError:
        check_mappable(plain, model_input(experiment), name=experiment.model.name, skip=experiment.model.skip)
        raise


def scales(model: nn.Module) -> Scales:
    """What makes numbers of the codes of a quantized model."""
    how = quant.quantization_of(model).normalization
    count = sum(layer.quantizer.scales(layer.real_weight.shape) for layer in quant.quantized_layers(model))
    return Scales(count, how.scales == "own", how.kind == "tanh")


def notes(model: nn.Module) -> tuple[str, ...]:
    """What there is to say of a quantized model: what of it switches, and layers that lose their magnitude."""
    warning = quant.magnitude_warning(model)
    return (quant.coverage(model).text, *(() if warning is None else (warning,)))


def switching(model: nn.Module) -> Switching:
    """How many of the weights of a quantized model switch their bits."""
    found = quant.coverage(model)
    return Switching(found.switch, found.total, found.text, found.tied)


def not_measured(experiment: Experiment) -> tuple[AccuracyRow, ...]:
    """Rows that say so."""
    return tuple(AccuracyRow(HARDWARE_SCHEME, bits, "shifted", None, 0, False) for bits in experiment.bits)


class Pending(Protocol):
    """Accuracies that are on their way."""

    def rows(self, watch: Watcher) -> tuple[AccuracyRow, ...]:
        """Waits for them."""
        ...


@contextmanager
def measuring(experiment: Experiment, kept: Callable[[str], Path] | None, jobs: int) -> Iterator[Pending]:
    """Trains one network per scheme and measures each at every precision, shifted and re-quantized.

    With more than one job the trainings run beside whatever the block does, a process each; the weights are the same.
    Every epoch leaves a checkpoint in ``kept(name)``. The next run of the same configuration, whatever else the
    experiment changes, goes on from there, or has nothing left to train; a logger is told.
    """
    training = experiment.training
    if training is None:
        yield _Known(not_measured(experiment))
        return
    calls = []
    for scheme in training.schemes:
        found = recipe(experiment, scheme)
        calls.append((experiment, scheme, None if kept is None else kept(f"{scheme}-{_digest(found)}")))
    _tell_kept([folder for *_, folder in calls if folder is not None])
    if jobs == 1 or len(calls) == 1:
        yield _Later(calls, training)
        return
    with aside(_train_and_measure, calls) as others:
        yield _Beside(others, training)


@dataclass(frozen=True)
class _Known:
    found: tuple[AccuracyRow, ...]

    def rows(self, watch: Watcher) -> tuple[AccuracyRow, ...]:
        return self.found


@dataclass(frozen=True)
class _Later:
    calls: Sequence[tuple[Experiment, str, Path | None]]
    training: Training

    def rows(self, watch: Watcher) -> tuple[AccuracyRow, ...]:
        found: list[AccuracyRow] = []
        for call in self.calls:
            with watch(f"training, {call[1]}", _steps(self.training)) as tick:
                found += _train_and_measure(tick, *call)
        return tuple(found)


@dataclass(frozen=True)
class _Beside:
    others: Aside[list[AccuracyRow]]
    training: Training

    def rows(self, watch: Watcher) -> tuple[AccuracyRow, ...]:
        schemes = self.training.schemes
        with watch(f"waiting for the training, {' and '.join(schemes)}", len(schemes) * _steps(self.training)) as tick:
            return tuple(row for found in self.others.results(tick) for row in found)


def _tell_kept(folders: Sequence[Path]) -> None:
    for folder in folders:
        checkpoint = train.Checkpoints(folder, {}).path
        if checkpoint.exists():
            extent = train.extent_of(checkpoint)
            goes_on = "" if extent.finished else f" goes on after {extent}"
            logging.getLogger(__name__).info(f"kept training taken from {folder}{goes_on}")


def _steps(training: Training) -> int:
    return training.epochs * (_data(training).open().train_size // training.batch_size)


def _train_and_measure(
    tell: Callable[[int], None], experiment: Experiment, scheme: str, folder: Path | None
) -> list[AccuracyRow]:
    found = recipe(experiment, scheme)
    model, data = found.network(found.bits, trust=True), found.data.open()  # the hardware side has asked before
    keep = None if folder is None else train.Checkpoints(folder, found.json)
    train.train(model, data, found.training, lambda progress: tell(progress.step), keep=keep, resume=keep is not None)
    return _evaluate(model, data, experiment)


def _evaluate(model: nn.Module, data: datasets.Data, experiment: Experiment) -> list[AccuracyRow]:
    shifted = train.evaluate_shifted(model, data, experiment.bits, stored=experiment.stored_bits)
    anew = train.evaluate_requantized(model, data, experiment.bits)
    return [
        AccuracyRow(found.scheme, found.bits, found.weights, found.top1, found.samples, found.verified)
        for found in (*shifted, *anew)
    ]


def _digest(found: train.Recipe) -> str:
    """A name for the recipe and for what carries it out."""
    parts = {"recipe": found.json, "tqhw": __version__, "torch": str(torch.__version__)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
