"""CIFAR-10 from its python or binary archive, packed or unpacked, with the papers' augmentation.

Format: https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky, 2009). Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional

from tqhw.datasets.base import TensorData
from tqhw.datasets.unpickle import read_pickled
from tqhw.errors import TqhwError

Part = tuple[torch.Tensor, torch.Tensor]

_PIXELS: Final = 3 * 32 * 32
_TRAINING: Final = tuple(f"data_batch_{number}" for number in range(1, 6))
MEAN: Final = (0.4914, 0.4822, 0.4465)
DEVIATION: Final = (0.2470, 0.2435, 0.2616)
MD5: Final = {
    "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
"""Checksums of the files as they are published; the unpacked binary files have their size alone to go by."""


def cifar10(path: str | Path, *, check: bool = True) -> TensorData:
    """50,000 training and 10,000 test images of (3, 32, 32), 10 classes.

    ``path``: ``cifar-10-python.tar.gz`` or ``cifar-10-binary.tar.gz``, or the folder that one of them unpacks
    to, or the folder above it. ``check``: compares checksums and counts with the published ones; an archive's
    whatever it is called, the unpacked binary files' sizes alone. Training images are
    padded by 4 pixels, cropped at random and flipped (He et al., 2016).
    """
    read = _opener(Path(path), check)
    parts = [_part(name, read(name), check) for name in (*_TRAINING, "test_batch")]
    images = torch.cat([part[0] for part in parts[:-1]])
    labels = torch.cat([part[1] for part in parts[:-1]])
    return TensorData("cifar10", 10, images, labels, *parts[-1], crop_and_flip, MEAN, DEVIATION)


def crop_and_flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pads (N, C, H, W) by 4, crops each image at a place of its own, and mirrors half of them."""
    count, channels, height, width = images.shape
    padded = functional.pad(images, (4, 4, 4, 4))
    top, left = torch.randint(0, 9, (2, count, 1), generator=generator)
    flip = torch.rand(count, 1, generator=generator) < 0.5
    rows = top + torch.arange(height)
    columns = left + torch.where(flip, torch.arange(width - 1, -1, -1), torch.arange(width))
    each = torch.arange(count)[:, None, None, None]
    channel = torch.arange(channels)[None, :, None, None]
    return padded[each, channel, rows[:, None, :, None], columns[:, None, None, :]]


def _opener(path: Path, check: bool) -> Callable[[str], tuple[str, bytes]]:
    """A function from a batch's name to the path it is read from and its bytes."""
    if path.is_file():
        return _archive(path, check)
    for folder in (path, path / "cifar-10-batches-py", path / "cifar-10-batches-bin"):
        for suffix in ("", ".bin"):
            if (folder / f"test_batch{suffix}").is_file():
                return lambda name, at=folder, end=suffix: _file(at / f"{name}{end}", check)  # type: ignore[misc]
    raise TqhwError(
        "there is no CIFAR-10" if path.exists() else "there is no such file or folder",
        place=str(path),
        lever="name cifar-10-python.tar.gz, cifar-10-binary.tar.gz, or the folder either unpacks to",
    )


def _file(path: Path, check: bool) -> tuple[str, bytes]:
    if not path.is_file():
        raise TqhwError("is missing", place=str(path), lever="unpack the archive again")
    content = _content(path)
    if check:
        _compare(content, path.name, str(path))
    return str(path), content


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TqhwError(f"cannot be read: {error.strerror}", place=str(path)) from None


def _archive(path: Path, check: bool) -> Callable[[str], tuple[str, bytes]]:
    if check:
        _compare_archive(path)
    wanted = {f"{name}{suffix}" for name in (*_TRAINING, "test_batch") for suffix in ("", ".bin")}
    members: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                if name in wanted and member.isreg() and (stream := archive.extractfile(member)) is not None:
                    members[name.removesuffix(".bin")] = stream.read()
            while archive.fileobj is not None and archive.fileobj.read(1 << 20):
                pass  # at the end, the packing compares its own checksum
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise TqhwError(f"is not a whole archive: {error}", place=str(path), lever="download it again") from error

    def read(name: str) -> tuple[str, bytes]:
        if name not in members:
            raise TqhwError(f"holds no '{name}'", place=str(path), lever="is it CIFAR-10's archive?")
        return f"{path}: {name}", members[name]

    return read


def _compare_archive(path: Path) -> None:
    """By the content: a renamed archive is one of the two published, or it is not."""
    published = {name: MD5[name] for name in ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz")}
    found = _md5(_content(path))
    if found not in published.values():
        known = " and ".join(f"{name} {checksum}" for name, checksum in published.items())
        raise TqhwError(
            f"has the checksum {found}, the published files have: {known}",
            place=str(path),
            lever="download it again, or turn the check off for an archive of your own",
        )


def _compare(content: bytes, name: str, place: str) -> None:
    expected = MD5.get(name)
    found = _md5(content)
    if expected is not None and found != expected:
        raise TqhwError(
            f"has the checksum {found}, the published file has {expected}",
            place=place,
            lever="download it again, or turn the check off for data of your own in this format",
        )


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _part(name: str, source: tuple[str, bytes], check: bool) -> Part:
    place, content = source
    if content[:1] == b"\x80":
        batch = read_pickled(content, place)
        if not isinstance(batch, dict):
            raise TqhwError("holds no dictionary", place=place)
        named = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in batch.items()}
        if not {"data", "labels"} <= set(named):
            raise TqhwError("holds no 'data' and 'labels'", place=place)
        pixels = named["data"]
        if not isinstance(pixels, np.ndarray):
            raise TqhwError(f"holds pixels as {type(pixels).__name__}, not an array of bytes", place=place)
        labels = _labels(named["labels"], place)
    else:
        if not content or len(content) % (_PIXELS + 1):
            raise TqhwError(
                f"has {len(content)} bytes, not a multiple of {_PIXELS + 1}", place=place, lever="download it again"
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, _PIXELS + 1)
        pixels, labels = records[:, 1:], torch.as_tensor(records[:, 0].astype(np.int64))
    if pixels.ndim != 2 or pixels.shape[1] != _PIXELS or len(pixels) != len(labels):
        raise TqhwError(f"holds {pixels.shape} pixels for {len(labels)} labels", place=place)
    if check and len(pixels) != 10_000:
        raise TqhwError(f"holds {len(pixels)} images, not 10000", place=place, lever="download it again")
    if not len(pixels):
        raise TqhwError("holds no images", place=place)
    _check_label(int(labels.max()), place)
    return torch.as_tensor(pixels.copy()).reshape(-1, 3, 32, 32), labels


def _labels(given: Any, place: str) -> torch.Tensor:
    """A list of the numbers 0 to 9, or an array of bytes, as int64."""
    listed = list(given) if isinstance(given, (list, tuple)) else None
    if isinstance(given, np.ndarray) and given.ndim == 1:
        listed = given.tolist()
    if listed is None:
        raise TqhwError(f"holds labels as {type(given).__name__}, not a list of numbers", place=place)
    for label in listed:
        if type(label) is not int:
            raise TqhwError(f"holds a label as {type(label).__name__}, not a number from 0 to 9", place=place)
        _check_label(label, place)
    return torch.tensor(listed, dtype=torch.int64)


def _check_label(label: int, place: str) -> None:
    if not 0 <= label <= 9:
        raise TqhwError(f"holds the label {label}, but the classes are 0 to 9", place=place)
