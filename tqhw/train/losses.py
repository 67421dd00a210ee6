"""What a training makes small: losses by name, and those that Python hands over as an object.

Outputs are those of a model, float32; targets are labels of int64, or numbers of float32. Labels of
:data:`tqhw.datasets.IGNORED` and numbers that are NaN do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

import torch
from torch.nn import functional

from tqhw.datasets.base import counting
from tqhw.errors import TqhwError
from tqhw.options import TrainConfig
from tqhw.registry import Registry

Outputs = torch.Tensor
Compared = Callable[..., torch.Tensor]
"""Two tensors to one number."""


@dataclass(frozen=True)
class Loss:
    """``of``: outputs and targets to one number. ``taught``: outputs, and those of the next higher precision, to one.

    Both get what counts alone: of ``reads`` labels outputs (N, classes) and labels (N,); of numbers, and of shares
    (numbers from 0 to 1), two tensors of one shape. ``taught``: None for a loss that learns from targets alone.
    ``metric``: by which it is measured unless something else is said.
    """

    name: str
    of: Compared
    taught: Compared | None = None
    metric: str = "rmse"
    reads: Literal["labels", "numbers", "shares"] = "numbers"

    def __call__(self, outputs: Outputs, targets: torch.Tensor) -> torch.Tensor:
        """The loss of one batch; 0 where nothing of it counts."""
        found, wanted = self.counted(outputs, targets)
        return self.of(found, wanted) if wanted.numel() else outputs.sum() * 0.0

    def total(self, outputs: Outputs, targets: torch.Tensor) -> tuple[torch.Tensor, int]:
        """The sum over all targets that count, and how many there are."""
        found, wanted = self.counted(outputs, targets)
        if getattr(self.of, "__module__", "") == functional.__name__:
            return self.of(found, wanted, reduction="sum"), wanted.numel()
        return self(outputs, targets) * wanted.numel(), wanted.numel()

    def from_teacher(self, outputs: Outputs, teacher: Outputs, targets: torch.Tensor) -> torch.Tensor:
        """The loss against what the next higher precision answered, where targets count."""
        if self.taught is None:
            raise TqhwError(
                f"loss {self.name} does not say how one precision learns from another",
                place="training.distillation",
                lever="use distillation: none, or give the loss a function `taught`",
            )
        found, wanted = self.counted(outputs, targets)
        taught, _ = self.counted(teacher, targets)
        return self.taught(found, taught) if wanted.numel() else outputs.sum() * 0.0

    def counted(self, outputs: Outputs, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs and targets that count, as ``of`` takes them."""
        if self.reads == "labels":
            found, wanted = by_label(outputs, targets)
        else:
            found, wanted = alike(outputs, targets)
        counts = counting(wanted)
        return (found, wanted) if bool(counts.all()) else (found[counts], wanted[counts])

    def check(self, outputs: Outputs, targets: torch.Tensor, classes: int, place: str) -> None:
        """Refuses outputs or targets that this loss does not take. Raises TqhwError."""
        if self.reads == "labels":
            if targets.is_floating_point() or not classes:
                raise TqhwError(
                    f"loss {self.name} learns labels, but the targets are numbers",
                    place=place,
                    lever="use loss mse, l1 or huber, or bce_with_logits for truth values",
                )
            rows, _ = by_label(outputs, targets, place)
            if rows.shape[1] < classes:
                raise TqhwError(
                    f"the model answers {len(outputs)} samples with {tuple(outputs.shape)}, but there are {classes} "
                    "classes",
                    place=place,
                    lever="set the model's options, such as num_classes",
                )
            return
        _, wanted = alike(outputs, targets, place)
        known = wanted[~torch.isnan(wanted)]
        if self.reads == "shares" and known.numel() and not 0 <= float(known.min()) <= float(known.max()) <= 1:
            raise TqhwError(
                f"loss {self.name} takes targets from 0 to 1, these go from {known.min():g} to {known.max():g}",
                place=place,
                lever="use loss cross_entropy for labels, mse for numbers",
            )


def by_label(outputs: Outputs, targets: torch.Tensor, place: str = "loss") -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs as (samples, classes) and labels as (samples,), one for every position.

    Classes are the last axis of sequences, (N, positions, classes), or the second, (N, classes, height, width), as
    PyTorch has it; where both would fit, the last one of three axes and the second one of more.
    """
    if outputs.ndim == targets.ndim + 1:
        last, second = outputs.shape[:-1] == targets.shape, (outputs.shape[0], *outputs.shape[2:]) == targets.shape
        if last and (outputs.ndim <= 3 or not second):
            return outputs.reshape(-1, outputs.shape[-1]), targets.reshape(-1)
        if second:
            return outputs.movedim(1, -1).reshape(-1, outputs.shape[1]), targets.reshape(-1)
    raise TqhwError(
        f"outputs of shape {[*outputs.shape]} are no classes of labels of shape {[*targets.shape]}",
        place=place,
        lever="give one more axis than the labels have, that of the classes, last or second; mse and its like take "
        "numbers of one shape",
    )


def alike(outputs: Outputs, targets: torch.Tensor, place: str = "loss") -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and targets of one shape, an axis of 1 at the end aside. Nothing is broadcast: that would be silent."""
    found, wanted = (x[..., 0] if x.ndim > 1 and x.shape[-1] == 1 else x for x in (outputs, targets))
    if found.shape != wanted.shape:
        raise TqhwError(
            f"outputs of shape {[*outputs.shape]} are not of the targets' shape {[*targets.shape]}",
            place=place,
            lever="let the model give one number for every target; loss cross_entropy takes labels",
        )
    return found, wanted.to(found.dtype)


def _entropy_of(outputs: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(outputs, teacher.softmax(dim=1))


def _shares_of(outputs: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(outputs, teacher.sigmoid())


def _numbers(name: str, of: Compared, metric: str) -> Loss:
    return Loss(name, of, of, metric)


LOSSES: Final[Registry[Loss]] = Registry(
    "loss",
    "tqhw.losses",
    {
        loss.name: loss
        for loss in (
            Loss("cross_entropy", functional.cross_entropy, _entropy_of, "accuracy", "labels"),
            _numbers("mse", functional.mse_loss, "rmse"),
            _numbers("l1", functional.l1_loss, "mae"),
            _numbers("huber", functional.huber_loss, "rmse"),
            Loss(
                "bce_with_logits",
                functional.binary_cross_entropy_with_logits,
                _shares_of,
                "label_accuracy",
                "shares",
            ),
        )
    },
)
"""Losses by name; one more is one :class:`Loss`."""


def loss_of(config: TrainConfig) -> Loss:
    """The loss that a training names. Raises TqhwError for one that is not known."""
    found = LOSSES.named(config.loss, "training.loss")
    if config.label_smoothing:
        return replace(found, of=partial(functional.cross_entropy, label_smoothing=config.label_smoothing))
    return found
