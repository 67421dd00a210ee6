"""The experiment file: what to run, on what, and every choice behind the numbers.

The docstrings below the fields are their documentation everywhere: in ``tqhw run --keys``, in error messages and
in docs/experiment.md. :mod:`tqhw.experiment.reader` reads the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tqhw.energy import quantizer_energy_pj, truncation_energy_pj
from tqhw.results import METHODS, STATES
from tqhw.scenario.methods import Options
from tqhw.scenario.schedule import Step

Bits = Annotated[int, Field(strict=True, ge=1, le=8)]
Positive = Annotated[int, Field(strict=True, ge=1)]
NotNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Method = Literal["truncquant", "any_precision", "multi_model", "fixed"]
Quantizer = Literal["affine_low", "affine_tables", "affine_high", "power_of_two"]
Truncation = Literal["wires", "mask", "shifter_stages", "shifter_linear"]
State = Literal["initial_loading", "precision_switching", "steady"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Model(Section):
    """The network."""

    name: str = "resnet20"
    """resnet20, resnet18, resnet50, mobilenet_v2, or package.module:factory of your own."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the factory."""
    input: tuple[Positive, ...] | None = None
    """Shape of the input, batch first; without it that of the data set, else 1,3,32,32 for resnet20 and 1,3,224,224."""


class Quantization(Section):
    """Which layers are quantized, and how."""

    first: Literal["full"] | Bits | None = "full"
    """Bits of the first layer: full for FP32, null for the precision of the model."""
    last: Literal["full"] | Bits | None = "full"
    """Bits of the last layer, likewise."""
    layers: dict[str, Literal["full"] | Bits | None] = Field(default_factory=dict)
    """Bits by layer name or pattern; they win over first and last."""
    norms: Literal["switchable", "shared"] = "switchable"
    """One batch norm per precision, or one for all."""
    granularity: Literal["tensor", "channel"] = "tensor"
    """One scale per weight tensor or per output channel."""
    gradient: str | None = None
    """The straight-through estimator of truncquant, null for the scheme's own."""
    activations: Literal["full", "dorefa", "pact"] = "full"
    """What the layers read: FP32, clamped to [0, 1] (dorefa), or to a learned range (pact); it decides accuracies
    alone."""
    activation_bits: Bits | None = 8
    """Bits of quantized activations, null for those of the weights."""
    alpha: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | None = None
    """Where the clamp of pact starts, null for what suits the first batch."""


class Training(Section):
    """How accuracies come about. Leave the section out for the hardware side alone."""

    data: Literal["digits"] = "digits"
    """The data set: scikit-learn's handwritten digits."""
    size: Annotated[int, Field(strict=True, ge=8, le=64)] = 16
    """Pixels along each side of its images."""
    schemes: tuple[Literal["truncquant", "dorefa"], ...] = ("truncquant", "dorefa")
    """Quantizers to train with, one network each; dorefa is ordinary quantization-aware training."""
    epochs: Positive = 10
    """Passes over the training images."""
    batch_size: Positive = 128
    """Images per step."""
    learning_rate: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] = 0.1
    """Peak of the cosine schedule."""
    momentum: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.9
    """Of stochastic gradient descent."""
    weight_decay: NotNegative = 5e-4
    """Of stochastic gradient descent."""
    distillation: Literal["recursive", "none"] = "recursive"
    """recursive: each precision learns from the next higher one. none: all learn from the labels."""
    threads: Positive = 1
    """CPU threads of PyTorch. Their number decides the last bits of a result, so it is fixed."""


class Architecture(Section):
    """The accelerator."""

    name: str = "eyeriss_like"
    """A template of arch/, or the path of a template folder."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Its parameters, except weight_bits, fetch_bits and spad_model, which the experiment sets."""


