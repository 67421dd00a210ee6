"""What moves the weights, and how far in each step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from tqhw.options import TrainConfig
from tqhw.quant import InputQuantizer, QuantizedWeight
from tqhw.quant.parts import tensors_of


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW, over all parameters of ``model``; with ``decay: weights`` in two groups."""
    parameters: Any = model.parameters()
    if config.decay == "weights":
        decaying = decaying_parameters(model)
        spared = [parameter for parameter in model.parameters() if parameter not in decaying]
        parameters = [{"params": [*decaying]}, {"params": spared, "weight_decay": 0.0}]
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, config.learning_rate, config.momentum, weight_decay=config.weight_decay)
    return torch.optim.AdamW(
        parameters,
        config.learning_rate,
        betas=(config.momentum, 0.999),
        weight_decay=config.weight_decay,
    )


def decaying_parameters(model: nn.Module) -> dict[nn.Parameter, None]:
    """The weights of ``model``: what layers multiply with, that is, in the order in which the model has them.

    Parameters of one axis are none, nor are embeddings, what has one row (tokens and positions, [1, N, width]) outside
    of the layers that tqhw quantizes, and what belongs to a quantizer.
    """
    tables = [m.weight for m in model.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag)]
    layers = [p for m in model.modules() for p in _own_weights(m)]
    own = [p for m in model.modules() if isinstance(m, QuantizedWeight | InputQuantizer) for p in m.parameters()]
    never, always = {*tables, *own}, {*layers}
    return {p: None for p in model.parameters() if p not in never and (p in always or (p.ndim > 1 and p.shape[0] > 1))}


def _own_weights(module: nn.Module) -> list[nn.Parameter]:
    """The weights of a layer that can be quantized, whether it is or not."""
    chains: Any = module.parametrizations if parametrize.is_parametrized(module) else {}
    found = [chains[t].original if t in chains else getattr(module, t) for t in tensors_of(module)]
    return [tensor for tensor in found if isinstance(tensor, nn.Parameter)]


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
