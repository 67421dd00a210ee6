"""Whether a folder that ``tqhw train`` wrote is of the network that somebody else means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from tqhw.datasets import Data, FolderData
from tqhw.datasets.mnist_subset import SIDE
from tqhw.errors import TqhwError
from tqhw.quant import FULL
from tqhw.quant.files.tensorfile import read_header
from tqhw.train.checkpoint import KIND, VERSION
from tqhw.train.differences import beyond_rounding, differences
from tqhw.train.recipe import DataRecipe, Recipe

_PARTS: Final[Mapping[str, str]] = {"model": "another model", "quantization": "another quantization"}
_START: Final = ("gradient", "alpha", "through_maximum")
"""How a quantization is learned, which the trained network no longer shows."""
_SIZES: Final = {"digits": 8, "mnist_subset": SIDE, "imagefolder": FolderData.size}


def check_agrees(path: Path, there: Recipe, here: Recipe) -> None:
    """Refuses a checkpoint of another model, or of other layers or bits of layers than ``here``.

    What a training started from, and how it went on, may differ.
    """
    parts = ["model"] if there.way.training == "float" else [*_PARTS]
    found = {part: differences(_shown(there, part), _shown(here, part)) for part in parts}
    _refuse(path, {_PARTS[part]: told for part, told in found.items()}, "an experiment says of its network what it is")


def check_same_data(path: Path, there: DataRecipe, here: DataRecipe) -> None:
    """Refuses a checkpoint of another data set; where it lies and how it is read may differ."""
    found = differences({"data": _data(there)}, {"data": _data(here)})
    _refuse(path, {"another data set": found}, "all networks are measured on the same one")


def facts_of(data: Data) -> dict[str, Any]:
    """What a network has learned to read: the shape of a sample, how many classes there are, and what is taken off the
    pixels and what they are divided by, where the training images say so in numbers."""
    found = {name: _numbers(getattr(data, name, None)) for name in ("input_shape", "classes", "mean", "deviation")}
    return {name: value for name, value in found.items() if value}


def _numbers(value: object) -> Any:
    """A number or a flat list, as JSON has them, of whatever a user's own data set has; None for what is neither."""
    try:
        found = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    if found.dtype.kind not in "iuf":
        return None
    return found.ravel().tolist() if found.ndim else found.item()


def check_same_facts(path: Path, data: Data) -> None:
    """Refuses to measure a checkpoint on data that are not what it was trained on, whatever they are called.

    Checkpoints of earlier versions do not say what that was.
    """
    there, here = read_header(path, KIND, VERSION).get("data"), facts_of(data)
    if not isinstance(there, dict):
        return
    found = beyond_rounding(there, here)
    _refuse(path, {"other data": found}, "measure it on the data set that it was trained on")


def check_serves(paths: Mapping[Path, Recipe], bits: Iterable[int]) -> None:
    """Refuses checkpoints of one method and seed that were not trained at all of ``bits``."""
    served = sorted({b for recipe in paths.values() for b in recipe.bits})
    missing = [b for b in bits if b not in served]
    (path, recipe), *_ = paths.items()
    if missing and recipe.way.training != "float":
        raise TqhwError(
            f"is of other bits: it was trained at {_listed(served)}, not at {_listed(missing)}",
            place=str(path),
            lever=f"ask for bits out of {served}, or train it at these",
        )


def _refuse(path: Path, found: Mapping[str, Mapping[str, tuple[str, str]]], lever: str) -> None:
    for what, told in found.items():
        if told:
            listed = "; ".join(f"{key} is {there} there, {here} here" for key, (there, here) in told.items())
            raise TqhwError(f"is of {what}: {listed}", place=str(path), lever=lever)


def _shown(recipe: Recipe, part: str) -> dict[str, Any]:
    document = dict(recipe.json[part])
    for key in ("weights", "partial") if part == "model" else _START:
        document.pop(key, None)
    return {part: document}


def _data(recipe: DataRecipe) -> dict[str, Any]:
    found = {"name": recipe.name, "size": recipe.size or _SIZES.get(recipe.name), "split": recipe.split}
    return {**found, "options": recipe.options or {}}


def _listed(bits: Iterable[int]) -> str:
    return ", ".join("floating point" if b == FULL else str(b) for b in bits)
