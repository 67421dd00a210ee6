"""Quantized layers in a pickle, as ``torch.save`` of a whole model and processes that are spawned make one.

A parametrized layer has a class that torch makes for it, which no pickle can name, so that torch refuses it. A layer is
kept by the class that it had before, and gets one made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

Own = Callable[[Any], None]
"""What else is changed in a class that is a layer's own; a function of a module, so that a pickle can name it."""


def let_pickle(module: nn.Module) -> None:
    """Lets a layer be pickled whose class torch made for it."""
    kind: Any = type(module)
    kind.__reduce_ex__ = _as_plain
    kind.changed_by = ()


def can_pickle(module: nn.Module) -> bool:
    """Whether :func:`let_pickle` was called for its class."""
    return hasattr(type(module), "changed_by")


def change(module: nn.Module, own: Own) -> None:
    """Changes the class of a layer, which is its own, and that of every copy."""
    kind: Any = type(module)
    own(kind)
    kind.changed_by = (*kind.changed_by, own)


def _as_plain(module: Any, _protocol: Any) -> tuple[Any, ...]:
    plain: Any = type(module).__bases__[0]
    return _made_anew, (plain, tuple(module.parametrizations), type(module).changed_by), plain.__getstate__(module)


def _made_anew(plain: type[nn.Module], tensors: tuple[str, ...], changes: tuple[Own, ...]) -> nn.Module:
    """A layer of a class of its own, without anything in it."""
    module = plain.__new__(plain)
    nn.Module.__init__(module)
    for tensor in tensors:
        module.register_parameter(tensor, nn.Parameter(torch.empty(0)))
        parametrize.register_parametrization(module, tensor, nn.Identity(), unsafe=True)
    let_pickle(module)
    for own in changes:
        change(module, own)
    return module
