"""Recurrent layers of PyTorch, which keep a list of their weights beside the weights themselves."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def read_as_they_are(kind: Any) -> None:
    """Lets a layer, some weight of which is parametrized, compute with its weights as they are at the time.

    ``torch.nn.RNNBase`` computes with ``_flat_weights``, a list that it made when it was built, of the parameters as
    they were then. ``kind``: the class that is changed, the module's own, which parametrization gave it.
    """
    kind._flat_weights = property(_weights_of, _keep_nothing)
    kind.flatten_parameters = _flatten_nothing


def _weights_of(module: nn.RNNBase) -> list[torch.Tensor]:
    return [getattr(module, name) for name in module._flat_weights_names]


def _keep_nothing(module: nn.RNNBase, weights: list[torch.Tensor]) -> None:
    """What torch would put there are the weights that it finds, at the time."""


def _flatten_nothing(module: nn.RNNBase) -> None:
    """Weights that are computed lie in no common memory."""
