"""What truncating one layer adds to the loss, all others at the stored bits, measured on training images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import torch
from torch import nn

from tqhw.datasets import Batch, Data
from tqhw.errors import TqhwError
from tqhw.quant import integer_codes, running_on_codes, set_bits
from tqhw.quant.calls import called, first_tensor, moved
from tqhw.quant.modes import evaluating
from tqhw.train.losses import LOSSES, Loss
from tqhw.train.reproducible import reproducible

Batches = Sequence[Batch]


def calibration(data: Data, images: int, seed: int) -> list[Batch]:
    """The first ``images`` training images of a seed, in batches."""
    size = min(images, data.train_size, 256)
    with reproducible(seed, 1):
        return list(islice(data.train_batches(size, seed, epoch=0), max(1, images // size)))


def loss_of(model: nn.Module, batches: Batches, loss: Loss = LOSSES["cross_entropy"]) -> float:
    """The mean loss of a model in evaluation mode, of cross entropy in nats; a batch counts as many as its targets."""
    at = next(model.parameters()).device
    total, count = 0.0, 0
    with torch.no_grad(), evaluating(model), reproducible(0, 1):
        for inputs, targets in batches:
            outputs = first_tensor(called(model, moved(inputs, at))).double()
            added, counted = loss.total(outputs, targets.to(at))
            total += float(added)
            count += counted
    return total / count


def sensitivities(
    model: nn.Module,
    batches: Batches,
    names: Sequence[str],
    bits: Sequence[int],
    stored: int,
    known: Mapping[str, Sequence[float]] | None = None,
    tell: Callable[[str, list[float]], None] = lambda name, losses: None,
    loss: Loss = LOSSES["cross_entropy"],
) -> tuple[tuple[float, ...], ...]:
    """One row per layer of ``names``, one column per width of ``bits``: the loss with this layer's codes shifted to
    that width, less the loss with all codes at ``stored`` bits.

    ``known``: rows that were measured before; ``tell`` is called with each new one.

    Raises TqhwError for a loss that is no finite number: nothing can be summed up with it.
    """
    codes = integer_codes(model, stored)
    rows = []
    with running_on_codes(model, codes, stored):
        whole: float | None = None
        for name in names:
            row = list((known or {}).get(name, ()))
            if len(row) != len(bits):
                if whole is None:
                    whole = _finite(loss_of(model, batches, loss), f"all layers, {stored} bits")
                row = [_alone(model, batches, name, width, stored, loss) - whole for width in bits]
                tell(name, row)
            rows.append(tuple(row))
    return tuple(rows)


def _alone(model: nn.Module, batches: Batches, name: str, bits: int, stored: int, loss: Loss) -> float:
    set_bits(model, {name: bits})
    try:
        return _finite(loss_of(model, batches, loss), f"layer {name}, {bits} bits")
    finally:
        set_bits(model, {name: stored})


def _finite(loss: float, place: str) -> float:
    if not math.isfinite(loss):
        raise TqhwError(
            f"the loss on training samples is {loss}, which no sum can be made with",
            place=place,
            lever="leave out precisions at which the outputs overflow, or train the network further",
        )
    return loss
