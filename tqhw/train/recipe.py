"""A training run as a document: which network, on which data, by which method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError
from torch import nn

from tqhw import models
from tqhw.datasets.base import Data
from tqhw.datasets.cifar10 import cifar10
from tqhw.datasets.digits import digits
from tqhw.datasets.image_folder import FolderData
from tqhw.errors import TqhwError, unknown
from tqhw.quant import QuantConfig, check_precisions, convert
from tqhw.train.checkpoint import load_weights
from tqhw.train.config import TrainConfig
from tqhw.train.methods import Method, method_named
from tqhw.train.reproducible import reproducible

T = TypeVar("T")


@dataclass(frozen=True)
class ModelRecipe:
    """``name``: of tqhw.models or ``package.module:factory``; ``options``: its keyword arguments.

    ``weights``: a safetensors file with a state dict to start from, such as pretrained ones, or the checkpoint of a
    network that was trained in floating point (method post_training).
    """

    name: str = "resnet20"
    options: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None


@dataclass(frozen=True)
class DataRecipe:
    """``digits`` (embedded), ``cifar10`` or ``imagefolder`` at ``path``.

    ``size``: pixels along each side (digits: 8 or more, imagefolder). ``workers``, ``skip_corrupt``: of
    imagefolder. ``check``: compare CIFAR-10's checksums. Options of another data set are refused.
    """

    name: Literal["digits", "cifar10", "imagefolder"] = "digits"
    path: str | None = None
    size: int | None = None
    workers: int | None = None
    skip_corrupt: bool | None = None
    check: bool | None = None

    def open(self) -> Data:
        """The data set, ready to be read."""
        given = {f.name: value for f in fields(self)[1:] if (value := getattr(self, f.name)) is not None}
        takes = {
            "digits": ("size",),
            "cifar10": ("path", "check"),
            "imagefolder": ("path", "size", "workers", "skip_corrupt"),
        }[self.name]
        for option in given:
            if option not in takes:
                raise TqhwError(f"{self.name} has no option '{option}'", place=f"data.{option}")
        if self.name == "digits":
            return digits(**given)
        if self.path is None:
            raise TqhwError(f"{self.name} needs a path", place="data.path", lever="nothing is downloaded")
        if self.name == "cifar10":
            return cifar10(**given)
        return FolderData(Path(given.pop("path")), **given)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights of a run: ``bits`` are its precisions."""

    method: str = "truncquant"
    bits: tuple[int, ...] = (2, 4, 6, 8)
    model: ModelRecipe = ModelRecipe()
    data: DataRecipe = DataRecipe()
    quantization: QuantConfig = field(default_factory=QuantConfig)
    training: TrainConfig = TrainConfig()

    @property
    def way(self) -> Method:
        """The method itself."""
        return method_named(self.method)

    @cached_property
    def json(self) -> dict[str, Any]:
        """The recipe as JSON that :func:`read_recipe` reads."""
        document: dict[str, Any] = TypeAdapter(Recipe).dump_python(self, mode="json")
        for derived in ("scheme", "precisions"):
            del document["quantization"][derived]
        return document

    def plain_model(self) -> nn.Module:
        """The network with its first weights, which the seed of the training decides."""
        with reproducible(self.training.seed, self.training.threads):
            model = models.build(self.model.name, **self.model.options)
        if self.model.weights is not None:
            load_weights(model, Path(self.model.weights))
        return model

    def quantize(self, model: nn.Module, precisions: tuple[int, ...]) -> nn.Module:
        """Converts ``model`` as the recipe says, for ``precisions``."""
        return convert(model, replace(self.quantization, scheme=self.way.scheme, precisions=precisions))

    def network(self, precisions: tuple[int, ...]) -> nn.Module:
        """The network that is trained to serve ``precisions``: a plain one where it is quantized afterwards."""
        plain = self.plain_model()
        return plain if self.way.training == "none" else self.quantize(plain, precisions)


def read_recipe(document: Mapping[str, Any], place: str = "recipe") -> Recipe:
    """A recipe out of a document's sections; a TqhwError for keys and values that do not fit."""
    known = [f.name for f in fields(Recipe)]
    for key in document:
        if key not in known:
            raise unknown("key", str(key), known, place)
    method = method_named(document.get("method", "truncquant"))
    precisions = check_precisions(_listed(document.get("bits", Recipe.bits), place), place="bits")
    quantization = method.complete("quantization", _section(document, "quantization", place))
    training = method.complete("training", _section(document, "training", place))
    for derived, lever in (("scheme", "use method"), ("precisions", "use bits")):
        if derived in quantization:
            raise TqhwError(f"is set by the recipe itself ({lever})", place=f"{place}: quantization.{derived}")
    recipe = Recipe(
        method.name,
        precisions,
        _filled(ModelRecipe, _section(document, "model", place), f"{place}: model"),
        _filled(DataRecipe, _section(document, "data", place), f"{place}: data"),
        replace(
            _filled(QuantConfig, quantization, f"{place}: quantization"), scheme=method.scheme, precisions=precisions
        ),
        _filled(TrainConfig, training, f"{place}: training"),
    )
    for section in ("quantization", "training"):
        method.check(section, asdict(getattr(recipe, section)))
    return recipe


def _section(document: Mapping[str, Any], name: str, place: str) -> dict[str, Any]:
    section = document.get(name)
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise TqhwError(f"{section!r} is not a section with keys of its own", place=f"{place}: {name}")
    return dict(section)


def _listed(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise TqhwError(f"{value!r} is not a list of bits", place=f"{place}: bits")
    return list(value)


def _filled(kind: type[T], options: Mapping[str, Any], place: str) -> T:
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for key in options:
        if key not in known:
            raise unknown("key", str(key), known, place)
    try:
        read = TypeAdapter(kind).validate_python(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TqhwError(f"{first['input']!r}: {first['msg'].lower()}", place=f"{place}.{where}") from error
    for key, given in options.items():
        if (deeper := _misread(given, getattr(read, key))) is not None:
            raise TqhwError("true and false are no numbers", place=f"{place}.{key}{deeper}")
    return read


def _misread(given: Any, read: Any) -> str | None:
    """Where in ``given`` pydantic took true or false for 1 or 0, as a path such as ``.fc``; None where nowhere."""
    if isinstance(given, bool):
        return None if isinstance(read, bool) else ""
    if isinstance(given, Mapping):
        parts = [(f".{key}", value, read[key]) for key, value in given.items()]
    elif isinstance(given, list | tuple):
        parts = [(f".{index}", *pair) for index, pair in enumerate(zip(given, read, strict=True))]
    else:
        return None
    found = ((name, _misread(*pair)) for name, *pair in parts)
    return next((name + where for name, where in found if where is not None), None)
