"""What training reads: batches of images and labels, in an order that only the seed and the epoch decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Protocol

import torch

from tqhw.errors import TqhwError

Batch = tuple[torch.Tensor, torch.Tensor]
"""Images (N, channels, height, width), float32, and labels (N,), int64."""

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""Images to images of the same shape, at random by the generator."""


class Data(Protocol):
    """A data set with a training and a test part."""

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> int: ...

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        ...

    @property
    def train_size(self) -> int:
        """How many training images there are."""
        ...

    def train_batches(self, batch_size: int, seed: int, epoch: int, rank: int = 0, ranks: int = 1) -> Iterator[Batch]:
        """Shuffled and augmented; the last batch is dropped where it is incomplete.

        Of every batch, process ``rank`` of ``ranks`` gets its own part: each ``ranks``-th image.
        """
        ...

    def test_batches(self, batch_size: int) -> Iterator[Batch]:
        """In the data set's own order, the last batch as short as it is."""
        ...


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

    def _scaled(self, images: torch.Tensor) -> torch.Tensor:
        if images.dtype != torch.uint8:
            return images
        mean = 255 * torch.tensor(self.mean).view(-1, 1, 1)
        deviation = 255 * torch.tensor(self.deviation).view(-1, 1, 1)
        return (images.float() - mean) / deviation


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """The random numbers of one epoch, whatever was drawn before: a resumed run draws the same ones."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)
