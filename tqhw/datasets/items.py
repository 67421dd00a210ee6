"""Data sets of other packages, from a local path: those of torchvision and of Hugging Face ``datasets``.

All of it is read once and held in memory as uint8. ImageNet and the like do not fit there: ``imagefolder`` reads those.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from tqhw.datasets.arrays import from_images
from tqhw.datasets.base import TensorData
from tqhw.errors import TqhwError, nearest, unknown

TRAIN: Final = ("train", "training")
TEST: Final = ("test", "validation", "val", "valid")
IMAGE: Final = ("image", "img", "picture", "pixels")
LABEL: Final = ("label", "labels", "fine_label", "class", "target")


def torchvision(path: str | Path, dataset: str, size: int | None = None) -> TensorData:
    """A data set of torchvision's by the name of its class (``FashionMNIST``), as it lies at ``path``.

    The class must take ``train=`` or ``split=``. Images are resized to ``size``, where it is given.
    """
    kinds = _package("torchvision").datasets
    kind = getattr(kinds, dataset, None)
    if not isinstance(kind, type):
        names = [name for name, found in vars(kinds).items() if isinstance(found, type)]
        raise unknown("data set of torchvision", dataset, names, "data.options.dataset")
    takes = inspect.signature(kind).parameters
    if not {"train", "split"} & {*takes}:
        lever = "write its pictures into an .npz file (data.name: arrays)"
        raise TqhwError(f"{dataset} has no train= and no split=", place="data.options.dataset", lever=lever)
    train, test = (_part_of(kind, takes, str(path), part) for part in (True, False))
    return from_items(dataset, train, test, size=size)


def _part_of(kind: Any, takes: Mapping[str, Any], path: str, train: bool) -> Any:
    said: dict[str, Any] = {"train": train} if "train" in takes else {"split": "train" if train else "test"}
    if "download" in takes:
        said["download"] = False
    try:
        return kind(path, **said)
    except (RuntimeError, OSError, ValueError, ImportError) as error:
        raise TqhwError(
            f"torchvision does not read {kind.__name__} there: {_first_line(error)}",
            place=path,
            lever="put the files there as torchvision does; nothing is downloaded",
        ) from None


def huggingface(
    path: str | Path, size: int | None = None, image: str | None = None, label: str | None = None
) -> TensorData:
    """A folder that ``DatasetDict.save_to_disk`` of the package ``datasets`` wrote, with images and labels.

    ``image``, ``label``: the columns, where they have other names than the usual. Images are resized to ``size``.
    """
    package = _package("datasets")
    if not Path(path).is_dir():
        raise TqhwError("there is no such folder", place=str(path), lever="name what save_to_disk wrote")
    try:
        found = package.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TqhwError(
            f"is no data set that save_to_disk wrote: {_first_line(error)}",
            place=str(path),
            lever="load it once with datasets.load_dataset and save it with save_to_disk",
        ) from None
    if not isinstance(found, Mapping):
        raise TqhwError("is one part, not a training and a test part", place=str(path), lever="save a DatasetDict")
    train, test = (found[_one_of(found, names, "part", str(path))] for names in (TRAIN, TEST))
    columns = [*train.features]
    image = _column(columns, image, IMAGE, "image", str(path))
    label = _column(columns, label, LABEL, "label", str(path))
    pairs = [[(row[image], row[label]) for row in part] for part in (train, test)]
    return from_items(str(path), pairs[0], pairs[1], size=size)


def _column(columns: list[str], said: str | None, names: tuple[str, ...], what: str, place: str) -> str:
    if said is None:
        return _one_of(columns, names, "column", place, f"data.options.{what} names it")
    if said not in columns:
        raise unknown("column", said, columns, f"data.options.{what}")
    return said


def _one_of(known: Iterable[str], names: tuple[str, ...], what: str, place: str, lever: str | None = None) -> str:
    known = [*known]
    for name in names:
        if name in known:
            return name
    told = f"{lever}; " if lever else ""
    raise TqhwError(f"has no {what} {' or '.join(names)}", place=place, lever=f"{told}{nearest(names[0], known)}")


def from_items(name: str, train: Iterable[Any], test: Iterable[Any], size: int | None = None) -> TensorData:
    """A data set out of two parts of (image, label) items, as torchvision's give them: Pillow images, arrays, tensors.

    Arrays and tensors are (height, width), (channels, height, width) or (height, width, channels). Raises TqhwError for
    images of several sizes where no ``size`` is given.
    """
    parts = [_stacked(name, part, size) for part in (train, test)]
    classes = 1 + max(int(labels.max()) for _, labels in parts)
    return from_images(name, classes, *parts[0], *parts[1])


def _stacked(name: str, items: Iterable[Any], size: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    images: list[torch.Tensor] = []
    labels: list[int] = []
    for number, (image, label) in enumerate(_each(items)):
        pixels = _pixels(image, size, f"{name}: image {number}")
        if images and pixels.shape != images[0].shape:
            raise TqhwError(
                f"image {number} is of {tuple(pixels.shape)}, others are of {tuple(images[0].shape)}",
                place=name,
                lever="data.size makes them alike",
            )
        images.append(pixels)
        labels.append(int(label))
    if not images:
        raise TqhwError("has no images", place=name)
    return torch.stack(images), torch.tensor(labels)


def _each(items: Iterable[Any]) -> Iterator[Any]:
    """By number where there are numbers: what PyTorch calls a map-style data set need not end an iteration."""
    numbered: Any = items
    if hasattr(items, "__len__") and hasattr(items, "__getitem__"):
        yield from (numbered[number] for number in range(len(numbered)))
    else:
        yield from items


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


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise TqhwError(
            f"the package {name} is not installed",
            place="data.name",
            lever=f"pip install {name}, or give the pictures as an .npz file (data.name: arrays) or in class folders",
        ) from None
