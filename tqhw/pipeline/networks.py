"""The networks that an experiment asks for, and training them without the hardware side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqhw import train
from tqhw.errors import TqhwError
from tqhw.experiment import Experiment
from tqhw.options import Training
from tqhw.system.progress import Watcher, unwatched
from tqhw.train import Recipe


@dataclass(frozen=True)
class NetworkRun:
    """A network to be trained: what its training is called, its recipe, and the folder that it is trained into."""

    name: str
    recipe: Recipe
    folder: Path


def networks(chosen: Experiment, methods: Sequence[str] | None = None, seeds: int | None = None) -> list[Recipe]:
    """The networks that an experiment asks for, by method and then by seed."""
    training = chosen.training or Training()
    if chosen.quantize is not None:
        lever = "tqhw run measures it, tqhw quantize writes it; with a training section it is trained"
        raise TqhwError("quantizes without a training", place="quantize", lever=lever)
    if training.trained:
        raise TqhwError("names what is trained already", place="training.from", lever="leave it out to train")
    first, count = chosen.seed, training.seeds if seeds is None else seeds
    return [
        train.recipe(chosen, method, chosen.precisions, seed)
        for method in methods or training.schemes
        for seed in range(first, first + count)
    ]


def below(folder: Path, recipes: Sequence[Recipe]) -> list[NetworkRun]:
    """Each of several networks in a folder of its own, by method and seed."""
    return [
        NetworkRun(
            f"{recipe.method}, seed {recipe.training.seed}",
            recipe,
            folder / recipe.method / f"seed{recipe.training.seed}",
        )
        for recipe in recipes
    ]


def runs_in(folder: Path, recipes: Sequence[Recipe], *, resume: bool) -> list[NetworkRun]:
    """One network in the folder itself, several below it. Raises TqhwError where something was trained there before."""
    if not resume and any(folder.glob(f"**/{train.CHECKPOINT}")):
        lever = "add --resume (Python: resume=True), or choose another folder"
        raise TqhwError("holds a checkpoint already", place=str(folder), lever=lever)
    return [NetworkRun("training", recipes[0], folder)] if len(recipes) == 1 else below(folder, recipes)


def train_networks(
    experiment: Experiment,
    folder: Path,
    *,
    resume: bool = False,
    watch: Watcher = unwatched,
    trust: bool = False,
) -> tuple[Path, ...]:
    """Trains what ``tqhw train`` does; returns the checkpoints."""
    runs = runs_in(folder, networks(experiment), resume=resume)
    opened = train.OpenedData()
    for run in runs:
        data, how = opened.of(run.recipe), run.recipe.training
        whole = how.epochs * (train.split(data, how)[0].train_size // how.batch_size)
        nets = run.recipe.way.networks(run.recipe.bits)
        with watch(run.name, whole * len(nets)) as tick:

            def told(bits: tuple[int, ...], at: train.Progress, nets: Sequence[tuple[int, ...]] = nets) -> None:
                tick(nets.index(bits) * at.steps + at.step)

            train.train_run(run.recipe, run.folder, resume=resume, watch=told, data=data, trust=trust)
    return tuple(path for run in runs for path in train.checkpoints_in(run.folder))
