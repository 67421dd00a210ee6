"""Batch norms folded to two numbers per channel, y = scale x + shift, which is all that inference needs of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import nn

from tqhw.quant.identity import aliases
from tqhw.quant.norm import norms_of

_PARTS: Final = ("weight", "bias", "running_mean", "running_var")


def foldable(model: nn.Module) -> dict[str, float]:
    """The batch norms of ``model`` that have scale, shift and statistics of their own, each with its epsilon."""
    state = {name: tensor for name, tensor in model.state_dict().items() if isinstance(tensor, torch.Tensor)}
    ties = aliases(state)
    tied = {*ties, *ties.values()}
    return {
        name: float(norm.eps)
        for name, norm in norms_of(model).items()
        if all(isinstance(getattr(norm, part), torch.Tensor) for part in _PARTS)
        and not any(other.startswith(f"{name}." if name else "") for other in tied)
    }


def fold(state: Mapping[str, torch.Tensor], norms: Mapping[str, float]) -> dict[str, torch.Tensor]:
    """``state``, by ``state/NAME``, with (2, channels) of ``norm/NORM`` in the place of a norm's own tensors.

    Computed in float64, kept in the type of the norm's statistics.
    """
    found = dict(state)
    for norm, eps in norms.items():
        start = _start(norm)
        parts = [state[start + part] for part in _PARTS if start + part in state]
        if len(parts) == len(_PARTS):
            weight, bias, mean, variance = (part.double() for part in parts)
            scale = weight / (variance + eps).sqrt()
            found[f"norm/{norm}"] = torch.stack([scale, bias - mean * scale]).to(parts[2].dtype)
            for part in (*_PARTS, "num_batches_tracked"):
                found.pop(start + part, None)
    return found


def unfold(tensors: Mapping[str, torch.Tensor], norms: Mapping[str, float]) -> dict[str, torch.Tensor]:
    """The state of norms that compute what :func:`fold` left of them: mean 0 and, with epsilon, variance 1."""
    found = {name: tensor for name, tensor in tensors.items() if not name.startswith("norm/")}
    for norm, eps in norms.items():
        if f"norm/{norm}" in tensors:
            scale, shift = tensors[f"norm/{norm}"]
            mean, variance = torch.zeros_like(scale), torch.full_like(scale, 1 - eps)
            found |= {
                _start(norm) + part: value for part, value in zip(_PARTS, (scale, shift, mean, variance), strict=True)
            }
            found[_start(norm) + "num_batches_tracked"] = torch.tensor(0)
    return found


def _start(norm: str) -> str:
    return f"state/{norm}." if norm else "state/"
