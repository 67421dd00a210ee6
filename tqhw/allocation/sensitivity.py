"""What truncating one layer adds to the loss, all others at the stored bits, measured on training images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import torch
from torch import nn

from tqhw.datasets import Data
from tqhw.quant import integer_codes, running_on_codes, set_bits
from tqhw.quant.modes import evaluating
from tqhw.train.reproducible import reproducible

Batches = Sequence[tuple[torch.Tensor, torch.Tensor]]


def calibration(data: Data, images: int, seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The first ``images`` training images of a seed, in batches."""
    size = min(images, data.train_size, 256)
    with reproducible(seed, 1):
        return list(islice(data.train_batches(size, seed, epoch=0), max(1, images // size)))


def loss_of(model: nn.Module, batches: Batches) -> float:
    """The mean cross entropy of a model in evaluation mode, in nats."""
    at = next(model.parameters()).device
    total, count = 0.0, 0
    with torch.no_grad(), evaluating(model), reproducible(0, 1):
        for images, labels in batches:
            logits = model(images.to(at)).double()
            total += float(nn.functional.cross_entropy(logits, labels.to(at), reduction="sum"))
            count += len(labels)
    return total / count


def sensitivities(
    model: nn.Module,
    batches: Batches,
    names: Sequence[str],
    bits: Sequence[int],
    stored: int,
    known: Mapping[str, Sequence[float]] | None = None,
    tell: Callable[[str, list[float]], None] = lambda name, losses: None,
) -> tuple[tuple[float, ...], ...]:
    """One row per layer of ``names``, one column per width of ``bits``: the loss with this layer's codes shifted to
    that width, less the loss with all codes at ``stored`` bits.

    ``known``: rows that were measured before; ``tell`` is called with each new one.
    """
    codes = integer_codes(model, stored)
    rows = []
    with running_on_codes(model, codes, stored):
        whole: float | None = None
        for name in names:
            row = list((known or {}).get(name, ()))
            if len(row) != len(bits):
                whole = loss_of(model, batches) if whole is None else whole
                row = [_alone(model, batches, name, width, stored) - whole for width in bits]
                tell(name, row)
            rows.append(tuple(row))
    return tuple(rows)


def _alone(model: nn.Module, batches: Batches, name: str, bits: int, stored: int) -> float:
    set_bits(model, {name: bits})
    try:
        return loss_of(model, batches)
    finally:
        set_bits(model, {name: stored})
