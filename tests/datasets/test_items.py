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


class Halves(Fashion):
    """As Imagenette: the other part is called val."""

    def __init__(self, root: str, split: str = "train", download: bool = True) -> None:
        if split not in ("train", "val"):
            raise ValueError(f"Unknown value '{split}' for argument split")
        super().__init__(root, split == "train", download)


class Letters(Fashion):
    """As EMNIST: split means something else, and train= is among the others."""

    classes = ("N/A", "a", "b", "c", "d")

    def __init__(self, root: str, split: str, **others: Any) -> None:
        if split != "letters":
            raise ValueError(f"Unknown value '{split}' for argument split. Valid values are {{'letters'}}")
        super().__init__(root, download=False, **others)


class Whole(Fashion):
    def __init__(self, root: str) -> None:
        super().__init__(root, download=False)


_KINDS = (("FashionMNIST", Fashion), ("SVHN", Svhn), ("Half", Halves), ("EMNIST", Letters), ("Whole", Whole))


@pytest.fixture
def vision(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("torchvision")
    package.datasets = ModuleType("torchvision.datasets")  # type: ignore[attr-defined]
    for name, kind in _KINDS:
        setattr(package.datasets, name, kind)
    monkeypatch.setitem(sys.modules, "torchvision", package)


@pytest.mark.parametrize("name", ["FashionMNIST", "SVHN", "Half"])
def test_a_data_set_of_torchvision_is_read_from_where_it_lies(vision: None, tmp_path: Path, name: str) -> None:
    found = open_dataset("torchvision", {"path": str(tmp_path), "dataset": name})
    assert (found.classes, found.train_size, found.input_shape) == (3, 6, (1, 8, 8))
    ((images, labels),) = found.test_batches(8)
    assert len(images) == 3 and labels.tolist() == [0, 1, 2] and images[0].max() < images[1].min()
    small = open_dataset("torchvision", {"path": str(tmp_path), "dataset": name, "size": 4})
    assert small.input_shape == (1, 4, 4)


def test_what_else_its_class_takes_is_an_option(vision: None, tmp_path: Path) -> None:
    found = open_dataset("torchvision", {"path": str(tmp_path), "dataset": "EMNIST", "split": "letters"})
    assert (found.classes, found.train_size) == (5, 6), "as many classes as it names, whether or not each occurs"
    ((images, _),) = found.test_batches(8)
    assert len(images) == 3
    with pytest.raises(
        TqhwError, match=r"does not read Letters there: Unknown value 'train' .* Valid values are .'let"
    ):
        open_dataset("torchvision", {"path": str(tmp_path), "dataset": "EMNIST"})


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


def test_a_package_whose_compiled_part_does_not_load_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    message = "data.name: the package torchvision does not import: operator torchvision::nms does not exist .install"
    with pytest.raises(TqhwError, match=message):
        open_dataset("torchvision", {"path": str(tmp_path), "dataset": "SVHN"})


class Part(list[Any]):
    """As a Dataset of the package datasets."""

    features: dict[str, Any]

    def select_columns(self, names: list[str]) -> list[dict[str, Any]]:
        return [{name: row[name] for name in names} for row in self]


class Image:
    """The type of a column, of which the name counts."""


class ClassLabel:
    names = ("even", "odd", "neither")


class Array2D:
    dtype = "uint8"


def part(count: int, columns: tuple[str, str] = ("img", "label"), kinds: tuple[Any, Any] = ("", "")) -> Part:
    found = Part({columns[0]: image(30 * i, mode="RGB"), columns[1]: i % 2} for i in range(count))
    found.features = dict(zip(columns, kinds, strict=True))
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


def test_columns_of_pictures_and_of_classes_are_known_by_their_types(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    typed = {name: part(4, ("foto", "klasse"), (Image(), ClassLabel())) for name in ("train", "test")}
    hub(monkeypatch, typed)
    assert open_dataset("huggingface", {"path": str(tmp_path)}).classes == 3, "as many as the column names"
    plain = Part({"pixels": [[i, i], [i, i]], "label": "ab"[i % 2]} for i in range(4))
    plain.features = {"pixels": Array2D(), "label": ""}
    hub(monkeypatch, {"train": plain, "test": plain})
    found = open_dataset("huggingface", {"path": str(tmp_path)})
    assert (found.classes, found.input_shape) == (2, (1, 2, 2)), "texts are numbered in their order"


def test_one_part_alone_is_split(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub(monkeypatch, part(20))
    first, again, other = (
        open_dataset("huggingface", {"path": str(tmp_path), **option}) for option in ({}, {"split": 0}, {"split": 1})
    )

    def tested(data: Any) -> tuple[list[float], list[int]]:
        ((images, labels),) = data.test_batches(8)
        return images.mean(dim=(1, 2, 3)).tolist(), sorted(labels.tolist())

    assert first.train_size == 16 and tested(first)[1] == [0, 0, 1, 1]
    assert tested(again) == tested(first) != tested(other)
    hub(monkeypatch, {"train": part(20), "test": part(4)})
    with pytest.raises(TqhwError, match=r"data.split: is split already \(leave it out\)"):
        open_dataset("huggingface", {"path": str(tmp_path), "split": 0})


def test_a_folder_that_holds_something_else_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for loaded, options, message in (
        (
            FileNotFoundError("Directory is neither a"),
            {},
            "is no data set that save_to_disk wrote: Directory is",
        ),
        (part(3), {}, "is one part, which cannot be split: The least populated class"),
        ({"train": part(3), "more": part(3)}, {}, "has no part test or validation or val or valid"),
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


class Broken:
    """One file that Pillow does not read."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, number: int) -> Any:
        raise SyntaxError("broken PNG file")


def test_parts_of_other_sizes_are_told() -> None:
    with pytest.raises(TqhwError, match=r"of \(1, 8, 8\), test images of \(1, 9, 9\) \(data.size makes them alike"):
        from_items("mine", [(image(0), 0)], [(image(0, 9), 0)])


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
        (
            [(image(0), 0), (image(0), None)],
            "mine: has the label None, which is no class .give whole numbers from 0, or",
        ),
        ([(image(0), 0.5)], "mine: has the label 0.5, which is no class"),
        (Broken(), "mine: image 0 cannot be read: broken PNG file"),
    ):
        with pytest.raises(TqhwError, match=message):
            from_items("mine", items, items)
