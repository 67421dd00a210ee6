"""What moves the weights, and how far in each step."""

from __future__ import annotations

import math

import torch
from torch import nn

from tqhw.options import TrainConfig


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW, over all parameters of ``model``."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(), config.learning_rate, config.momentum, weight_decay=config.weight_decay
        )
    return torch.optim.AdamW(
        model.parameters(),
        config.learning_rate,
        betas=(config.momentum, 0.999),
        weight_decay=config.weight_decay,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, config: TrainConfig, step: int, per_epoch: int) -> float:
    """Sets and returns the rate of ``step`` (from 0) in a run of ``config.epochs * per_epoch`` steps."""
    rate = learning_rate(config, step, per_epoch)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def learning_rate(config: TrainConfig, step: int, per_epoch: int) -> float:
    """A linear rise over the warm-up, then half a cosine to zero, or a tenth after each milestone."""
    steps = config.epochs * per_epoch
    warmup = round(config.warmup_epochs * per_epoch)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
    passed = sum(step >= share * steps for share in config.milestones)
    return config.learning_rate * 0.1**passed
