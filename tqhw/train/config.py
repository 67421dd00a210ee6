"""The options of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tqhw.errors import TqhwError, unknown

_CHOICES = {
    "optimizer": ("sgd", "adamw"),
    "schedule": ("cosine", "step"),
    "distillation": ("recursive", "none"),
    "arithmetic": ("float32", "bfloat16"),
    "device": ("cpu", "cuda"),
}

MAX_SEED: Final = 2**32 - 1
"""The epochs' random numbers are seeded with a million times as much, which torch has 64 bits for."""


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; the precisions and the scheme are the model's own.

    ``batch_size`` is that of one optimizer step, over all processes, run in ``accumulation`` parts.
    ``momentum`` is AdamW's first beta where that is the optimizer. ``schedule``: ``cosine`` falls to zero;
    ``step`` divides by 10 at each of ``milestones``, given as shares of the run. ``warmup_epochs``: a linear
    start. ``distillation``: ``recursive`` lets each precision learn from the next higher one, as in
    Any-Precision DNNs; ``none`` lets all learn from the labels. ``label_smoothing`` applies to labels.
    ``arithmetic``: ``bfloat16`` runs forward passes under autocast. ``threads``: CPU threads, fixed because
    the rounding of sums depends on their number. More than one gains something on idle cores, most for large
    pictures; on busy ones the threads wait for each other and lose far more.
    """

    epochs: int = 10
    batch_size: int = 128
    accumulation: int = 1
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "step"] = "cosine"
    milestones: tuple[float, ...] = ()
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    distillation: Literal["recursive", "none"] = "recursive"
    arithmetic: Literal["float32", "bfloat16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulation", "threads"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise TqhwError(f"{value!r} is not a whole number from 1 up", place=name)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed <= MAX_SEED:
            raise TqhwError(f"{self.seed!r} is not a whole number from 0 to {MAX_SEED}", place="seed")
        if not self.learning_rate > 0:
            raise TqhwError(f"{self.learning_rate} is not a positive number", place="learning_rate")
        for name, low, high in (
            ("momentum", 0, 1),
            ("label_smoothing", 0, 1),
            ("weight_decay", 0, float("inf")),
            ("warmup_epochs", 0, self.epochs),
        ):
            if not low <= getattr(self, name) < high:
                raise TqhwError(f"{getattr(self, name)} is not from {low} to below {high}", place=name)
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise unknown(name, str(getattr(self, name)), known, place=name)
        if (self.schedule == "step") != bool(self.milestones):
            raise TqhwError(
                f"schedule {self.schedule} and milestones {list(self.milestones)} do not belong together",
                place="milestones",
                lever="give milestones such as [0.5, 0.75] with schedule: step, and only then",
            )
        if not all(0 < share < 1 for share in self.milestones):
            raise TqhwError(f"{list(self.milestones)} are not shares between 0 and 1", place="milestones")
