"""ImageNet-style folders: ``train/CLASS/*`` and ``val/CLASS/*``, read by worker processes as they are needed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from tqhw.datasets.base import Batch, epoch_generator
from tqhw.errors import TqhwError

if TYPE_CHECKING:
    from PIL import Image

_ENDINGS: Final = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".webp"}
_FORMATS: Final = ("JPEG", "PNG", "PPM", "BMP", "WEBP")
"""What the endings stand for. A file's content decides which, but never another: Pillow runs Ghostscript for EPS."""
_MEAN: Final = (0.485, 0.456, 0.406)
_DEVIATION: Final = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class _Corrupt:
    """An image that could not be read, and why; raised or skipped by the main process."""

    path: Path
    reason: str


@dataclass(frozen=True)
class FolderData:
    """Images of (3, size, size) from class folders; classes are numbered in the order of their names.

    Training images are random parts of 8 to 100 % of the area, resized and flipped; test images are resized to
    8/7 of ``size`` and cropped in the middle (He et al., 2016, as the usual recipe has it). Every image's
    augmentation depends on seed, epoch and its number alone, not on ``workers``. A corrupt image ends the run
    with its name, unless ``skip_corrupt``: then ``skipped`` collects the names, and in training another image of
    the batch takes its place, so that the processes of a run have parts of the same size.
    """

    root: Path
    size: int = 224
    workers: int = 0
    skip_corrupt: bool = False
    name: str = field(default="imagefolder", init=False)
    skipped: set[Path] = field(default_factory=set, init=False, compare=False)
    _train: tuple[tuple[Path, int], ...] = field(init=False, repr=False)
    _test: tuple[tuple[Path, int], ...] = field(init=False, repr=False)
    classes: int = field(init=False)

    def __post_init__(self) -> None:
        if self.size < 1 or self.workers < 0:
            raise TqhwError(f"size {self.size} and workers {self.workers} cannot be had", place=str(self.root))
        train_names, train = _listed(self.root / "train")
        test_names, test = _listed(self.root / "val")
        if train_names != test_names:
            odd = sorted({*train_names} ^ {*test_names})[0]
            raise TqhwError(f"class '{odd}' is in one of train and val only", place=str(self.root))
        object.__setattr__(self, "_train", train)
        object.__setattr__(self, "_test", test)
        object.__setattr__(self, "classes", len(train_names))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return 3, self.size, self.size

    @property
    def train_size(self) -> int:
        return len(self._train)

    def train_batches(self, batch_size: int, seed: int, epoch: int, rank: int = 0, ranks: int = 1) -> Iterator[Batch]:
        order = torch.randperm(self.train_size, generator=epoch_generator(seed, epoch)).tolist()
        starts = range(0, self.train_size - batch_size + 1, batch_size)
        batches = [order[start : start + batch_size][rank::ranks] for start in starts]
        yield from self._batches(_Images(self._train, self.size, (seed, epoch)), batches, refill=True)

    def test_batches(self, batch_size: int) -> Iterator[Batch]:
        order = list(range(len(self._test)))
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        yield from self._batches(_Images(self._test, self.size, None), batches, refill=False)

    def part(self, train: Sequence[int], test: Sequence[int]) -> FolderData:
        """A data set of these of the training images, by number, to train and to test with."""
        found = copy(self)
        object.__setattr__(found, "_train", tuple(self._train[number] for number in train))
        object.__setattr__(found, "_test", tuple(self._train[number] for number in test))
        return found

    def _batches(self, images: _Images, batches: list[list[int]], refill: bool) -> Iterator[Batch]:
        any_whole = not batches
        loader = DataLoader(images, batch_sampler=batches, num_workers=self.workers, collate_fn=list)
        for items in loader:
            whole = []
            for item in items:
                if not isinstance(item, _Corrupt):
                    whole.append(item)
                elif self.skip_corrupt:
                    self.skipped.add(item.path)
                else:
                    raise TqhwError(
                        f"cannot be read as an image: {item.reason}",
                        place=str(item.path),
                        lever="replace it, or pass skip_corrupt: true",
                    )
            if refill and not whole:
                raise TqhwError("no image of a training batch can be read", place=str(self.root))
            if refill:
                whole += [whole[i % len(whole)] for i in range(len(items) - len(whole))]
            if whole:
                any_whole = True
                yield torch.stack([image for image, _ in whole]), torch.tensor([label for _, label in whole])
        if not any_whole:
            raise TqhwError("no test image can be read", place=str(self.root))


