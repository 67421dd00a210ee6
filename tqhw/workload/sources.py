"""Where a tensor comes from: the model's input, or parameters and constants alone.

A matrix product does not say which factor is the weight. A tensor that no input went into is one, whatever was
computed with it before (quantized, transposed, sliced, merged from two factors); anything else is an activation.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.weak import WeakTensorKeyDictionary

INPUT = "<input>"  # no parameter can have this name: the source of everything that depends on the input
_FROM_INPUT = frozenset({INPUT})


class Sources:
    """The names of the parameters and buffers that each tensor of a running model was computed from."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._computed = WeakTensorKeyDictionary()
        # By memory rather than by object: `weight.data` and views of a weight are other objects.
        self._stored: dict[int, str] = {}
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            address = tensor.untyped_storage().data_ptr()
            if address:
                self._stored.setdefault(address, name)

    def of(self, tensor: torch.Tensor) -> frozenset[str]:
        """The names that ``tensor`` depends on; empty for a constant, {INPUT} where the input went into it."""
        found = self._noted(tensor)
        if tensor._base is not None:  # what was written into a tensor later on shows in its older views
            found |= self._noted(tensor._base)
        stored = self._stored.get(tensor.untyped_storage().data_ptr())
        if stored is not None:
            found |= {stored}
        return _FROM_INPUT if INPUT in found else found

    def _noted(self, tensor: torch.Tensor) -> frozenset[str]:
        noted: frozenset[str] = self._computed.get(tensor, frozenset())  # type: ignore[no-untyped-call]
        return noted

    def depends_on_input(self, tensor: torch.Tensor) -> bool:
        return INPUT in self.of(tensor)

    def mark_input(self, tensor: torch.Tensor) -> None:
        self._computed[tensor] = _FROM_INPUT

    def derive(self, arguments: object, results: object) -> None:
        """Notes that ``results`` (and what they are views of) were computed from ``arguments``."""
        sources: frozenset[str] = frozenset()
        for tensor in tensors_in(arguments):
            sources |= self.of(tensor)
        sources = _FROM_INPUT if INPUT in sources else sources
        given = {id(tensor) for tensor in tensors_in(arguments)}
        for tensor in tensors_in(results):
            self._computed[tensor] = sources
            if id(tensor) in given and tensor._base is not None:  # written in place, through a view
                self._computed[tensor._base] = sources | self.of(tensor._base)


def tensors_in(value: object) -> Iterator[torch.Tensor]:
    """The tensors in nested tuples, lists and dictionaries, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)
