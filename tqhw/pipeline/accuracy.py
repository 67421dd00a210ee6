"""Training and measuring: the accuracy that every precision really has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from torch import nn

from tqhw import models, quant, train
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.pipeline import post_training
from tqhw.pipeline.joined import data_of, trained_networks
from tqhw.pipeline.measured import HARDWARE_SCHEME, Pending, measures
from tqhw.pipeline.training import planned, trained
from tqhw.scenario.network import Scales
from tqhw.scenario.summary import Switching
from tqhw.workload import Workload, check_mappable, execution_order, parse_input


def model_input(experiment: Experiment) -> tuple[int, ...] | dict[str, str]:
    """What the network is run on, batch first: as given, else as the data set's samples, else as published.

    Raises TqhwError where it is given and is not that of the data set.
    """
    if not measures(experiment):
        return experiment.model.input or models.default_input(experiment.model.name)
    reads, given = data_of(experiment).reads, experiment.model.input
    if given is not None and _one_sample(given) != _one_sample(reads):
        told, own = (x if isinstance(x, dict) else list(x) for x in (given, reads))
        raise TqhwError(
            f"the input {told} is not that of the data set, {own}",
            place="model.input",
            lever="leave it out, or leave out the training",
        )
    return given or reads


def _one_sample(given: tuple[int, ...] | dict[str, str]) -> object:
    """The shape of one sample, of several inputs with their types by name."""
    if not isinstance(given, dict):
        return given[1:]
    specs = {name: parse_input(text) for name, text in given.items()}
    return {name: (spec.dtype, spec.shape[1:]) for name, spec in specs.items()}


def recipe(experiment: Experiment, scheme: str, seed: int | None = None) -> train.Recipe:
    """Everything that decides the weights of the experiment's network, trained by the method ``scheme``.

    Without a training section: those that it starts from, which the seed alone decides.
    """
    return train.recipe(experiment, scheme, experiment.precisions, seed)


def seeds(experiment: Experiment) -> range:
    """The seeds that each of its networks is trained with."""
    return range(experiment.seed, experiment.seed + (1 if experiment.training is None else experiment.training.seeds))


def check_joined(experiment: Experiment) -> None:
    """Refuses folders of other networks than the experiment's, before anything else is done."""
    if experiment.quantize is not None:
        post_training.chosen(experiment)
    if experiment.training is not None and experiment.training.trained:
        trained_networks(experiment)


def network(experiment: Experiment, trust: bool = False) -> nn.Module:
    """The experiment's network, quantized and not trained; as it is where another library quantized it.

    Of a network that can neither be quantized nor be mapped, the TqhwError says what cannot be mapped: that is the
    network's own, where what is quantized is a choice.
    """
    choices = replace(experiment.quantization, gradient=None)  # nothing is trained
    found = recipe(experiment.model_copy(update={"quantization": choices}), HARDWARE_SCHEME)
    plain = found.plain_model(trust=trust)
    if experiment.training is None and quant.quantized_by(plain) is not None:
        return plain  # it has bits of its own, and is not quantized twice
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


def switching(model: nn.Module, workload: Workload) -> Switching:
    """How many of the weights of a quantized model switch their bits."""
    found = quant.coverage(model)
    multiplied = {name for layer in workload.layers for name in layer.names}
    return Switching(found.switch, found.total, found.text, found.tied, quant.beside_products(model, multiplied))


@contextmanager
def measuring(experiment: Experiment, kept: Callable[[str], Path] | None, jobs: int) -> Iterator[Pending]:
    """Trains the networks of every method and seed, and measures each at every precision, shifted and re-quantized.

    With more than one job the trainings run beside whatever the block does, so many processes; the weights are the
    same. Every epoch leaves a checkpoint in ``kept(name)``. The next run of the same configuration, whatever else the
    experiment changes, goes on from there, or has nothing left to train; a logger is told.
    """
    training = experiment.training
    if experiment.quantize is not None:
        yield post_training.planned(experiment, recipe(experiment, HARDWARE_SCHEME))
        return
    assert training is not None, "nothing is measured"
    recipes = [recipe(experiment, scheme, seed) for scheme in training.schemes for seed in seeds(experiment)]
    tasks = trained_networks(experiment) if training.trained else planned(experiment, kept, recipes)
    with trained(tasks, jobs) as pending:
        yield pending