class _Images(Dataset[Any]):
    """Image number ``i`` with its label, augmented where ``seeds`` (seed and epoch) are given."""

    def __init__(self, items: Sequence[tuple[Path, int]], size: int, seeds: tuple[int, int] | None) -> None:
        self.items = items
        self.size = size
        self.seeds = seeds

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int] | _Corrupt:
        from PIL import Image

        path, label = self.items[index]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # remarks on odd headers: what can be read is read
                with Image.open(path, formats=_FORMATS) as opened:
                    image = _in_rgb(opened)
        except Exception as error:  # noqa: BLE001 - a decoder that believes an odd header ends with whatever it meets
            return _Corrupt(path, str(error) or type(error).__name__)
        flip = False
        if self.seeds is None:
            box = _middle(*image.size, self.size)
        else:
            generator = epoch_generator(*self.seeds)
            generator.manual_seed(generator.initial_seed() * 1_000_003 + index & 0x7FFFFFFFFFFFFFFF)
            box = _random_part(*image.size, generator)
            flip = bool(torch.rand((), generator=generator) < 0.5)
        image = image.resize((self.size, self.size), Image.Resampling.BILINEAR, box)
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        channels = pixels.view(self.size, self.size, 3).permute(2, 0, 1).float() / 255
        scaled = (channels - torch.tensor(_MEAN).view(3, 1, 1)) / torch.tensor(_DEVIATION).view(3, 1, 1)
        return (scaled.flip(2) if flip else scaled).contiguous(), label


def _in_rgb(image: Image.Image) -> Image.Image:
    """Eight bits per channel; of sixteen the upper ones, as Pillow itself has it for colours but not for grey."""
    from PIL import Image

    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose range it does not say")
    return image.convert("RGB")


Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the original image."""


def _middle(width: int, height: int, size: int) -> Box:
    """The square that is left after resizing the shorter side to 8/7 of ``size`` and cropping the middle."""
    side = min(width, height) * size / round(size * 8 / 7)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _random_part(width: int, height: int, generator: torch.Generator) -> Box:
    """8 to 100 % of the area at a ratio of 3:4 to 4:3; the middle square where ten draws do not fit."""
    for _ in range(10):
        share, ratio, x, y = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        area = width * height * (0.08 + 0.92 * share)
        shape = math.exp(math.log(3 / 4) + ratio * math.log(16 / 9))
        w, h = math.sqrt(area * shape), math.sqrt(area / shape)
        if w <= width and h <= height:
            left, top = x * (width - w), y * (height - h)
            return left, top, left + w, top + h
    return _middle(width, height, min(width, height))


def _listed(folder: Path) -> tuple[list[str], tuple[tuple[Path, int], ...]]:
    if not folder.is_dir():
        raise TqhwError("there is no such folder", place=str(folder), lever="it holds a folder per class")
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    if not names:
        raise TqhwError("holds no class folders", place=str(folder))
    items: list[tuple[Path, int]] = []
    for label, name in enumerate(names):
        found = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in _ENDINGS and p.is_file())
        if not found:
            known = ", ".join(sorted(_ENDINGS))
            raise TqhwError("the class folder holds no images", place=str(folder / name), lever=f"known are {known}")
        items += [(path, label) for path in found]
    return names, tuple(items)
