"""Data to calibrate with: batches of whatever a model reads, from a file of arrays or a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from tqhw.datasets.array_files import Arrays, read_arrays
from tqhw.datasets.base import Data
from tqhw.datasets.registry import DATASETS, open_dataset
from tqhw.errors import TqhwError

LABELS: Final = "labels"
"""An array of this name is no input: it says which classes there are."""


@dataclass(frozen=True)
class Calibration:
    """``batches``: inputs of a call each, the one tensor or several by name; of ``samples`` rows together."""

    batches: tuple[torch.Tensor | Mapping[str, torch.Tensor], ...]
    samples: int


def calibration(given: str, *, samples: int = 256, batch_size: int = 32) -> Calibration:
    """The first ``samples`` rows of what ``given`` names: a file of arrays, or NAME or NAME:PATH of a data set.

    The arrays of a file have their rows in common; one alone is the model's input, several are its arguments by name.
    Raises TqhwError for a file that cannot be read, that holds no row, or rows of different numbers, for numbers that
    are NaN or infinite, and for labels of one class alone.
    """
    for name, value in (("samples", samples), ("batch_size", batch_size)):
        if value < 1:
            raise TqhwError(f"{value} leaves nothing to calibrate with", place=name, lever="use 1 or more")
    name, _, path = given.partition(":")
    of_data_set = name in DATASETS and not Path(given).exists()
    if of_data_set:
        data = open_dataset(name, {"path": path} if path else {}, "calibration")
        return calibrating(data, samples, batch_size, place=given)
    return _calibration(read_arrays(Path(given)), samples, batch_size, given)


def calibrating(data: Data, samples: int, batch_size: int, *, seed: int = 0, place: str | None = None) -> Calibration:
    """So many training samples of ``data``, which ``seed`` decides; raises as :func:`calibration`."""
    inputs, targets = next(iter(data.train_batches(min(samples, data.train_size), seed, 0)))
    named = dict(inputs) if isinstance(inputs, Mapping) else {"images": inputs}
    labels = {LABELS: targets} if data.classes > 1 and targets.ndim == 1 else {}
    return _calibration(named | labels, samples, batch_size, place or f"data {data.name}")


def _calibration(arrays: Arrays, samples: int, batch_size: int, given: str) -> Calibration:
    _check(arrays, given)
    arrays = {key: array[:samples] for key, array in arrays.items()}
    labels = arrays.pop(LABELS, None)
    if not arrays:
        raise TqhwError("holds no inputs beside labels", place=given)
    rows = len(next(iter(arrays.values())))
    if labels is not None and rows > 1 and bool((labels == labels[0]).all()):
        raise TqhwError(
            f"all {rows} samples are of class {labels[0].item()}",
            place=given,
            lever="calibrate with samples of every class: shuffle them, or take more",
        )
    return Calibration(tuple(_batches(arrays, rows, batch_size)), rows)


def _batches(arrays: Arrays, rows: int, size: int) -> Iterator[torch.Tensor | Mapping[str, torch.Tensor]]:
    for start in range(0, rows, size):
        batch = {name: array[start : start + size] for name, array in arrays.items()}
        yield next(iter(batch.values())) if len(batch) == 1 else batch


def _check(arrays: Arrays, place: str) -> None:
    if not arrays or any(array.ndim == 0 or len(array) == 0 for array in arrays.values()):
        raise TqhwError("holds no samples", place=place, lever="give arrays whose first axis counts them")
    rows = {name: len(array) for name, array in arrays.items()}
    if len({*rows.values()}) > 1:
        told = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise TqhwError(f"its arrays have different numbers of rows: {told}", place=place)
    for name, array in arrays.items():
        bad = int((~torch.isfinite(array)).sum()) if array.is_floating_point() else 0
        if bad:
            raise TqhwError(
                f"{bad} of {array.numel()} numbers of '{name}' are NaN or infinite", place=place, lever="leave them out"
            )
