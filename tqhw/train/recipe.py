"""A training run as a document: which network, on which data, by which method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter, field_validator, model_validator
from torch import nn

from tqhw import models
from tqhw.datasets import DATASETS, Data, FolderData, open_dataset
from tqhw.errors import TqhwError, unknown
from tqhw.options import DocumentSection, QuantizationOptions, TrainConfig, place_of, read, refused, section
from tqhw.options.section import Positive
from tqhw.quant import QuantConfig, check_precisions, convert, execution_order
from tqhw.train.checkpoint import load_weights
from tqhw.train.methods import Method, method_named
from tqhw.train.reproducible import reproducible

Flag = Annotated[bool, Field(strict=True)]


@section
class ModelRecipe:
    """The network of a recipe."""

    name: str = "resnet20"
    """Of tqhw.models, or package.module:factory."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the factory."""
    weights: str | None = None
    """A safetensors file with a state dict to start from, such as pretrained ones, or the checkpoint of a network that
    was trained in floating point (method post_training)."""


@section
class DataRecipe:
    """The data set of a recipe. Options of another data set are refused."""

    name: str = "digits"
    """digits (embedded), cifar10, imagefolder, or one that was added (docs/extending.md)."""
    path: str | None = None
    """Where cifar10 or imagefolder are."""
    size: Positive | None = None
    """Pixels along each side, of digits (8 or more) and imagefolder."""
    workers: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Processes that read an imagefolder."""
    skip_corrupt: Flag | None = None
    """Whether an imagefolder's corrupt images are passed over."""
    check: Flag | None = None
    """Whether cifar10's checksums are compared."""
    options: dict[str, Any] | None = None
    """What a data set that was added takes beside these."""

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in DATASETS:
            wrong = unknown("value", value, DATASETS)
            raise refused(wrong.message, lever=wrong.lever)
        return value

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image; of our own data sets without reading them."""
        if self.name == "digits":
            return (1, self.size or 8, self.size or 8)
        if self.name == "cifar10":
            return (3, 32, 32)
        if self.name == "imagefolder":
            return (3, self.size or FolderData.size, self.size or FolderData.size)
        return self.open().input_shape

    def open(self) -> Data:
        """The data set, ready to be read."""
        own = {f.name: value for f in fields(self)[1:] if (value := getattr(self, f.name)) is not None}
        more = own.pop("options", {})
        return open_dataset(self.name, {**own, **more})


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

    def plain_model(self, *, trust: bool = False) -> nn.Module:
        """The network with its first weights, which the seed of the training decides.

        Without ``trust`` a factory is called only if it declares to give a model: a recipe may be anybody's.
        """
        if not trust:
            models.check_declared(self.model.name)
        with reproducible(self.training.seed, self.training.threads):
            model = models.build(self.model.name, **self.model.options)
        if self.model.weights is not None:
            load_weights(model, Path(self.model.weights))
        return model

    def quantize(self, model: nn.Module, precisions: tuple[int, ...], order: Sequence[str] | None = None) -> nn.Module:
        """Converts ``model`` as the recipe says, for ``precisions``.

        ``order``: its layers as they run; without it, as they run on an image of the data set.
        """
        order = self._order(model) if order is None else order
        config = replace(self.quantization, scheme=self.way.scheme, precisions=precisions)
        return convert(model, config, order=order)

    def _order(self, model: nn.Module) -> tuple[str, ...]:
        like = next(model.parameters(), torch.empty(0))
        image = torch.zeros(1, *self.data.image_shape, device=like.device, dtype=like.dtype)
        with suppress(Exception):  # training says what is wrong with it
            return execution_order(model, (image,))
        return ()

    def network(self, precisions: tuple[int, ...], *, trust: bool = False) -> nn.Module:
        """The network that is trained to serve ``precisions``: a plain one where it is quantized afterwards."""
        plain = self.plain_model(trust=trust)
        return plain if self.way.training == "none" else self.quantize(plain, precisions)


class _RecipeDocument(DocumentSection):
    """A recipe as it is written down."""

    method: str = "truncquant"
    """How a network of several precisions comes about."""
    bits: tuple[Annotated[int, Field(strict=True)], ...] = (2, 4, 6, 8)
    """The precisions."""
    model: ModelRecipe = ModelRecipe()
    """The network."""
    data: DataRecipe = DataRecipe()
    """The data set."""
    quantization: QuantizationOptions = QuantizationOptions()
    """Which layers are quantized, and how."""
    training: TrainConfig = TrainConfig()
    """How the network is trained."""

    @model_validator(mode="before")
    @classmethod
    def _written(cls, document: Any) -> Any:
        """A key with nothing behind it says nothing."""
        return {key: value for key, value in document.items() if value is not None}


def read_recipe(document: Mapping[str, Any], place: str = "recipe", settings: Sequence[str] = ()) -> Recipe:
    """A recipe out of a document's sections; a TqhwError for keys and values that do not fit.

    ``settings``: those that were put into the document, to be named as the place where they are wrong.
    """

    def where(*path: str) -> str:
        return place_of(path, document, place, settings)

    given = document.get("quantization")
    for derived, lever in (("scheme", "use method"), ("precisions", "use bits")):
        if isinstance(given, Mapping) and derived in given:
            raise TqhwError("is set by the recipe itself", place=where("quantization", derived), lever=lever)
    written = read(_RecipeDocument, document, place, settings)
    try:
        method = method_named(written.method)
        precisions = check_precisions(written.bits, place="bits")
    except TqhwError as error:
        raise TqhwError(error.message, place=where(str(error.place)), lever=error.lever) from None
    chosen = {**_given(written.quantization), **method.complete("quantization", given or {})}
    training = replace(written.training, **method.complete("training", document.get("training") or {}))
    try:
        quantization = QuantConfig(method.scheme, precisions, **chosen)
    except TqhwError as error:
        raise TqhwError(error.message, place=where("quantization", str(error.place)), lever=error.lever) from None
    recipe = Recipe(method.name, precisions, written.model, written.data, quantization, training)
    for part in ("quantization", "training"):
        method.check(part, asdict(getattr(recipe, part)))
    return recipe


def _given(chosen: QuantizationOptions) -> dict[str, Any]:
    return {f.name: getattr(chosen, f.name) for f in fields(chosen)}
