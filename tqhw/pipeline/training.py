"""The trainings of a run: each network with each seed, in turn or beside the search, and what they measure."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import ClassVar, Protocol

import torch

from tqhw import train
from tqhw.datasets import Data
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.pipeline.measured import Pending
from tqhw.results import AccuracyRow
from tqhw.system.files import content_digest
from tqhw.system.progress import Watcher
from tqhw.system.workers import Aside, aside
from tqhw.train import Accuracy, Recipe
from tqhw.train.agree import facts_of
from tqhw.version import __version__

Measured = tuple[str, list[Accuracy]]
"""A training method, and what one of its networks measured."""
Tell = Callable[[int], None]


@dataclass(frozen=True)
class TrainingTask:
    """One network to be trained: its recipe, where its checkpoints are kept, and what is asked of it."""

    verb: ClassVar[str] = "training"
    note: ClassVar[str | None] = None

    recipe: Recipe
    folder: Path | None
    bits: tuple[int, ...]
    stored: int

    @property
    def steps(self) -> int:
        how = self.recipe.training
        networks = len(self.recipe.way.networks(self.recipe.bits))
        return networks * how.epochs * (train.split(self.opened(), how)[0].train_size // how.batch_size)

    def opened(self) -> Data:
        """Its data set."""
        return self.recipe.open_data()

    def run(self, tell: Tell) -> Measured:
        """Trains what is not trained yet and measures; ``tell`` is told the steps that are done."""
        data = self.opened()
        found = [measured(model, own, data, self.bits, self.stored) for own, model in self.networks(data, tell)]
        return self.recipe.method, list(chain(*found))

    def networks(self, data: Data, tell: Tell) -> Iterator[tuple[Recipe, torch.nn.Module]]:
        """Trains what is not trained yet: each network with its recipe, as it is done."""
        recipe, before = self.recipe, 0
        for precisions in recipe.way.networks(recipe.bits):
            own = replace(recipe, bits=precisions)
            place = self.folder
            if place is not None and len(precisions) < len(recipe.bits) and recipe.way.training == "separate":
                place = place / f"{precisions[0]}bit"
            keep = None if place is None else train.Checkpoints(place, own.json, facts_of(data))
            model = own.network(precisions, trust=True)  # the hardware side has asked before
            result = train.train(
                model,
                data,
                own.training,
                _after(before, tell),
                keep=keep,
                resume=keep is not None,
            )
            before += len(result.history) * (train.split(data, own.training)[0].train_size // own.training.batch_size)
            yield own, train.finished(model, own, data)


def _after(before: int, tell: Tell) -> Callable[[train.Progress], None]:
    return lambda progress: tell(before + progress.step)


def measured(model: torch.nn.Module, recipe: Recipe, data: Data, bits: Sequence[int], stored: int) -> list[Accuracy]:
    """The accuracies of a trained network at those of ``bits`` that it serves: shifted ones first."""
    if recipe.way.training == "separate":
        bits = [b for b in bits if b in recipe.bits]
    found = train.evaluate_run(model, recipe, bits, stored=stored, data=data)
    seeded = [replace(accuracy, seed=recipe.training.seed) for accuracy in found]
    return sorted(seeded, key=lambda accuracy: accuracy.weights != "shifted")


def rows(found: Sequence[Measured]) -> tuple[AccuracyRow, ...]:
    """The rows of the results: runs of one method, which differ in their seeds, together."""
    together: dict[tuple[str, int, str], list[Accuracy]] = {}
    for method, accuracies in found:
        for one in accuracies:
            together.setdefault((method, one.bits, one.weights), []).append(one)
    order = {method: number for number, method in enumerate(dict.fromkeys(method for method, _ in found))}
    weights = ("shifted", "requantized", "full")
    keys = sorted(together, key=lambda key: (order[key[0]], weights.index(key[2])))
    return tuple(_row(key, together[key]) for key in keys)


def _row(key: tuple[str, int, str], runs: list[Accuracy]) -> AccuracyRow:
    cell = train.cell_of(runs)
    deviation = cell.deviation if cell.runs > 1 else None
    method, bits, weights = key
    row = AccuracyRow(
        method,
        bits,
        weights,
        cell.mean,
        runs[0].samples,
        cell.verified,
        runs=cell.runs,
        deviation=deviation,
        low=cell.low,
        high=cell.high,
        by_seed={str(run.seed): run.value for run in runs if run.seed is not None} if cell.runs > 1 else {},
    )
    other = runs[0].other
    if other is None:
        return row
    row = replace(row, top1=None, value=cell.mean, metric=other.metric)
    return replace(row, unit=other.unit, lower_is_better=other.lower_is_better)


class AccuracyTask(Protocol):
    """One network of the accuracy side: ``run`` measures it, in so many ``steps``, ``verb`` says what it does."""

    verb: ClassVar[str]

    @property
    def recipe(self) -> Recipe: ...

    @property
    def folder(self) -> Path | None: ...

    @property
    def steps(self) -> int: ...

    @property
    def note(self) -> str | None:
        """What a reader of its accuracies has to know."""
        ...

    def run(self, tell: Tell) -> Measured: ...

    def opened(self) -> Data:
        """Its data set."""
        ...

    def networks(self, data: Data, tell: Tell) -> Iterator[tuple[Recipe, torch.nn.Module]]:
        """What is measured, each with its recipe."""
        ...


@contextmanager
def trained(tasks: Sequence[AccuracyTask], jobs: int) -> Iterator[Pending]:
    """Trains, with more than one job beside whatever the block does, in so many processes; the weights are the same."""
    _tell_kept(tasks)
    if jobs == 1 or len(tasks) == 1:
        yield _Later(tasks)
        return
    check_can_be_sent(tasks)
    lanes = [tasks[start::jobs] for start in range(min(jobs, len(tasks)))]
    with aside(_run_all, [(lane,) for lane in lanes]) as others:
        yield _Beside(tasks, others)


def check_can_be_sent(tasks: Sequence[AccuracyTask]) -> None:
    """Refuses what other processes cannot be given: of data in memory, an augmentation without a module of its own."""
    try:
        pickle.dumps([getattr(one.recipe.data.held, "augment", None) for one in tasks])
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TqhwError(
            f"its augmentation cannot be sent to other processes: {error}",
            place="data",
            lever="define it at the top of a module, or run with jobs=1",
        ) from None


@dataclass(frozen=True)
class _Tasks:
    tasks: Sequence[AccuracyTask]

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.note for one in self.tasks if one.note is not None))


@dataclass(frozen=True)
class _Later(_Tasks):
    def rows(self, watch: Watcher) -> tuple[AccuracyRow, ...]:
        found = []
        for one in self.tasks:
            several = sum(other.recipe.method == one.recipe.method for other in self.tasks) > 1
            seed = f", seed {one.recipe.training.seed}" if several else ""
            with watch(f"{one.verb}, {one.recipe.method}{seed}", one.steps) as tick:
                found.append(one.run(tick))
        return rows(found)


@dataclass(frozen=True)
class _Beside(_Tasks):
    others: Aside[list[Measured]]

    def rows(self, watch: Watcher) -> tuple[AccuracyRow, ...]:
        methods = dict.fromkeys(one.recipe.method for one in self.tasks)
        with watch(
            f"waiting for the {self.tasks[0].verb}, {' and '.join(methods)}", sum(one.steps for one in self.tasks)
        ) as tick:
            lanes = self.others.results(tick)
        found = [lanes[i % len(lanes)][i // len(lanes)] for i in range(len(self.tasks))]
        return rows(found)


def _tell_kept(tasks: Sequence[AccuracyTask]) -> None:
    for folder in (one.folder for one in tasks if one.folder is not None):
        for checkpoint in sorted(folder.glob(f"**/{train.CHECKPOINT}")):
            extent = train.extent_of(checkpoint)
            goes_on = "" if extent.finished else f" goes on after {extent}"
            logging.getLogger(__name__).info(f"kept training taken from {checkpoint.parent}{goes_on}")


def _run_all(tell: Tell, tasks: Sequence[AccuracyTask]) -> list[Measured]:
    found, before = [], 0
    for one in tasks:
        found.append(one.run(lambda steps, done=before: tell(done + steps)))  # type: ignore[misc]
        before += one.steps
    return found


def planned(
    experiment: Experiment, kept: Callable[[str], Path] | None, recipes: Sequence[Recipe]
) -> list[TrainingTask]:
    """What there is to train of an experiment; checkpoints are kept by a hash of all that decides the weights."""
    found = []
    for recipe in recipes:
        folder = None if kept is None else kept(f"{recipe.method}-{_digest(recipe)}")
        found.append(TrainingTask(recipe, folder, experiment.bits, experiment.stored_bits))
    return found


def _digest(found: Recipe) -> str:
    """A name for the recipe, for what stands in its files, where they are here, and for what carries it out."""
    parts = {"recipe": found.json, "tqhw": __version__, "torch": str(torch.__version__)}
    if contents := [digest for digest in map(content_digest, found.files) if digest is not None]:
        parts["contents"] = contents
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
