"""A training run as a document: which network, on which data, by which method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import SerializerFunctionWrapHandler, TypeAdapter, model_serializer
from torch import nn

from tqhw import models
from tqhw.datasets import DATASETS, Data, FolderData, example, open_dataset
from tqhw.datasets.mnist_subset import SIDE
from tqhw.errors import TqhwError, unknown
from tqhw.options import (
    DataOptions,
    Method,
    QuantizationOptions,
    RecipeDocument,
    TrainConfig,
    Training,
    TrainingOptions,
    as_written,
    modern,
    place_of,
    read,
    section,
)
from tqhw.quant import QuantConfig, check_precisions, convert, execution_order
from tqhw.quant.calls import moved
from tqhw.system.files import exists
from tqhw.train.checkpoint import load_weights
from tqhw.train.losses import LOSSES
from tqhw.train.methods import method_named
from tqhw.train.metrics import METRICS
from tqhw.train.reproducible import reproducible

_OF_IMAGES: Final = ("digits", "cifar10", "mnist_subset", "imagefolder")


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
    partial: bool = field(default=False, kw_only=True)
    """Whether tensors of that file that do not fit are left out, and those that it lacks keep their first weights."""

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialize(self)
        return {key: value for key, value in found.items() if key != "partial" or value}


@section
class DataRecipe(DataOptions):
    """The data set of a recipe."""

    @property
    def reads(self) -> tuple[int, ...] | dict[str, str]:
        """What a network of it reads, one sample: the shape with the first axis, or a text per input by name, as
        ``model.input`` takes it; of our own data sets of images without reading them."""
        if self.name == "digits":
            return (1, 1, self.size or 8, self.size or 8)
        if self.name == "cifar10":
            return (1, 3, 32, 32)
        if self.name == "mnist_subset":
            return (1, 1, self.size or SIDE, self.size or SIDE)
        if self.name == "imagefolder":
            return (1, 3, self.size or FolderData.size, self.size or FolderData.size)
        if self.name == "memory" and len(shape := (self.options or {}).get("shape", ())) == 3:
            return (1, *shape)
        inputs, _ = example(self.open())
        if isinstance(inputs, torch.Tensor):
            return tuple(inputs.shape)
        return {name: f"{_type(x)}[{','.join(map(str, x.shape))}]" for name, x in inputs.items()}

    def open(self, seed: int = 0) -> Data:
        """The data set, ready to be read; ``seed``: of the training, which its split may follow."""
        own = {f.name: value for f in fields(self)[1:] if (value := getattr(self, f.name)) is not None}
        more = own.pop("options", {})
        if self.split == "seed":
            own["split"] = seed
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

    @property
    def files(self) -> tuple[str, ...]:
        """The files and folders that are read for it: data, first weights, and options that are such paths."""
        options = [*self.model.options.values(), *(self.data.options or {}).values()]
        named = [self.data.path, self.model.weights, *(one for one in options if isinstance(one, str) and exists(one))]
        return tuple(path for path in named if path is not None)

    def open_data(self) -> Data:
        """Its data set, split as its seed says where it asks for that."""
        return self.data.open(self.training.seed)

    def plain_model(self, *, trust: bool = False) -> nn.Module:
        """The network with its first weights, which the seed of the training decides.

        Without ``trust`` a factory is called only if it declares to give a model: a recipe may be anybody's.
        """
        if not trust:
            models.check_declared(self.model.name)
        with reproducible(self.training.seed, self.training.threads):
            model = models.build(self.model.name, **self.model.options)
        if self.model.weights is not None:
            load_weights(model, Path(self.model.weights), partial=self.model.partial)
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
        with suppress(Exception):  # training says what is wrong with it
            reads = self.data.reads if self.data.name in _OF_IMAGES else ()
            known = torch.zeros(reads, dtype=like.dtype) if isinstance(reads, tuple) and reads else None
            given = moved(example(self.open_data())[0] if known is None else known, like.device)
            return execution_order(model, *(((), given) if isinstance(given, Mapping) else ((given,),)))
        return ()

    def network(self, precisions: tuple[int, ...], *, trust: bool = False) -> nn.Module:
        """The network that is trained to serve ``precisions``: a plain one where it is quantized afterwards."""
        plain = self.plain_model(trust=trust)
        return plain if self.way.training in ("none", "float") else self.quantize(plain, precisions)


class _Written(RecipeDocument):
    """A recipe as it is written down, where a key with nothing behind it says nothing."""

    @classmethod
    def modernized(cls, document: Mapping[str, Any]) -> dict[str, Any]:
        return modern({key: value for key, value in document.items() if value is not None})


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
    written = read(_Written, document, place, settings)
    chosen = written.training or Training()
    if chosen.trained or len(chosen.schemes) != 1:
        found = "none to train" if chosen.trained else f"{len(chosen.schemes)}: {', '.join(chosen.schemes)}"
        raise TqhwError(f"a recipe is of one network, this is of {found}", place=where("training"))
    try:
        if written.data.name not in DATASETS:
            raise unknown("value", written.data.name, DATASETS, "data.name")
        return recipe(written, chosen.schemes[0], written.bits)
    except TqhwError as error:
        at = as_written(str(error.place).split("."), document)
        raise TqhwError(error.message, place=where(*at), lever=error.lever) from None


def recipe(written: RecipeDocument, scheme: str, bits: Sequence[int], seed: int | None = None) -> Recipe:
    """The recipe of one network that ``written`` asks for: by the training method ``scheme``, to serve ``bits``.

    ``seed``: another one than the document's own. Raises TqhwError for what the method or the quantizer has not.
    """
    method = method_named(scheme)
    precisions = check_precisions(bits, place="bits")
    choices = _values(QuantizationOptions, written.quantization)
    training = written.training or Training()
    if len(training.schemes) > 1 and method.scheme != "truncquant":
        choices["gradient"] = None  # of several, the key names one of truncquant's
    try:
        quantization = QuantConfig(method.scheme, precisions, **choices)
    except TqhwError as error:
        raise TqhwError(error.message, place=f"quantization.{error.place}", lever=error.lever) from None
    how = TrainConfig(**_values(TrainingOptions, training), seed=written.seed if seed is None else seed)
    LOSSES.named(how.loss, "training.loss")
    if how.metric is not None:
        METRICS.named(how.metric, "training.metric")
    for part, choice in (("quantization", quantization), ("training", how)):
        method.check(part, asdict(choice))
    model = ModelRecipe(
        written.model.name, dict(written.model.options), written.model.weights, partial=written.model.partial
    )
    data = DataRecipe(**_values(DataOptions, written.data))
    return Recipe(method.name, precisions, model, data, quantization, how)


def _type(x: torch.Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def _values(kind: type, chosen: Any) -> dict[str, Any]:
    return {f.name: getattr(chosen, f.name) for f in fields(kind)}
