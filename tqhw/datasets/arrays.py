"""Pictures in one NumPy file: named arrays of images and labels, for training and for testing."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from tqhw.datasets.base import TensorData
from tqhw.errors import TqhwError, nearest, no_file

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "train_images": ("x_train", "X_train"),
    "train_labels": ("y_train", "Y_train"),
    "test_images": ("x_test", "X_test"),
    "test_labels": ("y_test", "Y_test"),
}
"""The arrays of a file, and how Keras and others call them."""
_COLOURS: Final = (1, 3, 4)


def arrays(path: str | Path, classes: int | None = None) -> TensorData:
    """The arrays ``train_images``, ``train_labels``, ``test_images`` and ``test_labels`` of an ``.npz`` file.

    Images are (N, height, width), (N, channels, height, width) or (N, height, width, channels), of uint8 or of
    floating point; uint8 is normalised by the training images' mean and deviation, anything else is taken as it is.
    Labels are whole numbers from 0. ``classes``: one more than the largest label, unless it is said.
    """
    found = {name: _array(_opened(Path(path)), name, str(path)) for name in NAMES}
    images = {part: _images(found[f"{part}_images"], f"{path}: {part}_images") for part in ("train", "test")}
    labels = {part: _labels(found[f"{part}_labels"], f"{path}: {part}_labels") for part in ("train", "test")}
    count = classes or 1 + max(int(part.max()) if len(part) else 0 for part in labels.values())
    return from_images(str(path), count, images["train"], labels["train"], images["test"], labels["test"])


def from_images(
    name: str,
    classes: int,
    train_images: torch.Tensor,
    train_labels: torch.Tensor,
    test_images: torch.Tensor,
    test_labels: torch.Tensor,
) -> TensorData:
    """A data set of tensors; those of uint8 are normalised by mean and deviation of the training images."""
    kinds = train_images.dtype, test_images.dtype
    if kinds[0] != kinds[1] or train_images.shape[1:] != test_images.shape[1:]:
        shapes = f"{tuple(train_images.shape[1:])} and {tuple(test_images.shape[1:])}"
        raise TqhwError(f"training and test images differ: {shapes}, {kinds[0]} and {kinds[1]}", place=name)
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    if train_images.dtype == torch.uint8 and len(train_images):  # an empty set is refused below
        real = train_images.double() / 255
        mean = tuple(real.mean(dim=(0, 2, 3)).tolist())
        deviation = tuple(value or 1.0 for value in real.std(dim=(0, 2, 3)).tolist())
    parts = (train_images, train_labels, test_images, test_labels)
    return TensorData(name, classes, *parts, mean=mean, deviation=deviation)


def _opened(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise no_file(path, "name an .npz file, as numpy.savez writes it")
    try:
        # What np.load opens itself it leaves open where it fails.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise TqhwError(
            f"is no whole .npz file of plain arrays: {error}", place=str(path), lever="write it with numpy.savez"
        ) from None


def _array(file: Mapping[str, Any], name: str, place: str) -> Any:
    for known in (name, *NAMES[name]):
        if known in file:
            return file[known]
    raise TqhwError(f"holds no array '{name}' (or {', '.join(NAMES[name])})", place=place, lever=nearest(name, file))


def _images(array: Any, place: str) -> torch.Tensor:
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim == 4 and array.shape[1] not in _COLOURS and array.shape[3] in _COLOURS:
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or (array.dtype != np.uint8 and array.dtype.kind != "f"):
        raise TqhwError(
            f"an array of {array.dtype} and shape {array.shape} holds no images",
            place=place,
            lever="give uint8 or floating point of (N, H, W), (N, C, H, W) or (N, H, W, C)",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise TqhwError("holds NaN or infinity", place=place)
    return torch.from_numpy(np.ascontiguousarray(array if array.dtype == np.uint8 else array.astype(np.float32)))


def _labels(array: Any, place: str) -> torch.Tensor:
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1 or flat.dtype.kind not in "iu":
        raise TqhwError(
            f"an array of {array.dtype} and shape {array.shape} holds no labels",
            place=place,
            lever="give whole numbers of shape (N,)",
        )
    return torch.from_numpy(flat.astype(np.int64))
