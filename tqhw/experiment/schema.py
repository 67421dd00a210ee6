"""The experiment file: what to run, on what, and every choice behind the numbers.

The docstrings below the fields are their documentation everywhere: in ``tqhw run --keys``, in error messages and
in docs/experiment.md. :mod:`tqhw.experiment.reader` reads the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_serializer,
    model_validator,
)

from tqhw.errors import TqhwError, unknown
from tqhw.objectives import OBJECTIVES, goal_of
from tqhw.options import METHODS as TRAINING_METHODS
from tqhw.options import (
    ContainerOptions,
    DocumentSection,
    EnergyOptions,
    Method,
    QuantizeOptions,
    RecipeDocument,
    ScenarioOptions,
    TimeloopOptions,
    modern,
    refused,
)
from tqhw.options import Training as Training
from tqhw.options.post_training import QUANTIZATION
from tqhw.options.section import Bits
from tqhw.results import STATES
from tqhw.scenario.methods import METHODS
from tqhw.scenario.ways import Options

State = Literal["initial_loading", "precision_switching", "steady"]


OWN_DATA: Final = (
    *("digits", "cifar10", "imagefolder", "mnist_subset", "arrays", "samples", "diabetes"),
    *("torchvision", "huggingface", "memory"),
)
"""Data sets whose names are known without PyTorch."""


def known(name: str, things: Iterable[str], key: str = "") -> str:
    """``name``, refused where it is none of ``things``; ``key``: where it stands, seen from the section."""
    if name not in things:
        wrong = unknown("value", name, things)
        raise refused(wrong.message, key, wrong.lever)
    return name


_FIRST: Final = (
    "name",
    "model",
    "data",
    "bits",
    "stored_bits",
    "methods",
    "states",
    "quantization",
    "training",
    "quantize",
)
_LAST: Final = ("seed", "backend", "timeloop", "container")


def in_order(keys: Iterable[str]) -> list[str]:
    """The keys of an experiment in the order of a run: the network, its training, the accelerator, the engine."""
    given = [*keys]
    rest = [key for key in given if key not in (*_FIRST, *_LAST)]
    return [key for key in (*_FIRST, *rest, *_LAST) if key in given]


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
    """What a mapping should have little of: energy, edp, latency, or an objective that was added. energy,latency (or
    latency,energy): the fronts of every layer and of the network, and in all tables what is best by the first."""

    factors: Literal["perfect", "imperfect"] = "perfect"
    """Loop bounds: factors that divide a dimension (perfect), or also ones with a remainder (imperfect)."""
    pad: bool = False
    """Dimensions may be padded where larger ones fill the array better; what that wastes is counted."""

    @property
    def way(self) -> str:
        """How the mapper calls the choice."""
        return "padded" if self.pad else self.factors

    @field_validator("objective")
    @classmethod
    def _known(cls, value: str) -> str:
        names = [known(name.strip(), OBJECTIVES) for name in value.split(",")]
        try:
            goal_of(value)
        except TqhwError as error:
            raise refused(error.message, "", error.lever) from None
        if len(names) > 1 and sorted(names) != ["energy", "latency"]:
            why = f"the front of a network is one of energy and latency, which add up over its layers; {value} do not"
            raise refused(why, "", "give energy,latency, or one objective")
        return ",".join(names)

    @model_validator(mode="after")
    def _one_way(self) -> SearchOptions:
        if self.pad and self.factors == "imperfect":
            raise ValueError("pad and factors: imperfect are two answers to one question: give one of them")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialize(self)
        return {key: value for key, value in found.items() if key == "objective" or value not in ("perfect", False)}


def _precision(value: Any, check: ValidatorFunctionWrapHandler) -> int:
    return FULL if value == FULL and type(value) is int else check(value)


FULL: Final = 32
MAX_BITS: Final = 8
Precision = Annotated[Bits, WrapValidator(_precision)]


class Experiment(RecipeDocument):
    """One run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "experiment"
    """Names the results folder."""
    bits: Annotated[tuple[Precision, ...], Field(min_length=1)] = (2, 4, 6, 8)
    """Weight precisions to run at; 32, floating point, is trained and measured, and none of the hardware's."""
    stored_bits: Bits = 8
    """Precision of the stored model, which lower ones are shifted from."""
    methods: Annotated[tuple[str, ...], Field(min_length=1)] = ("truncquant", "any_precision", "multi_model", "fixed")
    """How the precisions are served."""
    states: Annotated[tuple[State, ...], Field(min_length=1)] = STATES  # type: ignore[assignment]
    """Which situations are reported."""
    quantize: QuantizeOptions | None = None
    """Post-training in the place of a training: the accuracies of a trained network that is quantized here."""
    architecture: ArchitectureOptions = ArchitectureOptions()
    """The accelerator."""
    word_bits: dict[str, int] = Field(default_factory=dict)
    """Bits of words where no parameter of the architecture says them: {Inputs: 8, Outputs: 16, Outputs@DRAM: 8}.
    Weights have those of the precision; data spaces that are not named keep the files' width."""
    spad_models: Annotated[tuple[str, ...], Field(min_length=1)] = ("smartbuffer_rf", "register_file", "sram")
    """How scratchpads are costed. The first one is reported in full, of the others the headline ratios."""
    energy: EnergyOptions | None = None
    """Where energies and areas come from; null: from the engine's own estimator."""
    scenario: ScenarioOptions = ScenarioOptions()
    """The choices behind the scenarios."""
    search: SearchOptions = SearchOptions()
    """How mappings are searched."""
    backend: str = "embedded"
    """The engine: embedded, timeloop or container."""
    timeloop: TimeloopOptions | None = None
    """How the real Timeloop searches, with backend timeloop or container."""
    container: ContainerOptions | None = None
    """The container, with backend container."""

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = serialize(self)
        left_out = {
            *(["data"] if self.training is None and self.quantize is None else ()),
            *(() if self.word_bits else ["word_bits"]),
        }
        left_out |= {"quantize"} if self.quantize is None else set()
        return {key: found[key] for key in in_order(found) if key not in left_out}

    @classmethod
    def modernized(cls, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with today's keys; a recipe stored what it trained, and no more."""
        found = modern(document)
        if isinstance(found.get("quantize"), Mapping) and isinstance(found.get("quantization", {}), Mapping):
            found["quantization"] = {**QUANTIZATION, **found.get("quantization", {})}
        bits = document.get("bits", cls.model_fields["bits"].default)
        if "method" in document and "stored_bits" not in document and isinstance(bits, list | tuple):
            codes = [b for b in bits if isinstance(b, int) and 1 <= b <= MAX_BITS]
            found["stored_bits"] = max(codes, default=MAX_BITS)
        return found

    @model_validator(mode="after")
    def _known_names(self) -> Experiment:
        if self.training is None and self.quantize is None:
            return self
        if self.data.name not in OWN_DATA:
            from tqhw.datasets import DATASETS  # PyTorch, only where it is needed

            known(self.data.name, DATASETS, "data.name")
        if self.quantize is not None and self.quantize.metric is not None:
            from tqhw.train import METRICS  # PyTorch, only where it is needed

            try:
                METRICS.named(self.quantize.metric, "quantize.metric")
            except TqhwError as error:
                raise refused(error.message, "quantize.metric", error.lever) from None
        if self.training is None:
            return self
        self._check_task()
        for scheme in self.training.schemes:
            if scheme not in TRAINING_METHODS:
                from tqhw.quant import SCHEMES

                known(scheme, [*TRAINING_METHODS, *SCHEMES], "training.schemes")
            else:
                self._check(TRAINING_METHODS[scheme])
        return self

    def _check_task(self) -> None:
        """Loss and metric by name."""
        if self.training is None or (self.training.loss == "cross_entropy" and self.training.metric is None):
            return
        from tqhw.train import LOSSES, METRICS  # PyTorch, only where it is needed

        known(self.training.loss, LOSSES, "training.loss")
        if self.training.metric is not None:
            known(self.training.metric, METRICS, "training.metric")

    def _check(self, method: Method) -> None:
        """Refuses what contradicts a training method's definition."""
        for part in ("quantization", "training"):
            try:
                method.check(part, asdict(getattr(self, part)))
            except TqhwError as error:
                raise refused(error.message, str(error.place), error.lever) from None

    @field_validator("methods")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(known(name, METHODS) for name in value)

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        if self.quantize is not None and self.training is not None:
            raise refused(
                "quantizes what is trained already, but there is a training", "quantize", "leave one of them out"
            )
        for key in ("bits", "methods", "states", "spad_models"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key} names a value twice: {list(values)}")
        for bits in (*self.hardware_bits, *(step.bits for step in self.scenario.steps())):
            if bits > self.stored_bits:
                raise ValueError(f"{bits} bits cannot be shifted out of a model stored with {self.stored_bits}")
        for taken in ("weight_bits", "fetch_bits", "spad_model"):
            if taken in self.architecture.params:
                raise ValueError(
                    f"architecture.params.{taken} is set by the experiment: give bits or spad_models instead"
                )
        return self

    @property
    def hardware_bits(self) -> tuple[int, ...]:
        """The precisions that the accelerator runs at."""
        return tuple(bits for bits in self.bits if bits != FULL)

    @property
    def precisions(self) -> tuple[int, ...]:
        """All precisions that a network is trained at, ascending."""
        return tuple(sorted({*self.bits, self.stored_bits}))

    def options(self) -> Options:
        """The scenarios' choices as their room takes them."""
        return Options(**asdict(self.scenario), stored_bits=self.stored_bits)
