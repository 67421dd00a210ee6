"""Which of a model's weights are read first and last: the order in which they run, not the one they stand in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from tqhw.quant.layers import plain
from tqhw.quant.modes import evaluating
from tqhw.quant.parts import parts_of

_LOOKUPS = (nn.functional.embedding, nn.functional.embedding_bag)


def execution_order(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """The names of the quantizable layers in the order in which ``model(*args, **kwargs)`` first reads their weights.

    Layers that do not run are left out. The model runs once, in evaluation mode and without gradients, and is left as
    it was; what it raises comes through. A look-up in an embedding that is tied to a layer does not count.
    """
    model = plain(model)
    names: dict[int, list[str]] = {}
    for part in parts_of(model):
        names.setdefault(id(part.module._parameters.get(part.tensor)), []).append(part.name)
    watch = _OrderWatch(names)
    with ExitStack() as stack:
        stack.enter_context(evaluating(model))
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.no_grad())
        if any(parameter.is_meta for parameter in model.parameters()):  # what the model makes goes with it
            stack.enter_context(torch.device("meta"))
        with watch:
            model(*args, **(kwargs or {}))
    return tuple(watch.order)


class _OrderWatch(TorchFunctionMode):
    """Sees every function of PyTorch that gets one of the weights."""

    def __init__(self, names: Mapping[int, list[str]]) -> None:
        super().__init__()
        self._names = names
        self.order: dict[str, None] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _LOOKUPS and getattr(func, "__name__", "") != "__get__":  # the latter asks for a type or device
            for value in (*args, *kwargs.values()):
                for one in value if isinstance(value, list | tuple) else (value,):  # of recurrent layers, a list
                    self.order |= dict.fromkeys(self._names.get(id(one), ()))
        return func(*args, **kwargs)
