"""Running statistics of batch norms: measured anew at the present precision, or moved by what quantizing does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tqhw.quant.modes import evaluating
from tqhw.quant.norm import SwitchableBatchNorm, norms_of
from tqhw.quant.precision import set_bits

Runs = Callable[[], Iterable[object]]
"""Calls of a model, one after the other."""


@torch.no_grad()
def measure_norms(model: nn.Module, runs: Runs) -> None:
    """Sets the running statistics of the norms at work to their plain means over ``runs``.

    Where some are switchable, those that are not serve every precision, and stay.
    """
    switching = _switching(model)
    active = [norm for norm, own in zip(_active(model), switching, strict=True) if own or not any(switching)]
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


Statistics = list[tuple[torch.Tensor, torch.Tensor]]
"""Mean and variance of each norm."""


@torch.no_grad()
def measured(model: nn.Module, runs: Runs) -> Statistics:
    """The statistics of the norms at work over ``runs``; they have their own again afterwards."""
    with _kept(_active(model)):
        measure_norms(model, runs)
        return _statistics(model)


@torch.no_grad()
def move_norms(model: nn.Module, runs: Runs, before: Statistics, precisions: Sequence[int]) -> None:
    """Moves the switchable norms of each of ``precisions`` by what ``runs`` give there beside ``before``.

    A mean moves by the difference, a variance by the quotient: statistics that were counted in a long training keep
    what a few runs do not see. Norms that serve every precision stay.
    """
    for bits in precisions:
        set_bits(model, bits)
        now = measured(model, runs)
        norms = zip(_active(model), before, now, _switching(model), strict=True)
        for norm, (mean, variance), (new_mean, new_variance), switching in norms:
            if switching and norm.running_mean is not None and norm.running_var is not None:
                norm.running_mean += new_mean - mean
                norm.running_var *= torch.where(variance > 0, new_variance / variance, 1.0)


def _active(model: nn.Module) -> list[_BatchNorm]:
    norms = [m.active if isinstance(m, SwitchableBatchNorm) else m for m in norms_of(model).values()]
    return [norm for norm in norms if norm.running_mean is not None]


def _switching(model: nn.Module) -> list[bool]:
    return [isinstance(m, SwitchableBatchNorm) for m in norms_of(model).values() if m.running_mean is not None]


def _statistics(model: nn.Module) -> Statistics:
    found = [(norm.running_mean, norm.running_var) for norm in _active(model)]
    return [(mean.clone(), variance.clone()) for mean, variance in found if mean is not None and variance is not None]


@contextmanager
def _kept(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    buffers = [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers(recurse=False)]
    try:
        yield
    finally:
        for buffer, value in buffers:
            buffer.copy_(value)
