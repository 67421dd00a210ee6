"""Samples of any shape: sequences, token ids with masks, rows of a table; their targets are labels or numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from tqhw.datasets.array_files import Arrays, read_arrays
from tqhw.datasets.base import IGNORED, Batch, Inputs, epoch_generator
from tqhw.errors import TqhwError, nearest

PARTS: Final = ("train", "test")
TARGETS: Final = ("labels", "label", "targets", "target", "y")
"""What the targets may be called; any other array is an input, but for the mask."""
MASK: Final = "mask"


@dataclass(frozen=True)
class SampleData:
    """A data set that is held in memory: inputs of any shape, one tensor or several by name, the first axis samples.

    Targets are labels, int64 of (N,) or (N, positions), or numbers, float32 of (N,) or (N, several). A label of
    :data:`tqhw.datasets.base.IGNORED`, and a number that is NaN, does not count. ``classes``: 0 for numbers.
    Raises TqhwError for what does not fit together, labels out of range, and inputs with NaN or infinity.
    """

    name: str
    classes: int
    train_inputs: Inputs
    train_targets: torch.Tensor
    test_inputs: Inputs
    test_targets: torch.Tensor

    def __post_init__(self) -> None:
        for part, inputs, targets in self._parts():
            _check_inputs(inputs, len(targets), f"{self.name}: {part}")
            _check_targets(targets, self.classes, f"{self.name}: {part}")
        shapes = [[(name, [*x.shape[1:]], x.dtype) for name, x in _named(x).items()] for _, x, _ in self._parts()]
        alike = self.train_targets.shape[1:] == self.test_targets.shape[1:]
        if shapes[0] != shapes[1] or not alike or self.train_targets.dtype != self.test_targets.dtype:
            told = (", ".join(f"{name or 'inputs'} {shape}" for name, shape, _ in part) for part in shapes)
            raise TqhwError(f"training and test samples differ: {' and '.join(told)}", place=self.name)

    def _parts(self) -> Iterator[tuple[str, Inputs, torch.Tensor]]:
        yield "training", self.train_inputs, self.train_targets
        yield "test", self.test_inputs, self.test_targets

    @property
    def input_shape(self) -> tuple[int, ...]:
        return tuple(self.train_inputs.shape[1:]) if isinstance(self.train_inputs, torch.Tensor) else ()

    @property
    def train_size(self) -> int:
        return len(self.train_targets)

    def example(self, rows: int) -> Batch:
        """The first ``rows`` training samples, the last one again where there are fewer."""
        chosen = torch.arange(rows).clamp(max=self.train_size - 1)
        return _rows(self.train_inputs, chosen), self.train_targets[chosen]

    def part(self, train: Sequence[int], test: Sequence[int]) -> SampleData:
        """A data set of these of the training samples, by number, to train and to test with."""
        chosen, held = torch.tensor(train), torch.tensor(test)
        parts = [(_rows(self.train_inputs, rows), self.train_targets[rows]) for rows in (chosen, held)]
        return SampleData(self.name, self.classes, *parts[0], *parts[1])

    def train_batches(self, batch_size: int, seed: int, epoch: int, rank: int = 0, ranks: int = 1) -> Iterator[Batch]:
        order = torch.randperm(self.train_size, generator=epoch_generator(seed, epoch))
        for start in range(0, self.train_size - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size][rank::ranks]
            yield _rows(self.train_inputs, chosen), self.train_targets[chosen]

    def test_batches(self, batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(self.test_targets), batch_size):
            chosen = slice(start, start + batch_size)
            yield _rows(self.test_inputs, chosen), self.test_targets[chosen]


def samples(path: str | Path, classes: int | None = None) -> SampleData:
    """The arrays of an ``.npz`` or ``.safetensors`` file, each called ``train_`` or ``test_`` and what it is.

    ``train_labels`` (or ``targets``) is what is learned: whole numbers are labels from 0, real numbers and truth values
    are numbers. ``train_mask``, of the targets' shape, says which of them count. Every other array is an input: one
    alone is the model's, several are its arguments by name, ``train_input_ids`` that of ``input_ids``. ``classes``: one
    more than the largest label, unless it is said.
    """
    found = read_arrays(Path(path))
    read = [_part_of(found, part, str(path)) for part in PARTS]
    counted = [targets for _, targets in read if not targets.is_floating_point() and targets.numel()]
    most = 1 + max((int(targets.max()) for targets in counted), default=-1)
    return SampleData(str(path), most if classes is None else classes, *read[0], *read[1])


def _part_of(found: Arrays, part: str, place: str) -> Batch:
    own = {name.removeprefix(f"{part}_"): array for name, array in found.items() if name.startswith(f"{part}_")}
    called = [name for name in TARGETS if name in own]
    if len(called) != 1:
        told = f"'{part}_{TARGETS[0]}' (or {', '.join(TARGETS[1:])})"
        what = f"holds no array {told}" if not called else f"holds several targets: {', '.join(called)}"
        raise TqhwError(what, place=place, lever=nearest(f"{part}_{TARGETS[0]}", found))
    targets = _targets(own.pop(called[0]))
    if targets.is_floating_point() and bool(torch.isnan(targets).any()):
        at = f"{place}: {part}_{called[0]}"
        raise TqhwError("targets are NaN", place=at, lever=f"say by {part}_{MASK} which of them count")
    mask = own.pop(MASK, None)
    if not own:
        raise TqhwError(f"holds no inputs beside '{part}_{called[0]}'", place=place, lever=f"name them {part}_NAME")
    if mask is not None:
        targets = _masked(targets, mask, f"{place}: {part}_{MASK}")
    inputs = {name: _input(array) for name, array in own.items()}
    return next(iter(inputs.values())) if len(inputs) == 1 else inputs, targets


def _input(array: torch.Tensor) -> torch.Tensor:
    if array.is_floating_point():
        return array.float()
    return array if array.dtype == torch.bool else array.long()


def _targets(array: torch.Tensor) -> torch.Tensor:
    return array.float() if array.is_floating_point() or array.dtype == torch.bool else array.long()


def _masked(targets: torch.Tensor, mask: torch.Tensor, place: str) -> torch.Tensor:
    if mask.shape != targets.shape:
        raise TqhwError(
            f"a mask of shape {[*mask.shape]} does not say which targets of shape {[*targets.shape]} count",
            place=place,
            lever="give it the shape of the targets; what a model is to see of its inputs is an input of its own",
        )
    if mask.is_floating_point() or not bool(((mask == 0) | (mask == 1)).all()):
        raise TqhwError("holds something else than 0 and 1", place=place, lever="give 1 for what counts")
    return targets.masked_fill(mask == 0, float("nan") if targets.is_floating_point() else IGNORED)


def _check_inputs(inputs: Inputs, rows: int, place: str) -> None:
    named = _named(inputs)
    for name, array in named.items():
        at = f"{place} inputs {name}".rstrip()
        if array.ndim == 0 or len(array) != rows or not rows:
            raise TqhwError(f"an input of shape {[*array.shape]} does not belong to {rows} targets", place=at)
        if array.is_floating_point() and not bool(torch.isfinite(array).all()):
            bad = int((~torch.isfinite(array)).sum())
            raise TqhwError(f"{bad} of {array.numel()} numbers are NaN or infinite", place=at, lever="leave them out")
        others = [other for key, other in named.items() if key != name and MASK not in key]
        if MASK in name and others and not any(other.shape[: array.ndim] == array.shape for other in others):
            told = ", ".join(f"{key} {[*other.shape]}" for key, other in named.items() if key != name)
            raise TqhwError(f"a mask of shape {[*array.shape]} fits no other input: {told}", place=at)


def _check_targets(targets: torch.Tensor, classes: int, place: str) -> None:
    if targets.is_floating_point():
        counts = ~torch.isnan(targets)
        if not bool(counts.any()):
            raise TqhwError("no target counts: every one is masked or NaN", place=place)
        if bool(torch.isinf(targets).any()):
            raise TqhwError("targets are infinite", place=place, lever="leave them out")
        return
    own = targets[targets != IGNORED]
    if not own.numel():
        raise TqhwError("no label counts: every one is masked", place=place)
    low, high = int(own.min()), int(own.max())
    if low < 0 or high >= classes:
        raise TqhwError(
            f"labels go from {low} to {high}, but there are {classes} classes",
            place=place,
            lever=f"number them from 0; {IGNORED} is what does not count; data.options.classes says how many there are",
        )


def _named(inputs: Inputs) -> Mapping[str, torch.Tensor]:
    return inputs if isinstance(inputs, Mapping) else {"": inputs}


def _rows(inputs: Inputs, chosen: torch.Tensor | slice) -> Inputs:
    if isinstance(inputs, Mapping):
        return {name: array[chosen] for name, array in inputs.items()}
    return inputs[chosen]
