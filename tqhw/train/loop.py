"""The training loop: all precisions in every step, higher ones first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from tqhw.errors import TqhwError
from tqhw.quant import FULL, is_quantized, quantization_of, set_bits, shared_normalization
from tqhw.train.config import TrainConfig
from tqhw.train.data import Data
from tqhw.train.reproducible import reproducible


@dataclass(frozen=True)
class Progress:
    """Where a run is: steps done of all steps, and the mean loss of the epoch so far by precision."""

    epoch: int
    step: int
    steps: int
    losses: dict[int, float]


@dataclass(frozen=True)
class TrainResult:
    """The trained model (the one that was given) and the mean training loss by precision of every epoch."""

    model: nn.Module
    losses: tuple[dict[int, float], ...]


def train(
    model: nn.Module,
    data: Data,
    config: TrainConfig,
    progress: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Trains ``model`` in place, jointly at all its precisions where it is quantized.

    A step runs every precision, the highest first and on the labels; with ``distillation: recursive`` each
    lower one learns from the outputs of the next higher one. The gradients add up, then the weights move.
    Raises TqhwError for a data set smaller than a batch and for a loss that is not finite.
    """
    if data.train_size < config.batch_size:
        raise TqhwError(
            f"{data.train_size} training images do not fill a batch of {config.batch_size}",
            place="batch_size",
            lever=f"use at most {data.train_size}",
        )
    quantized = is_quantized(model)
    falling = tuple(sorted(quantization_of(model).precisions, reverse=True)) if quantized else (FULL,)
    optimizer = torch.optim.SGD(
        model.parameters(), config.learning_rate, config.momentum, weight_decay=config.weight_decay
    )
    per_epoch = data.train_size // config.batch_size
    steps = config.epochs * per_epoch
    history = []
    model.train()
    step = 0
    for epoch in range(config.epochs):
        sums = dict.fromkeys(falling, 0.0)
        with reproducible(config.seed * 1_000_003 + epoch, config.threads):
            for images, labels in data.train_batches(config.batch_size, config.seed, epoch):
                for group in optimizer.param_groups:
                    group["lr"] = cosine(config.learning_rate, step, steps)
                optimizer.zero_grad()
                teacher = None
                with shared_normalization(model):
                    for bits in falling:
                        if quantized:
                            set_bits(model, bits)
                        logits = model(images)
                        if teacher is None:
                            loss = functional.cross_entropy(logits, labels)
                        else:
                            loss = functional.cross_entropy(logits, teacher)
                        loss.backward()  # type: ignore[no-untyped-call]
                        sums[bits] += loss.item()
                        if config.distillation == "recursive":
                            teacher = logits.detach().softmax(dim=1)
                if not all(math.isfinite(total) for total in sums.values()):
                    raise TqhwError(f"the loss is {sums} in step {step}", place="train")
                optimizer.step()
                step += 1
                if progress is not None:
                    done = step - epoch * per_epoch
                    progress(Progress(epoch, step, steps, {b: total / done for b, total in sums.items()}))
        history.append({bits: total / per_epoch for bits, total in sums.items()})
    return TrainResult(model, tuple(history))


def cosine(peak: float, step: int, steps: int) -> float:
    """The learning rate of ``step``: half a cosine from ``peak`` to zero over ``steps``."""
    return peak * 0.5 * (1 + math.cos(math.pi * step / steps))
