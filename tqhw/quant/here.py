"""Which precision a part of a model has in this thread: a context of :func:`tqhw.quant.at_bits`, or the part's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol

import torch

_HERE: Final[ContextVar[Mapping[int, int]]] = ContextVar("bits of the parts of models, by id", default={})  # noqa: B039


class Switched(Protocol):
    """A weight's or an input's quantizer, or a norm, and the bits that it is switched to."""

    bits: int


def bits_now(part: Switched) -> int:
    """The bits at which ``part`` computes here and now."""
    if torch.compiler.is_compiling():  # what is compiled is compiled for the bits that the model has
        return part.bits
    return _HERE.get().get(id(part), part.bits)


@contextmanager
def bits_here(parts: Mapping[int, int]) -> Iterator[None]:
    """Inside, in this thread or task, the parts by id have these bits."""
    token = _HERE.set({**_HERE.get(), **parts})
    try:
        yield
    finally:
        _HERE.reset(token)
