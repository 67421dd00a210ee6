"""Whole runs: a recipe trained into checkpoints, checkpoints measured and exported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from tqhw.datasets import Data, example
from tqhw.errors import TqhwError
from tqhw.models import MODELS
from tqhw.quant import MAX_BITS, add_precision, check_precisions, export
from tqhw.quant.calls import Inputs
from tqhw.quant.files.tensorfile import read_header, read_tensors
from tqhw.train.agree import facts_of
from tqhw.train.calibrate import recalibrate, start_inputs
from tqhw.train.checkpoint import BEST, CHECKPOINT, KIND, VERSION, Checkpoints, EpochRecord, load_model
from tqhw.train.evaluate import Accuracy, evaluate_both, evaluate_full, evaluate_requantized
from tqhw.train.loop import Progress, train
from tqhw.train.metrics import metric_of
from tqhw.train.recipe import Recipe, read_recipe
from tqhw.train.validation import check_best

Watch = Callable[[tuple[int, ...], Progress], None]
"""Told the precisions of the network that is being trained, and how far it is."""


def train_run(
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = False,
    watch: Watch | None = None,
    data: Data | None = None,
    trust: bool = False,
) -> dict[tuple[int, ...], tuple[EpochRecord, ...]]:
    """Trains every network of ``recipe``; a checkpoint and logs in ``folder``, or a folder in it for each.

    Returns the history of every network by its precisions. ``data``: the recipe's, where it is open already. ``trust``:
    calls a factory that does not declare to give a model, too.
    """
    data = recipe.open_data() if data is None else data
    histories = {}
    for precisions in recipe.way.networks(recipe.bits):
        own = replace(recipe, bits=precisions)
        place = folder / f"{precisions[0]}bit" if recipe.way.training == "separate" and len(recipe.bits) > 1 else folder
        keep = Checkpoints(place, own.json, facts_of(data))

        def told(progress: Progress, bits: tuple[int, ...] = precisions) -> None:
            if watch is not None:
                watch(bits, progress)

        result = train(own.network(precisions, trust=trust), data, recipe.training, told, keep=keep, resume=resume)
        histories[precisions] = result.history
    return histories


def recipe_of(checkpoint: Path) -> Recipe:
    """The recipe that a checkpoint comes from."""
    recipe = read_header(checkpoint, KIND, VERSION).get("recipe")
    if not isinstance(recipe, dict) or not recipe:
        raise TqhwError("does not say what recipe it comes from", place=str(checkpoint))
    return read_recipe(recipe, str(checkpoint))


def load_run(checkpoint: Path, *, model: str | None = None, data: Data | None = None) -> tuple[nn.Module, Recipe]:
    """The quantized model of a checkpoint, and the recipe it comes from.

    ``checkpoint``: the file, or the folder that holds it. ``model``: the name that its recipe must have for the
    model. One of tqhw's own needs no naming; any other is a module to import and a function to call, and a file
    alone has neither done. ``data``: the recipe's, where it is open already.
    """
    path = checkpoint / CHECKPOINT if checkpoint.is_dir() else checkpoint
    recipe = recipe_of(path)
    _check_named(path, recipe.model.name, model)
    # Its tensors are all in the checkpoint: the file that the training started from may be gone.
    blank = replace(recipe, model=replace(recipe.model, weights=None))
    network = blank.network(recipe.bits, trust=True)  # it was named
    kept = path
    if path.name == CHECKPOINT and keeps_best(recipe):
        kept = path.with_name(BEST)
        if not kept.is_file():
            lever = "go on with its training, which measures it, or copy that file, too"
            raise TqhwError(f"says that the best network is kept, but there is no {BEST}", place=str(path), lever=lever)
        check_best(kept, path)
    load_model(kept, read_tensors(kept), network)
    return finished(network, recipe, data), recipe


def keeps_best(recipe: Recipe) -> bool:
    """Whether a training ends with the network of its best epoch."""
    how = recipe.training.validation
    return how is not None and how.keep == "best"


def finished(network: nn.Module, recipe: Recipe, data: Data | None = None) -> nn.Module:
    """A trained network as it is measured: quantized and calibrated, where the method does that after the training."""
    if recipe.way.training == "none":
        recipe.quantize(network, recipe.bits)
        data = recipe.open_data() if data is None else data
        start_inputs(network, data, recipe.training.batch_size, threads=recipe.training.threads)
        for bits in recipe.bits:
            recalibrate(network, data, bits, threads=recipe.training.threads)
    return network


def _check_named(path: Path, name: str, given: str | None) -> None:
    """Refuses a model that nobody but the file asks for, without importing anything of it."""
    if given is None and name not in MODELS:
        raise TqhwError(
            f"is of model {name!r}, which is not one of tqhw's: no code is run because a file names it",
            place=str(path),
            lever=f"name it too, if you trust it: --model {name}, or load_run(..., model={name!r})",
        )
    if given is not None and given != name:
        raise TqhwError(f"is of model {name!r}, not of {given!r}", place=str(path))


def serve(model: nn.Module, recipe: Recipe, bits: Iterable[int], data: Data | None = None) -> None:
    """Lets ``model`` run at ``bits`` too: batch norms of precisions that were not trained are calibrated.

    ``data``: the recipe's, where it is open already.
    """
    for new in check_precisions(bits):
        if new not in recipe.bits:
            data = recipe.open_data() if data is None else data
            add_precision(model, new)
            recalibrate(model, data, new, threads=recipe.training.threads)


def evaluate_run(
    model: nn.Module, recipe: Recipe, bits: Iterable[int], *, stored: int = MAX_BITS, data: Data | None = None
) -> list[Accuracy]:
    """Accuracies at ``bits``, quantized anew and shifted from ``stored``.

    Precisions that were not trained get batch norms calibrated on the training images, on those of the nearest
    higher precision; so do the networks of methods that train one network per precision.
    """
    wanted = check_precisions(bits)
    data = recipe.open_data() if data is None else data
    if torch.cuda.is_available():
        model.to(recipe.training.device)
    metric = metric_of(recipe.training, example(data)[1])
    if recipe.way.training == "float":
        return [evaluate_full(model, data, metric=metric)]
    serve(model, recipe, wanted, data)
    both = evaluate_both(model, data, [b for b in wanted if b <= stored], stored=stored, metric=metric)
    beyond = evaluate_requantized(model, data, [b for b in wanted if b > stored], metric=metric)
    return [*(anew for anew, _ in both), *beyond, *(shifted for _, shifted in both)]


def export_run(
    model: nn.Module,
    recipe: Recipe,
    path: Path,
    *,
    stored: int = MAX_BITS,
    data: Data | None = None,
    fold: bool = False,
    integers: bool = False,
) -> int:
    """Writes the deployable model as :func:`tqhw.quant.export` does; returns its size in bytes."""
    given: Inputs | None = None
    if path.suffix == ".onnx":
        reads = recipe.data.reads if data is None else (1, *data.input_shape)
        if isinstance(reads, tuple) and len(reads) == 4:  # images, of which nothing has to be opened
            return export(model, path, stored=stored, input=reads[1:], fold=fold, integers=integers)
        given, _ = example(recipe.open_data() if data is None else data, 2)
    return export(model, path, stored=stored, input=given, recipe=recipe.json, fold=fold, integers=integers)
