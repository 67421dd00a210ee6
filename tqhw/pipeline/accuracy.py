"""Training and measuring: the accuracy that every precision really has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

import tqhw
from tqhw import models, quant, train
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment, Training
from tqhw.pipeline.progress import Watcher
from tqhw.scenario.results import AccuracyRow

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


def network(experiment: Experiment, scheme: str) -> nn.Module:
    """The experiment's network, untrained, quantized with ``scheme``, on weights that the seed alone decides."""
    with train.reproducible(experiment.seed, 1):
        model = models.build(experiment.model.name, **experiment.model.options)
    choices = experiment.quantization.model_dump()
    if scheme != HARDWARE_SCHEME:
        choices["gradient"] = None  # the key names one of truncquant's
    precisions = tuple(sorted({*experiment.bits, experiment.stored_bits}))
    config = quant.QuantConfig(scheme=scheme, precisions=precisions, **choices)
    return quant.convert(model, config)


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
    data = train.digits(training.size)
    rows: list[AccuracyRow] = []
    for scheme in training.schemes:
        model = network(experiment, scheme)
        recipe = _recipe(experiment, training, scheme)
        keep = None if kept is None else train.Checkpoints(kept(f"{scheme}-{_digest(recipe)}"), recipe)
        _train(model, data, training, experiment.seed, keep, watch)
        rows += _evaluate(model, data, experiment)
    return tuple(rows)


def _train(
    model: nn.Module,
    data: train.TensorData,
    training: Training,
    seed: int,
    keep: train.Checkpoints | None,
    watch: Watcher,
) -> None:
    options = training.model_dump(exclude={"data", "size", "schemes"})
    config = train.TrainConfig(**options, seed=seed)
    scheme = quant.quantization_of(model).scheme
    with watch(f"training, {scheme}", training.epochs * (data.train_size // training.batch_size)) as tick:
        train.train(model, data, config, lambda progress: tick(progress.step), keep=keep, resume=keep is not None)


def _evaluate(model: nn.Module, data: train.TensorData, experiment: Experiment) -> list[AccuracyRow]:
    shifted = train.evaluate_shifted(model, data, experiment.bits, stored=experiment.stored_bits)
    anew = train.evaluate_requantized(model, data, experiment.bits)
    return [
        AccuracyRow(found.scheme, found.bits, found.weights, found.top1, found.samples, found.verified)
        for found in (*shifted, *anew)
    ]


def _recipe(experiment: Experiment, training: Training, scheme: str) -> dict[str, Any]:
    """Everything that the trained weights depend on."""
    return {
        "model": experiment.model.model_dump(mode="json"),
        "precisions": sorted({*experiment.bits, experiment.stored_bits}),
        "quantization": experiment.quantization.model_dump(mode="json"),
        "training": {**training.model_dump(mode="json", exclude={"schemes"}), "scheme": scheme},
        "seed": experiment.seed,
        "versions": {"tqhw": tqhw.__version__, "torch": str(torch.__version__)},
    }


def _digest(recipe: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]
