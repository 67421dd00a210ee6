"""The options of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tqhw.errors import TqhwError, unknown


@dataclass(frozen=True)
class TrainConfig:
    """How a quantized model is trained; the precisions and the scheme are the model's own.

    ``batch_size`` is that of one optimizer step. ``distillation``: ``recursive`` lets each precision learn
    from the next higher one, as in Any-Precision DNNs; ``none`` lets all learn from the labels. ``threads``:
    CPU threads, fixed because the rounding of sums depends on their number.
    """

    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    distillation: Literal["recursive", "none"] = "recursive"
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "threads"):
            if getattr(self, name) < 1:
                raise TqhwError(f"{getattr(self, name)} is not a positive number", place=name)
        if not self.learning_rate > 0:
            raise TqhwError(f"{self.learning_rate} is not a positive number", place="learning_rate")
        if self.distillation not in ("recursive", "none"):
            raise unknown("distillation", self.distillation, ("recursive", "none"), place="distillation")
