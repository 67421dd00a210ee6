"""A data set out of (image, label) items, as other packages' data sets give them, held in memory as uint8."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from tqhw.datasets.arrays import from_images
from tqhw.datasets.base import TensorData
from tqhw.errors import TqhwError


class MapStyle(Protocol):
    """What PyTorch calls a map-style data set."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Any: ...


Items = Iterable[Any] | MapStyle


def from_items(name: str, train: Items, test: Items, size: int | None = None) -> TensorData:
    """A data set out of two parts of (image, label) items, as torchvision's give them: Pillow images, arrays, tensors.

    Arrays and tensors are (height, width), (channels, height, width) or (height, width, channels). Labels are whole
    numbers from 0, or texts, which are numbered in their order; there are as many classes as the training part's
    ``classes`` are, where it has any. Raises TqhwError for images of several sizes where no ``size`` is given, for
    items that cannot be read, and for other labels.
    """
    parts = [_stacked(name, part, size) for part in (train, test)]
    shapes = [tuple(images.shape[1:]) for images, _ in parts]
    if shapes[0] != shapes[1]:
        raise TqhwError(
            f"training images are of {shapes[0]}, test images of {shapes[1]}",
            place=name,
            lever="data.size makes them alike",
        )
    labels = _numbered(name, [found for _, found in parts])
    named = getattr(train, "classes", None)
    count = max(int(found.max()) + 1 for found in labels)
    classes = max(count, len(named)) if isinstance(named, list | tuple) else count
    return from_images(name, classes, parts[0][0], labels[0], parts[1][0], labels[1])


def _numbered(name: str, parts: Sequence[Sequence[Any]]) -> list[torch.Tensor]:
    """Labels as tensors of whole numbers; texts in their order."""
    every = [label for part in parts for label in part]
    if all(isinstance(label, str) for label in every):
        order = {text: number for number, text in enumerate(sorted({*every}))}
        return [torch.tensor([order[label] for label in part]) for part in parts]
    try:
        return [torch.tensor([operator.index(label) for label in part]) for part in parts]
    except TypeError:
        raise TqhwError(
            f"has the label {next(label for label in every if not hasattr(label, '__index__'))!r}, which is no class",
            place=name,
            lever="give whole numbers from 0, or texts; leave pictures without a class out",
        ) from None


def _stacked(name: str, items: Items, size: int | None) -> tuple[torch.Tensor, list[Any]]:
    images: list[torch.Tensor] = []
    labels: list[Any] = []
    for number, (image, label) in enumerate(_each(name, items)):
        pixels = _pixels(image, size, f"{name}: image {number}")
        if images and pixels.shape != images[0].shape:
            raise TqhwError(
                f"image {number} is of {tuple(pixels.shape)}, others are of {tuple(images[0].shape)}",
                place=name,
                lever="data.size makes them alike",
            )
        images.append(pixels)
        labels.append(label)
    if not images:
        raise TqhwError("has no images", place=name)
    return torch.stack(images), labels


def _each(name: str, items: Items) -> Iterator[Any]:
    """By number where there are numbers: a map-style data set need not end an iteration."""
    mapped: Any = items
    if not (hasattr(items, "__len__") and hasattr(items, "__getitem__")):
        yield from mapped
        return
    for number in range(len(mapped)):
        try:
            yield mapped[number]
        except (OSError, ValueError, RuntimeError, SyntaxError) as error:  # what Pillow raises for a broken file
            raise TqhwError(f"image {number} cannot be read: {first_line(error)}", place=name) from None


def _pixels(image: Any, size: int | None, place: str) -> torch.Tensor:
    from PIL import Image

    if isinstance(image, Image.Image):
        image = image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB")
        if size is not None:
            image = image.resize((size, size), Image.Resampling.BILINEAR)
        array = np.asarray(image)
        return torch.from_numpy(array[None].copy() if array.ndim == 2 else array.transpose(2, 0, 1).copy())
    if not isinstance(image, np.ndarray | torch.Tensor):
        raise TqhwError(f"is a {type(image).__name__}, not an image", place=place)
    tensor = torch.as_tensor(image)
    tensor = tensor[None] if tensor.ndim == 2 else tensor
    if tensor.ndim == 3 and tensor.shape[0] not in (1, 3, 4) and tensor.shape[2] in (1, 3, 4):
        tensor = tensor.permute(2, 0, 1)
    if tensor.ndim != 3:
        raise TqhwError(f"of shape {tuple(tensor.shape)} is no image", place=place)
    tensor = tensor if tensor.dtype == torch.uint8 else tensor.float()
    if size is not None and tensor.shape[1:] != (size, size):
        resized = torch.nn.functional.interpolate(tensor[None].float(), (size, size), mode="bilinear")[0]
        tensor = resized.round().to(torch.uint8) if tensor.dtype == torch.uint8 else resized
    return tensor.contiguous()


def first_line(error: Exception) -> str:
    """What an error of another package says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
