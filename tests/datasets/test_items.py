"""Data sets of other packages; the packages are played by small modules with their interface."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from tqhw.datasets import from_items, open_dataset
from tqhw.errors import TqhwError

pictures = pytest.importorskip("PIL.Image")


def image(shade: int, side: int = 8, mode: str = "L") -> Any:
    return pictures.new(mode, (side, side), shade if mode == "L" else (shade, 0, 0))


class Fashion:
    """As torchvision's data sets are: a path, a part, and no end of an iteration."""

    def __init__(self, root: str, train: bool = True, download: bool = True) -> None:
        assert not download
        if not Path(root).is_dir():
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        self.count = 6 if train else 3

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return image(40 * index), index % 3


class Svhn(Fashion):
    def __init__(self, root: str, split: str = "train", download: bool = True) -> None:
        super().__init__(root, split == "train", download)


class Whole(Fashion):
    def __init__(self, root: str) -> None:
        super().__init__(root, download=False)


@pytest.fixture
def vision(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("torchvision")
    package.datasets = ModuleType("torchvision.datasets")  # type: ignore[attr-defined]
    for name, kind in (("FashionMNIST", Fashion), ("SVHN", Svhn), ("Whole", Whole)):
        setattr(package.datasets, name, kind)
    monkeypatch.setitem(sys.modules, "torchvision", package)


@pytest.mark.parametrize("name", ["FashionMNIST", "SVHN"])
def test_a_data_set_of_torchvision_is_read_from_where_it_lies(vision: None, tmp_path: Path, name: str) -> None:
    found = open_dataset("torchvision", {"path": str(tmp_path), "dataset": name})
    assert (found.classes, found.train_size, found.input_shape) == (3, 6, (1, 8, 8))
    ((images, labels),) = found.test_batches(8)
    assert len(images) == 3 and labels.tolist() == [0, 1, 2] and images[0].max() < images[1].min()
    small = open_dataset("torchvision", {"path": str(tmp_path), "dataset": name, "size": 4})
    assert small.input_shape == (1, 4, 4)


def test_what_torchvision_does_not_have_or_find_is_told(vision: None, tmp_path: Path) -> None:
    for options, message in (
        ({"dataset": "FashionMNISt"}, "unknown data set of torchvision 'FashionMNISt' .did you mean 'FashionMNIST'"),
        ({"dataset": "Whole"}, "Whole has no train= and no split= .write its pictures into an .npz file"),
        ({"dataset": "SVHN", "path": "nowhere"}, "nowhere: torchvision does not read Svhn there: Dataset not found."),
        ({}, "data.dataset: torchvision needs a dataset"),
        ({"dataset": 3}, "data.dataset: 3 does not fit: input should be a valid string"),
    ):
        with pytest.raises(TqhwError, match=message):
            open_dataset("torchvision", {"path": str(tmp_path), **options})


@pytest.mark.parametrize("name", ["torchvision", "datasets"])
def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    kind, options = ("torchvision", {"dataset": "SVHN"}) if name == "torchvision" else ("huggingface", {})
    with pytest.raises(TqhwError, match=rf"data.name: the package {name} is not installed .pip install {name}, or"):
        open_dataset(kind, {"path": "x", **options})


class Part(list[Any]):
    features: dict[str, str]


def part(count: int, columns: tuple[str, str] = ("img", "label")) -> Part:
    found = Part({columns[0]: image(30 * i, mode="RGB"), columns[1]: i % 2} for i in range(count))
    found.features = dict.fromkeys(columns, "")
    return found


def hub(monkeypatch: pytest.MonkeyPatch, loaded: Any) -> None:
    package = ModuleType("datasets")

    def load_from_disk(path: str) -> Any:
        if isinstance(loaded, Exception):
            raise loaded
        return loaded

    package.load_from_disk = load_from_disk  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", package)


def test_a_folder_of_hugging_face_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub(monkeypatch, {"train": part(4), "validation": part(2)})
    found = open_dataset("huggingface", {"path": str(tmp_path)})
    assert (found.classes, found.train_size, found.input_shape) == (2, 4, (3, 8, 8))
    hub(monkeypatch, {"train": part(4, ("a", "b")), "test": part(2, ("a", "b"))})
    named = open_dataset("huggingface", {"path": str(tmp_path), "image": "a", "label": "b"})
    assert named.train_size == 4


def test_a_folder_that_holds_something_else_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for loaded, options, message in (
        (
            FileNotFoundError("Directory is neither a"),
            {},
            "is no data set that save_to_disk wrote: Directory is",
        ),
        (part(3), {}, "is one part, not a training and a test part"),
        ({"train": part(3)}, {}, "has no part test or validation or val or valid"),
        (
            {"train": part(3, ("a", "label")), "test": part(2)},
            {},
            "has no column image or img or picture or pixels",
        ),
        ({"train": part(3), "test": part(2)}, {"label": "lable"}, "unknown column 'lable' .did you mean 'label'"),
    ):
        hub(monkeypatch, loaded)
        with pytest.raises(TqhwError, match=message):
            open_dataset("huggingface", {"path": str(tmp_path), **options})
    with pytest.raises(TqhwError, match="nowhere: there is no such folder"):
        open_dataset("huggingface", {"path": "nowhere"})


def test_items_are_pictures_arrays_or_tensors() -> None:
    for one in (
        np.zeros((8, 8), np.uint8),
        torch.zeros(1, 8, 8, dtype=torch.uint8),
        image(0),
        np.zeros((8, 8, 1), "u1"),
    ):
        assert from_items("mine", [(one, 0), (one, 1)], [(one, 0)]).input_shape == (1, 8, 8)
    for items, message in (
        ([(image(0), 0), (image(0, 9), 1)], r"mine: image 1 is of \(1, 9, 9\), others are of \(1, 8, 8\) .data.size"),
        ([("a.png", 0)], "mine: image 0: is a str, not an image"),
        ([], "mine: has no images"),
    ):
        with pytest.raises(TqhwError, match=message):
            from_items("mine", items, items)