class Scenario(Section):
    """The choices behind the scenarios; docs/scenarios.md has the formulas."""

    layout: Literal["bitplane", "packed"] = "bitplane"
    """truncquant in DRAM. bitplane: most significant planes first, b bits fetched. packed: all, shifted on chip."""
    requantize: Literal["writeback", "streaming", "fused", "best"] = "best"
    """any_precision at a switch: a pass that writes a copy back, FP32 at every fetch, both in one, or the cheapest."""
    residency: Literal["auto", "always", "never"] = "auto"
    """Whether weights stay in their on-chip buffer: where they fit, always, never."""
    quantizer: Quantizer | NotNegative = "affine_low"
    """Energy of quantizing one FP32 weight, an estimate: a named one (docs/energy.md) or a number of pJ. The default
    is the low end of the sourced range of 4.4 to 45.8 pJ."""
    truncation: Truncation | NotNegative = "mask"
    """Energy of cutting one fetched weight down in the packed layout, likewise."""
    inferences_per_switch: tuple[Positive, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    """Points of the amortised curve."""
    schedule: tuple[Any, ...] = ()
    """Precisions over time: [8, 8, 2], or {bits: 2, inferences: 100} for many in a row."""

    @field_validator("schedule")
    @classmethod
    def _steps(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        for number, item in enumerate(value, start=1):
            fields = {"bits": item} if isinstance(item, int) else item
            if not isinstance(fields, Mapping) or not {"bits"} <= set(fields) <= {"bits", "inferences"}:
                raise ValueError(f"step {number} is {item!r}, but must be bits or {{bits: ..., inferences: ...}}")
            for key, found in fields.items():
                if isinstance(found, bool) or not isinstance(found, int) or found < 1:
                    raise ValueError(f"{key} of step {number} is {found!r}, but must be a whole number from 1 up")
        return tuple(dict(item) if isinstance(item, Mapping) else item for item in value)

    def steps(self) -> tuple[Step, ...]:
        """The schedule as steps."""
        return tuple(Step(item) if isinstance(item, int) else Step(**item) for item in self.schedule)


class Search(Section):
    """How mappings are searched."""

    objective: Literal["energy", "edp", "latency"] = "energy"
    """What a mapping should have little of."""


class Timeloop(Section):
    """How the real Timeloop searches, with backend timeloop or container."""

    algorithm: Literal["random_pruned", "linear_pruned", "hybrid", "random", "exhaustive"] = "random_pruned"
    """How the mapspace is walked."""
    victory_condition: Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)] = 500
    """Valid mappings in a row that are no better, after which a thread ends; 0 for no such end."""
    timeout: Annotated[int, Field(strict=True, ge=1, le=2**32 - 1)] = 20_000
    """Invalid mappings in a row after which a thread ends."""
    search_size: Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)] = 0
    """Valid mappings after which a search ends, shared out to its threads; 0 for no such end."""
    num_threads: Annotated[int, Field(strict=True, ge=1, le=256)] = 1
    """Threads of one search. Their number decides what is found, so it is fixed."""
    jobs: Positive | None = None
    """Searches side by side; null for as many as the run may use."""
    budget_s: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | None = None
    """Wall-clock seconds of one search, after which its best so far is taken; null for no limit."""


class Container(Section):
    """The container, with backend container."""

    image: str = "tqhw"
    """Name or id of the image; `tqhw docker build` makes it."""
    engine: Literal["docker", "podman"] | None = None
    """The container engine; null for the first that works, docker before podman."""
    memory_mb: Annotated[int, Field(strict=True, ge=64)] = 4096
    """Memory of the container."""
    time_limit_s: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | None = None
    """Seconds that one container may run; null for no limit."""


class Experiment(Section):
    """One run."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "experiment"
    """Names the results folder."""
    model: Model = Model()
    """The network."""
    bits: Annotated[tuple[Bits, ...], Field(min_length=1)] = (2, 4, 6, 8)
    """Weight precisions to run at."""
    stored_bits: Bits = 8
    """Precision of the stored model, which lower ones are shifted from."""
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = METHODS  # type: ignore[assignment]
    """How the precisions are served."""
    states: Annotated[tuple[State, ...], Field(min_length=1)] = STATES  # type: ignore[assignment]
    """Which situations are reported."""
    quantization: Quantization = Quantization()
    """Which layers are quantized, and how."""
    training: Training | None = None
    """How accuracies come about; null: not measured."""
    architecture: Architecture = Architecture()
    """The accelerator."""
    spad_models: Annotated[tuple[str, ...], Field(min_length=1)] = ("smartbuffer_rf", "register_file", "sram")
    """How scratchpads are costed. The first one is reported in full, of the others the headline ratios."""
    scenario: Scenario = Scenario()
    """The choices behind the scenarios."""
    search: Search = Search()
    """How mappings are searched."""
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    """Of training and of the network's first weights."""
    backend: str = "embedded"
    """The engine: embedded, timeloop or container."""
    timeloop: Timeloop | None = None
    """How the real Timeloop searches, with backend timeloop or container."""
    container: Container | None = None
    """The container, with backend container."""

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
        chosen = self.scenario
        return Options(
            stored_bits=self.stored_bits,
            layout=chosen.layout,
            requantize=chosen.requantize,
            residency=chosen.residency,
            quantizer_pj=chosen.quantizer
            if isinstance(chosen.quantizer, float)
            else {bits: quantizer_energy_pj(bits, chosen.quantizer) for bits in range(1, self.stored_bits + 1)},
            truncation_pj=chosen.truncation
            if isinstance(chosen.truncation, float)
            else truncation_energy_pj(self.stored_bits, chosen.truncation),
        )
