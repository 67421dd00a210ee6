"""How a model is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from tqhw.options.section import AboveZero, NotNegative, Positive, Share, refused, section

MAX_THREADS: Final = 4096
MAX_SEED: Final = 2**32 - 1
"""The epochs' random numbers are seeded with a million times as much, which torch has 64 bits for."""
_LATER: Final[Mapping[str, Any]] = {
    "decay": "all",
    "loss": "cross_entropy",
    "metric": None,
    "validation": None,
    "checkpoint_steps": None,
}
"""Options that documents of before have not, and what stands for saying nothing."""


@section
class Validation:
    """Training samples that are held out, to see how good the network is before the end. Test data are never read."""

    share: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.1
    """Of the training samples; the training's seed decides which."""
    every: Positive = 1
    """Epochs from one measurement to the next; the last epoch is always measured."""
    keep: Literal["last", "best"] = "last"
    """The network that a training ends with: that of the last epoch, or of the best one, by the metric's mean over the
    precisions."""


def _said(found: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that documents of before have not, where they say nothing."""
    return {key: value for key, value in found.items() if key not in _LATER or value != _LATER[key]}


@section
class TrainingOptions:
    """What can be chosen of a training run, whatever its seed; precisions and scheme are the model's own."""

    epochs: Positive = 10
    """Passes over the training images."""
    batch_size: Positive = 128
    """Images per optimizer step, over all processes."""
    accumulation: Positive = 1
    """Parts that a step is run in, one after the other."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """Stochastic gradient descent with momentum, or AdamW."""
    learning_rate: AboveZero = 0.1
    """Peak of the schedule."""
    momentum: Share = 0.9
    """Of stochastic gradient descent; AdamW's first beta."""
    weight_decay: NotNegative = 5e-4
    """Of the optimizer."""
    decay: Literal["all", "weights"] = "all"
    """What decays: all parameters, or weights alone. Norms, biases, embeddings, positions, learned ranges and clips do
    not then."""
    schedule: Literal["cosine", "step"] = "cosine"
    """cosine falls to zero; step divides by 10 at each of the milestones."""
    milestones: tuple[Annotated[float, Field(strict=True)], ...] = ()
    """Of schedule step, as shares of the run, such as [0.5, 0.75]."""
    warmup_epochs: NotNegative = 0.0
    """Epochs of a linear start."""
    loss: str = field(default="cross_entropy", kw_only=True)
    """What is made small: cross_entropy, of labels, also one per position; mse, l1 or huber, of numbers;
    bce_with_logits, of several truth values; or a loss that was added."""
    metric: str | None = field(default=None, kw_only=True)
    """How good answers are: accuracy, token_accuracy, label_accuracy, rmse, mae or r2, or a metric that was added; null
    for that of the loss."""
    validation: Validation | None = field(default=None, kw_only=True)
    """Measuring on training samples that are held out; null trains on all of them."""
    checkpoint_steps: Positive | None = field(default=None, kw_only=True)
    """Steps from one checkpoint to the next inside an epoch; null leaves one after every epoch."""
    label_smoothing: Share = 0.0
    """Applies to labels."""
    distillation: Literal["recursive", "none"] = "recursive"
    """recursive: each precision learns from the next higher one. none: all learn from the labels."""
    arithmetic: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 runs forward passes under autocast."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where it is trained."""
    threads: Annotated[int, Field(strict=True, ge=1, le=MAX_THREADS)] = 1
    """CPU threads of PyTorch. Their number decides the last bits of a result, so it is fixed. More than one gains
    something on idle cores, most for large pictures; on busy ones they wait for each other and lose far more."""

    def __post_init__(self) -> None:
        if self.label_smoothing and self.loss != "cross_entropy":
            raise refused(f"loss {self.loss} has no labels to smooth", "label_smoothing", "leave it out")
        if self.warmup_epochs >= self.epochs:
            raise refused(f"{self.warmup_epochs:g} is not from 0 to below {self.epochs}", "warmup_epochs")
        if (self.schedule == "step") != bool(self.milestones):
            raise refused(
                f"schedule {self.schedule} and milestones {list(self.milestones)} do not belong together",
                "milestones",
                "give milestones such as [0.5, 0.75] with schedule: step, and only then",
            )
        if not all(0 < share < 1 for share in self.milestones):
            raise refused(f"{list(self.milestones)} are not shares between 0 and 1", "milestones")

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _said(serialize(self))


@section
class TrainConfig(TrainingOptions):
    """A training run: its options and its seed."""

    seed: Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)] = 0
    """Of the batches' order and augmentation, and of the network's first weights."""


@section
class Training(TrainingOptions):
    """How accuracies come about. Leave the section out for the hardware side alone."""

    schemes: Annotated[tuple[str, ...], Field(min_length=1)] = ("truncquant",)
    """Ways to a network of several precisions, one network each: truncquant; dorefa, which is ordinary
    quantization-aware training; any_precision, single, post_training, fp32, or a quantizer that was added."""
    seeds: Positive = 1
    """How many networks of each, by the seeds from `seed` up; more give mean and standard deviation."""
    trained: tuple[str, ...] = Field(default=(), alias="from")
    """Folders that tqhw train wrote, on this machine or another, in place of a training."""

    @model_validator(mode="before")
    @classmethod
    def _trained_or_to_be(cls, found: Any) -> Any:
        given = found if isinstance(found, Mapping) else {}
        others = [key for key in given if key not in ("from", "device", "threads")]
        folders = given.get("from", ...)
        if isinstance(folders, list | tuple) and not all(folders or ("",)):
            told = "a folder without a name" if folders else "names no folder"
            raise refused(told, "from", "name folders that tqhw train wrote, or leave it out to train")
        if given.get("from") and others:
            raise refused(
                f"{', '.join(others)} would train what `from` takes as it was trained",
                others[0],
                "leave out one of the two",
            )
        return found

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found = _said(serialize(self))
        found.pop("trained", None)
        if self.trained:
            return {"from": list(self.trained), "device": self.device, "threads": self.threads}
        return found if self.seeds > 1 else {key: value for key, value in found.items() if key != "seeds"}
