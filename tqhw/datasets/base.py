"""What training reads: batches of inputs and targets, in an order that only the seed and the epoch decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, Final, Protocol

import torch

from tqhw.errors import TqhwError

Inputs = torch.Tensor | Mapping[str, torch.Tensor]
"""What a model reads: one tensor, or its arguments by name. The first axis counts samples."""
Batch = tuple[Inputs, torch.Tensor]
"""Inputs, such as images (N, channels, height, width) of float32, and targets: labels (N,) or (N, positions) of int64,
or numbers (N,) or (N, several) of float32."""
IGNORED: Final = -100
"""The label of what does not count, as PyTorch has it; of numbers it is NaN."""

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""Images to images of the same shape, at random by the generator."""


def counting(targets: torch.Tensor) -> torch.Tensor:
    """Which targets count, a truth value for each."""
    return ~torch.isnan(targets) if targets.is_floating_point() else targets != IGNORED


class Data(Protocol):
    """A data set with a training and a test part."""

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> int:
        """How many classes labels count; 0 where the targets are numbers."""
        ...

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample without the first axis, such as channels, height and width; () for several inputs by name."""
        ...

    @property
    def train_size(self) -> int:
        """How many training samples there are."""
        ...

    def train_batches(self, batch_size: int, seed: int, epoch: int, rank: int = 0, ranks: int = 1) -> Iterator[Batch]:
        """Shuffled and augmented; the last batch is dropped where it is incomplete.

        Of every batch, process ``rank`` of ``ranks`` gets its own part: each ``ranks``-th sample.
        """
        ...

    def test_batches(self, batch_size: int) -> Iterator[Batch]:
        """In the data set's own order, the last batch as short as it is."""
        ...


def example(data: Data, rows: int = 1) -> Batch:
    """So many training samples of ``data``, not augmented; of a data set that gives none, black images."""
    shown = getattr(data, "example", None)
    if shown is not None:
        batch: Batch = shown(rows)
        return batch
    return torch.zeros(rows, *data.input_shape), torch.zeros(rows, dtype=torch.int64)


def held_out(data: Data, share: float, seed: int) -> tuple[Data, Data]:
    """``data`` without a ``share`` of its training part, and a data set whose test part is that share.

    ``seed`` decides which samples are held out; the test part of ``data`` is not read. Raises TqhwError where nothing
    would be left on a side, and for a data set that cannot be split.
    """
    take: Any = getattr(data, "part", None)
    if take is None:
        lever = "give it a method part(train, test) of sample numbers, as tqhw.datasets.TensorData has, or leave it out"
        raise TqhwError(f"data set {data.name} cannot be split", place="training.validation", lever=lever)
    count = round(share * data.train_size)
    if not 0 < count < data.train_size:
        raise TqhwError(
            f"a share of {share:g} of {data.train_size} training samples leaves one side empty",
            place="training.validation.share",
            lever="choose another share",
        )
    order = torch.randperm(data.train_size, generator=epoch_generator(seed, -1)).tolist()
    rest, held = sorted(order[count:]), sorted(order[:count])
    return take(rest, held), take(held, held)


@dataclass(frozen=True)
class TensorData:
    """A data set that is held in memory. Images (N, C, H, W), labels (N,) int64.

    Images are float32, or uint8 that becomes ``(x / 255 - mean) / deviation`` per channel when it is read, after
    the augmentation.
    """

    name: str
    classes: int
    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    augment: Augment | None = None
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for part, images, labels in (
            ("training", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            if images.ndim != 4 or len(images) != len(labels) or not len(images):
                shapes = f"{tuple(images.shape)} and {tuple(labels.shape)}"
                raise TqhwError(
                    f"images and labels of shapes {shapes} are no {part} set",
                    place=self.name,
                    lever="give images (N, channels, height, width) and labels (N,)",
                )
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= self.classes:
                raise TqhwError(
                    f"the {part} labels go from {low} to {high}, but there are {self.classes} classes",
                    place=self.name,
                )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what it holds: types, shapes and values, classes, mean, deviation; not of the augmentation."""
        found = sha256(repr((self.classes, self.mean, self.deviation)).encode())
        for tensor in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return found.hexdigest()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    @property
    def train_size(self) -> int:
        return len(self.train_images)

    def train_batches(self, batch_size: int, seed: int, epoch: int, rank: int = 0, ranks: int = 1) -> Iterator[Batch]:
        generator = epoch_generator(seed, epoch)
        order = torch.randperm(self.train_size, generator=generator)
        for start in range(0, self.train_size - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size]
            images = self.train_images[chosen]
            if self.augment is not None:
                images = self.augment(images, generator)
            yield self._scaled(images[rank::ranks]), self.train_labels[chosen][rank::ranks]

    def test_batches(self, batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(self.test_images), batch_size):
            end = start + batch_size
            yield self._scaled(self.test_images[start:end]), self.test_labels[start:end]

    def part(self, train: Sequence[int], test: Sequence[int]) -> TensorData:
        """A data set of these of the training samples, by number, to train and to test with."""
        chosen, held = torch.tensor(train), torch.tensor(test)
        images, labels = self.train_images, self.train_labels
        return replace(
            self,
            train_images=images[chosen],
            train_labels=labels[chosen],
            test_images=images[held],
            test_labels=labels[held],
        )

    def _scaled(self, images: torch.Tensor) -> torch.Tensor:
        if images.dtype != torch.uint8:
            return images
        mean = 255 * torch.tensor(self.mean).view(-1, 1, 1)
        deviation = 255 * torch.tensor(self.deviation).view(-1, 1, 1)
        return (images.float() - mean) / deviation


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """The random numbers of one epoch, whatever was drawn before: a resumed run draws the same ones."""
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch) % (1 << 63))
