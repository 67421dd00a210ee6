"""Running statistics of batch norms, measured anew at the present precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from tqhw.quant.modes import evaluating
from tqhw.quant.norm import SwitchableBatchNorm, norms_of


@torch.no_grad()
def measure_norms(model: nn.Module, runs: Callable[[], Iterable[object]]) -> None:
    """Sets the running statistics of the norms at work to their plain means over ``runs``, each a call of ``model``."""
    active = [m.active if isinstance(m, SwitchableBatchNorm) else m for m in norms_of(model).values()]
    active = [norm for norm in active if norm.running_mean is not None]
    momenta = [norm.momentum for norm in active]
    try:
        with evaluating(model):
            for norm in active:
                norm.reset_running_stats()
                norm.momentum = None  # a plain mean over all batches
                norm.training = True
            if active:
                for _ in runs():
                    pass
    finally:
        for norm, momentum in zip(active, momenta, strict=True):
            norm.momentum = momentum
