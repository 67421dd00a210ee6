"""Networks that were trained before, here or on another machine: whether they are the experiment's, and what they
measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import nn

from tqhw import train
from tqhw.datasets import Data
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.options import DataOptions
from tqhw.pipeline.training import Measured, Tell, measured
from tqhw.train import OpenedData, Recipe
from tqhw.train.agree import check_agrees, check_same_data, check_same_facts, check_serves
from tqhw.train.recipe import DataRecipe


@dataclass(frozen=True)
class TrainedNetwork:
    """One checkpoint that was found to be of the experiment's network, and what is asked of it."""

    path: Path
    recipe: Recipe
    model: str
    bits: tuple[int, ...]
    stored: int
    here: DataOptions

    verb: ClassVar[str] = "measuring"
    steps: ClassVar[int] = 1
    folder: ClassVar[Path | None] = None

    def opened(self) -> Data:
        """Its data set, where it is here. Raises TqhwError where that is not what it was trained on."""
        data = OpenedData(self.here.path, self.here.held).of(self.recipe)
        check_same_facts(self.path, data)
        return data

    def run(self, tell: Tell) -> Measured:
        """Loads it and measures its accuracies here."""
        data = self.opened()
        ((recipe, network),) = self.networks(data, tell)
        found = measured(network, recipe, data, self.bits, self.stored)
        tell(1)
        return recipe.method, found

    def networks(self, data: Data, tell: Tell) -> Iterator[tuple[Recipe, nn.Module]]:
        """The network of the checkpoint, loaded."""
        network, recipe = train.load_run(self.path, model=self.model, data=data)
        yield recipe, network

    @property
    def note(self) -> str | None:
        """What is to be said of it: a training that stopped on its way."""
        extent = train.extent_of(self.path)
        return None if extent.finished else f"{self.path.parent} is not trained to its end: {extent}"


def trained_networks(experiment: Experiment) -> list[TrainedNetwork]:
    """The checkpoints in the folders that an experiment joins.

    Raises TqhwError for one of another model, quantization, data set or bits, and for runs of one method that differ
    in more than their seeds.
    """
    found = _recipes(experiment)
    train.check_seeds(found)
    data = data_of(experiment)
    for path, recipe in found:
        check_agrees(path, recipe, train.recipe(experiment, recipe.method, recipe.bits))
        check_same_data(path, recipe.data, data)
    _check_one_metric(found)
    groups: dict[tuple[str, int], dict[Path, Recipe]] = {}
    for path, recipe in found:
        groups.setdefault((recipe.method, recipe.training.seed), {})[path] = recipe
    for group in groups.values():
        check_serves(group, experiment.bits)
    name, bits, stored = experiment.model.name, experiment.bits, experiment.stored_bits
    return [TrainedNetwork(path, recipe, name, bits, stored, experiment.data) for path, recipe in found]


def _check_one_metric(found: list[tuple[Path, Recipe]]) -> None:
    """Refuses networks that are measured by several metrics: their numbers do not stand side by side."""
    (first, recipe), *others = found
    for path, other in others:
        for key in ("loss", "metric"):
            here, there = getattr(other.training, key), getattr(recipe.training, key)
            if here != there:
                raise TqhwError(
                    f"was trained with {key} {here or 'unsaid'}, {first} with {there or 'unsaid'}",
                    place=str(path),
                    lever="join networks of one task, measured alike",
                )


def data_of(experiment: Experiment) -> DataRecipe:
    """The data set of an experiment; where it says none and joins folders, that of the first."""
    trained = experiment.training is not None and bool(experiment.training.trained)
    if trained and "data" not in experiment.model_fields_set:
        return _recipes(experiment)[0][1].data
    return DataRecipe(**vars(experiment.data))


def _recipes(experiment: Experiment) -> list[tuple[Path, Recipe]]:
    folders = () if experiment.training is None else experiment.training.trained
    paths = [path for folder in folders for path in train.checkpoints_in(Path(folder))]
    return [(path, train.recipe_of(path)) for path in paths]
