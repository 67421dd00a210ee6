"""Training and measuring: the accuracy that every precision really has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import tqhw
from tqhw import models, quant, train
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment, Training
from tqhw.pipeline.progress import Tick, Watcher
from tqhw.scenario.results import AccuracyRow
from tqhw.train.recipe import DataRecipe, ModelRecipe

HARDWARE_SCHEME = "truncquant"


def input_shape(experiment: Experiment) -> tuple[int, ...]:
    """One input of the network, batch first: as given, else as the data set's images, else as published.

    Raises TqhwError where it is given and is not that of the data set.
    """
    if experiment.training is None:
        return experiment.model.input or models.default_input(experiment.model.name)
    images = (1, *train.digits(experiment.training.size).input_shape)
    given = experiment.model.input
    if given is not None and given[1:] != images[1:]:
        raise TqhwError(
            f"the input {list(given)} is not that of the data set, {list(images)}",
            place="model.input",
            lever="leave it out, or leave out the training",
        )
    return given or images


def recipe(experiment: Experiment, scheme: str) -> train.Recipe:
    """Everything that decides the weights of the experiment's network, quantized with ``scheme``.

    Without a training section: those that it starts from, which the seed alone decides.
    """
    choices = experiment.quantization.model_dump()
    if scheme != HARDWARE_SCHEME:
        choices["gradient"] = None  # the key names one of truncquant's
    precisions = tuple(sorted({*experiment.bits, experiment.stored_bits}))
    training = experiment.training
    options = {} if training is None else training.model_dump(exclude={"data", "size", "schemes"})
    return train.Recipe(
        method=scheme,
        bits=precisions,
        model=ModelRecipe(experiment.model.name, experiment.model.options),
        data=DataRecipe("digits", size=None if training is None else training.size),
        quantization=quant.QuantConfig(scheme=scheme, precisions=precisions, **choices),
        training=train.TrainConfig(**options, seed=experiment.seed),
    )


def network(experiment: Experiment) -> nn.Module:
    """The experiment's network, quantized and not trained."""
    found = recipe(experiment, HARDWARE_SCHEME)
    return found.network(found.bits)


def scales(model: nn.Module) -> int:
    """FP32 numbers that scale the codes of a quantized model: one per tensor or channel."""
    return sum(
        1 if layer.quantizer.channel_axis is None else layer.real_weight.shape[layer.quantizer.channel_axis]
        for layer in quant.quantized_layers(model)
    )


def not_measured(experiment: Experiment) -> tuple[AccuracyRow, ...]:
    """Rows that say so."""
    return tuple(AccuracyRow(HARDWARE_SCHEME, bits, "shifted", None, 0, False) for bits in experiment.bits)


def measure(
    experiment: Experiment, training: Training, kept: Callable[[str], Path] | None, watch: Watcher
) -> tuple[AccuracyRow, ...]:
    """Trains one network per scheme and measures each at every precision, shifted and re-quantized.

    Every epoch leaves a checkpoint in ``kept(name)``. The next run of the same configuration, whatever else the
    experiment changes, goes on from there, or has nothing left to train.
    """
    rows: list[AccuracyRow] = []
    for scheme in training.schemes:
        found = recipe(experiment, scheme)
        model, data = found.network(found.bits), found.data.open()
        keep = None if kept is None else train.Checkpoints(kept(f"{scheme}-{_digest(found)}"), found.json)
        with watch(f"training, {scheme}", training.epochs * (data.train_size // training.batch_size)) as tick:
            train.train(model, data, found.training, _teller(tick), keep=keep, resume=keep is not None)
        rows += _evaluate(model, data, experiment)
    return tuple(rows)


def _teller(tick: Tick) -> Callable[[train.Progress], None]:
    return lambda progress: tick(progress.step)


def _evaluate(model: nn.Module, data: train.Data, experiment: Experiment) -> list[AccuracyRow]:
    shifted = train.evaluate_shifted(model, data, experiment.bits, stored=experiment.stored_bits)
    anew = train.evaluate_requantized(model, data, experiment.bits)
    return [
        AccuracyRow(found.scheme, found.bits, found.weights, found.top1, found.samples, found.verified)
        for found in (*shifted, *anew)
    ]


def _digest(found: train.Recipe) -> str:
    """A name for the recipe and for what carries it out."""
    parts = {"recipe": found.json, "tqhw": tqhw.__version__, "torch": str(torch.__version__)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
