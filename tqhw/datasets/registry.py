"""Data sets by name. One more is one function that gives a :class:`tqhw.datasets.Data`; its arguments are options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from tqhw.datasets.arrays import arrays
from tqhw.datasets.base import Data
from tqhw.datasets.cifar10 import cifar10
from tqhw.datasets.diabetes import diabetes
from tqhw.datasets.digits import digits
from tqhw.datasets.image_folder import FolderData
from tqhw.datasets.memory import memory
from tqhw.datasets.mnist_subset import mnist_subset
from tqhw.datasets.packages import huggingface, torchvision
from tqhw.datasets.samples import samples
from tqhw.errors import TqhwError
from tqhw.registry import Registry

Opener = Callable[..., Data]


def image_folder(path: str | Path, size: int = 224, workers: int = 0, skip_corrupt: bool = False) -> Data:
    """Class folders of images; see :class:`tqhw.datasets.FolderData`."""
    return FolderData(Path(path), size, workers, skip_corrupt)


def _digits(size: int = 8, split: int = 0) -> Data:
    return digits(size, seed=split)


DATASETS: Registry[Opener] = Registry(
    "data set",
    "tqhw.datasets",
    {
        "digits": _digits,
        "cifar10": cifar10,
        "imagefolder": image_folder,
        "mnist_subset": mnist_subset,
        "arrays": arrays,
        "samples": samples,
        "diabetes": diabetes,
        "torchvision": torchvision,
        "huggingface": huggingface,
        "memory": memory,
    },
)


def options_of(name: str) -> Mapping[str, inspect.Parameter]:
    """What the data set of that name takes."""
    return inspect.signature(DATASETS.named(name)).parameters


def open_dataset(name: str, options: Mapping[str, Any], place: str = "data") -> Data:
    """The data set of that name. Raises TqhwError for an option that it does not have, or needs and was not given."""
    opener = DATASETS.named(name, f"{place}.name")
    takes = options_of(name)
    every = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    for option, value in options.items():
        if option not in takes and not every:
            raise TqhwError(f"{name} has no option '{option}'", place=f"{place}.{option}")
        _check(value, _hints(opener).get(option, Any), f"{place}.{option}")
    for option, parameter in takes.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if required and option not in options:
            lever = "nothing is downloaded" if option == "path" else None
            raise TqhwError(f"{name} needs a {option}", place=f"{place}.{option}", lever=lever)
    return opener(**options)


def _hints(opener: Opener) -> Mapping[str, Any]:
    """Types of its arguments, where it says them."""
    try:
        return get_type_hints(opener)
    except (NameError, TypeError):  # of names that its module has for its own checks alone
        return {}


def _check(value: Any, kind: Any, place: str) -> None:
    """Refuses a value of another type: it comes from a file."""
    try:
        TypeAdapter(tuple[kind], config=ConfigDict(arbitrary_types_allowed=True, strict=True)).validate_python((value,))
    except ValidationError as error:
        raise TqhwError(f"{value!r} does not fit: {error.errors()[0]['msg'].lower()}", place=place) from None
