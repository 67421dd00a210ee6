"""Calling a model on what it reads, one tensor or several, and finding the answer in what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch

Inputs = torch.Tensor | tuple[Any, ...] | Mapping[str, Any]
"""Of one call of a model: the one input, those by position, or those by name. The first axis counts samples."""
Given = TypeVar("Given", bound=Inputs)


def called(model: Callable[..., Any], inputs: Inputs) -> Any:
    """``model`` on ``inputs``; what it raises comes through."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def tensors_of(inputs: Inputs) -> tuple[Any, ...]:
    """The values of ``inputs``, in their order."""
    if isinstance(inputs, Mapping):
        return tuple(inputs.values())
    return inputs if isinstance(inputs, tuple) else (inputs,)


def each(inputs: Given, change: Callable[[torch.Tensor], torch.Tensor]) -> Given:
    """``inputs`` with ``change`` of every tensor among them, in their order."""

    def changed(value: Any) -> Any:
        return change(value) if isinstance(value, torch.Tensor) else value

    found: Any = changed(inputs)
    if isinstance(inputs, Mapping):
        found = {name: changed(value) for name, value in inputs.items()}
    elif isinstance(inputs, tuple):
        found = tuple(changed(value) for value in inputs)
    return found  # type: ignore[no-any-return]


def moved(inputs: Given, device: torch.device | str) -> Given:
    """``inputs`` on ``device``."""
    return each(inputs, lambda value: value.to(device))


def samples(inputs: Inputs) -> int:
    """How many samples ``inputs`` have."""
    return next(len(value) for value in tensors_of(inputs) if isinstance(value, torch.Tensor))


def in_parts(inputs: Inputs, count: int) -> list[Inputs]:
    """``inputs`` in ``count`` parts of as many samples each."""
    if isinstance(inputs, Mapping):
        split = {name: value.chunk(count) for name, value in inputs.items()}
        return [dict(zip(split, row, strict=True)) for row in zip(*split.values(), strict=True)]
    if isinstance(inputs, tuple):
        return list(zip(*(value.chunk(count) for value in inputs), strict=True))
    return list(inputs.chunk(count))


def first_tensor(output: Any) -> torch.Tensor:
    """The first tensor of what a model gives: of a tuple, a dictionary or an object with fields."""
    if isinstance(output, torch.Tensor):
        return output
    values = output.values() if isinstance(output, dict) else output
    return first_tensor(next(value for value in values if value is not None))


def shapes_of(inputs: Inputs) -> str:
    """The shapes of the tensors, as a message has them."""
    return ", ".join(str([*value.shape]) for value in tensors_of(inputs) if isinstance(value, torch.Tensor))
