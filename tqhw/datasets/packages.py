"""Data sets of other packages, from a local path: those of torchvision and of Hugging Face ``datasets``.

All of it is read once and held in memory as uint8. ImageNet and the like do not fit there: ``imagefolder`` reads those.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tqhw.datasets.base import TensorData
from tqhw.datasets.items import first_line, from_items
from tqhw.errors import TqhwError, nearest, unknown

TRAIN: Final = ("train", "training")
TEST: Final = ("test", "validation", "val", "valid")
IMAGE: Final = ("image", "img", "picture", "pixels")
LABEL: Final = ("label", "labels", "fine_label", "class", "target")


def torchvision(path: str | Path, dataset: str, size: int | None = None, **options: Any) -> TensorData:
    """A data set of torchvision's by the name of its class (``FashionMNIST``), as it lies at ``path``.

    The class must take ``train=`` or ``split=``. Images are resized to ``size``, where it is given. ``options``: what
    else the class takes, such as ``split: letters`` of EMNIST.
    """
    kinds = _package("torchvision").datasets
    kind = getattr(kinds, dataset, None)
    if not isinstance(kind, type):
        names = [name for name, found in vars(kinds).items() if isinstance(found, type)]
        raise unknown("data set of torchvision", dataset, names, "data.options.dataset")
    train, test = (_part_of(kind, str(path), which, options) for which in (True, False))
    return from_items(dataset, train, test, size=size)


def _part_of(kind: Any, path: str, train: bool, options: Mapping[str, Any]) -> Any:
    takes = inspect.signature(kind).parameters
    said = {**options, **({"download": False} if "download" in takes else {})}
    whole: Exception | None = None
    for part in _parts(kind, takes, train, options):
        try:
            return kind(path, **said, **part)
        except ValueError as error:  # no part of that name
            whole = whole or error
        except (RuntimeError, OSError, ImportError, TypeError) as error:
            whole = error
            break
    raise TqhwError(
        f"torchvision does not read {kind.__name__} there: {first_line(whole or ValueError())}",
        place=path,
        lever="put the files there as torchvision does; nothing is downloaded",
    )


def _parts(kind: Any, takes: Mapping[str, Any], train: bool, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How a class may call a part of it."""
    if "split" in takes and "train" not in takes and "split" not in options:
        return [{"split": name} for name in (("train",) if train else TEST)]
    if "train" in takes or any(p.kind is p.VAR_KEYWORD for p in takes.values()):
        return [{"train": train}]
    lever = "write its pictures into an .npz file (data.name: arrays)"
    raise TqhwError(f"{kind.__name__} has no train= and no split=", place="data.options.dataset", lever=lever)


def huggingface(
    path: str | Path,
    size: int | None = None,
    image: str | None = None,
    label: str | None = None,
    split: int | None = None,
) -> TensorData:
    """A folder that ``save_to_disk`` of the package ``datasets`` wrote, with images and labels.

    ``image``, ``label``: the columns, where there are several of pictures or of classes, and none has a usual name.
    Images are resized to ``size``. Of one part alone every fifth image tests, as many of each class, by the number
    ``split``.
    """
    package = _package("datasets")
    if not Path(path).is_dir():
        raise TqhwError("there is no such folder", place=str(path), lever="name what save_to_disk wrote")
    try:
        found = package.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TqhwError(
            f"is no data set that save_to_disk wrote: {first_line(error)}",
            place=str(path),
            lever="load it once with datasets.load_dataset and save it with save_to_disk",
        ) from None
    parts = found if isinstance(found, Mapping) else {"train": found}
    train = parts[_one_of(parts, TRAIN, "part", str(path))]
    columns = (
        _column(train.features, image, IMAGE, ("Image", "Array2D", "Array3D"), "image", str(path)),
        _column(train.features, label, LABEL, ("ClassLabel",), "label", str(path)),
    )
    if len(parts) > 1:
        test = parts[_one_of(parts, TEST, "part", str(path))]
        if split is not None:
            raise TqhwError("is split already", place=f"{path}: data.split", lever="leave it out")
        return from_items(str(path), _Rows(train, columns), _Rows(test, columns), size=size)
    halves = _split([row[columns[1]] for row in train.select_columns([columns[1]])], split or 0, str(path))
    first, second = (_Rows(train, columns, half) for half in halves)
    return from_items(str(path), first, second, size=size)


class _Rows:
    """Rows of a part as (image, label): all of them, or the ``chosen``."""

    def __init__(self, part: Any, columns: tuple[str, str], chosen: Sequence[int] | None = None) -> None:
        self._part, self._columns = part, columns
        self._numbers = range(len(part)) if chosen is None else chosen
        feature = part.features.get(columns[0])
        self._dtype = getattr(feature, "dtype", None) if type(feature).__name__ in ("Array2D", "Array3D") else None
        self.classes = getattr(part.features.get(columns[1]), "names", None) or ()

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        row = self._part[int(self._numbers[number])]
        image, label = (row[column] for column in self._columns)
        return (image if self._dtype is None else np.asarray(image, self._dtype)), label


def _split(labels: Sequence[Any], number: int, place: str) -> list[list[int]]:
    """The numbers of training and of test images."""
    from sklearn.model_selection import train_test_split

    try:
        return train_test_split([*range(len(labels))], test_size=0.2, random_state=number, stratify=labels)  # type: ignore[no-any-return]
    except (ValueError, TypeError) as error:
        raise TqhwError(
            f"is one part, which cannot be split: {error}", place=place, lever="save a DatasetDict"
        ) from None


def _column(
    features: Mapping[str, Any],
    said: str | None,
    names: tuple[str, ...],
    kinds: tuple[str, ...],
    what: str,
    place: str,
) -> str:
    """The column that is said, else the only one of its kind, else the one with a usual name."""
    if said is not None:
        if said not in features:
            raise unknown("column", said, features, f"data.options.{what}")
        return said
    fitting = [name for name, kind in features.items() if type(kind).__name__ in kinds]
    if len(fitting) == 1:
        return fitting[0]
    return _one_of(features, names, "column", place, f"data.options.{what} names it")


def _one_of(known: Iterable[str], names: tuple[str, ...], what: str, place: str, lever: str | None = None) -> str:
    known = [*known]
    for name in names:
        if name in known:
            return name
    told = f"{lever}; " if lever else ""
    raise TqhwError(f"has no {what} {' or '.join(names)}", place=place, lever=f"{told}{nearest(names[0], known)}")


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise TqhwError(
            f"the package {name} is not installed",
            place="data.name",
            lever=f"pip install {name}, or give the pictures as an .npz file (data.name: arrays) or in class folders",
        ) from None
    except Exception as error:  # its compiled part may be of another PyTorch
        raise TqhwError(
            f"the package {name} does not import: {first_line(error)}",
            place="data.name",
            lever="install the build that belongs to this PyTorch, or give the pictures as an .npz file",
        ) from error
