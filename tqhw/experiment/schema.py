"""The experiment file: what to run, on what, and every choice behind the numbers.

The docstrings below the fields are their documentation everywhere: in ``tqhw run --keys``, in error messages and
in docs/experiment.md. :mod:`tqhw.experiment.reader` reads the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from tqhw.errors import unknown
from tqhw.objectives import OBJECTIVES
from tqhw.options import (
    ContainerOptions,
    DocumentSection,
    EnergyOptions,
    QuantizationOptions,
    ScenarioOptions,
    TimeloopOptions,
    TrainingOptions,
    refused,
    section,
)
from tqhw.options.section import Bits, Positive
from tqhw.results import STATES
from tqhw.scenario.methods import METHODS
from tqhw.scenario.ways import Options

State = Literal["initial_loading", "precision_switching", "steady"]


def known(name: str, things: Iterable[str]) -> str:
    """``name``, refused where it is none of ``things``."""
    if name not in things:
        wrong = unknown("value", name, things)
        raise refused(wrong.message, lever=wrong.lever)
    return name


class ModelOptions(DocumentSection):
    """The network."""

    name: str = "resnet20"
    """resnet20, resnet18, resnet50, mobilenet_v2, or package.module:factory of your own."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the factory."""
    input: tuple[Positive, ...] | dict[str, str] | None = None
    """Shape of the input, batch first, or one text per input: {ids: "int64[1,128]"}; without it that of the data set,
    else 1,3,32,32 for resnet20 and 1,3,224,224."""
    skip: tuple[str, ...] = ()
    """Patterns of layers, modules or operators that are left out of the hardware side, and named as such."""
    routing: tuple[Annotated[int, Field(strict=True, ge=0)], ...] | None = None
    """Shares of the rows that stacked experts get; null for alike."""
    phase: Literal["prefill", "decode"] | None = None
    """Of a model that writes text: reading the input, or one more token after it with the KV cache."""


@section
class Training(TrainingOptions):
    """How accuracies come about. Leave the section out for the hardware side alone."""

    data: str = "digits"
    """The data set: digits (scikit-learn's, handwritten), cifar10, imagefolder, or one that was added."""
    path: str | None = None
    """Where cifar10 or imagefolder are."""
    size: Annotated[int, Field(strict=True, ge=8, le=64)] = 16
    """Pixels along each side of its images, of a data set that leaves the choice."""
    data_options: dict[str, Any] = Field(default_factory=dict)
    """What a data set takes beside these."""
    schemes: tuple[str, ...] = ("truncquant", "dorefa")
    """Quantizers to train with, one network each; dorefa is ordinary quantization-aware training."""

    @field_validator("data")
    @classmethod
    def _known_data(cls, value: str) -> str:
        if value == "digits":
            return value
        from tqhw.datasets import DATASETS  # PyTorch, only where it is needed

        return known(value, DATASETS)

    @field_validator("schemes")
    @classmethod
    def _known_schemes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if {*value} <= {"truncquant", "dorefa"}:
            return value
        from tqhw.quant import SCHEMES

        return tuple(known(name, SCHEMES) for name in value)

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialize(self)
        return {key: value for key, value in found.items() if key not in ("path", "data_options") or value}


class ArchitectureOptions(DocumentSection):
    """The accelerator."""

    name: str = "eyeriss_like"
    """A template of arch/, or the path of a template folder or of one of Timeloop's files."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Its parameters, except weight_bits, fetch_bits and spad_model, which the experiment sets."""
    files: tuple[str, ...] = ()
    """Timeloop's files, patterns and folders in place of a name: all its sections but the problem."""
    data: dict[str, Any] = Field(default_factory=dict)
    """What the templates of those files use."""
    allow: tuple[str, ...] = ()
    """Folders that those files may include from, beside their own."""
    packing: Literal["pack", "ideal"] | None = None
    """How words fill the rows of those files' memories: whole words, the default, or to the last bit."""
    multiplier: Literal["match", "fixed"] | None = None
    """Operands of those files' multiplier: as wide as the words, the default, or as the files say."""

    @property
    def given(self) -> tuple[str, ...]:
        """The files, or the one name."""
        return self.files or (self.name,)

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialize(self)
        return {key: value for key, value in found.items() if key in ("name", "params") or value}


class SearchOptions(DocumentSection):
    """How mappings are searched."""

    objective: str = "energy"
    """What a mapping should have little of: energy, edp, latency, or an objective that was added."""

    @field_validator("objective")
    @classmethod
    def _known(cls, value: str) -> str:
        return known(value, OBJECTIVES)


class Experiment(DocumentSection):
    """One run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "experiment"
    """Names the results folder."""
    model: ModelOptions = ModelOptions()
    """The network."""
    bits: Annotated[tuple[Bits, ...], Field(min_length=1)] = (2, 4, 6, 8)
    """Weight precisions to run at."""
    stored_bits: Bits = 8
    """Precision of the stored model, which lower ones are shifted from."""
    methods: Annotated[tuple[str, ...], Field(min_length=1)] = ("truncquant", "any_precision", "multi_model", "fixed")
    """How the precisions are served."""
    states: Annotated[tuple[State, ...], Field(min_length=1)] = STATES  # type: ignore[assignment]
    """Which situations are reported."""
    quantization: QuantizationOptions = QuantizationOptions()
    """Which layers are quantized, and how."""
    training: Training | None = None
    """How accuracies come about; null: not measured."""
    architecture: ArchitectureOptions = ArchitectureOptions()
    """The accelerator."""
    word_bits: dict[str, int] = Field(default_factory=dict)
    """Bits of words on an architecture given by files: {Inputs: 8, Outputs: 16, Outputs@DRAM: 8}. Weights have those
    of the precision; data spaces that are not named keep the files' width."""
    spad_models: Annotated[tuple[str, ...], Field(min_length=1)] = ("smartbuffer_rf", "register_file", "sram")
    """How scratchpads are costed. The first one is reported in full, of the others the headline ratios."""
    energy: EnergyOptions | None = None
    """Where energies and areas come from; null: from the engine's own estimator."""
    scenario: ScenarioOptions = ScenarioOptions()
    """The choices behind the scenarios."""
    search: SearchOptions = SearchOptions()
    """How mappings are searched."""
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    """Of training and of the network's first weights."""
    backend: str = "embedded"
    """The engine: embedded, timeloop or container."""
    timeloop: TimeloopOptions | None = None
    """How the real Timeloop searches, with backend timeloop or container."""
    container: ContainerOptions | None = None
    """The container, with backend container."""

    @model_serializer(mode="wrap")
    def _without_words_that_are_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialize(self)
        return {key: value for key, value in found.items() if key != "word_bits" or value}

    @field_validator("methods")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(known(name, METHODS) for name in value)

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        for key in ("bits", "methods", "states", "spad_models"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key} names a value twice: {list(values)}")
        for bits in (*self.bits, *(step.bits for step in self.scenario.steps())):
            if bits > self.stored_bits:
                raise ValueError(f"{bits} bits cannot be shifted out of a model stored with {self.stored_bits}")
        for taken in ("weight_bits", "fetch_bits", "spad_model"):
            if taken in self.architecture.params:
                raise ValueError(
                    f"architecture.params.{taken} is set by the experiment: give bits or spad_models instead"
                )
        return self

    def options(self) -> Options:
        """The scenarios' choices as their room takes them."""
        return Options(**asdict(self.scenario), stored_bits=self.stored_bits)
