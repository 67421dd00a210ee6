"""One mapping by Python alone: the kernels as they are written, where loading the compiler takes longer than that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

from tqhw.engine.batch import Batch, RemainderBatch
from tqhw.engine.model import Model

B = TypeVar("B", bound=tuple[Any, ...])

COMPILER = "tqhw.engine.compiler"
MAX_MAPPINGS = 32  # per process; then the compiler is worth loading
MAX_ELEMENTS = 256  # of a fan-out that kernels visit one by one
MAX_LOOPS = 6  # over time, of a mapping with remainders, whose walk visits each of them up to four times

_left: Iterator[int] = iter(range(MAX_MAPPINGS))


def pays(model: Model, batch: Batch) -> bool:
    """Whether to do without the compiler: a single mapping of few steps, where nothing was compiled yet."""
    if len(batch) > 1 or COMPILER in sys.modules:
        return False
    if isinstance(batch, RemainderBatch) and (batch.temporal > 1).sum() > MAX_LOOPS:
        return False
    few = bool(model.separable.all() or batch.spatial.prod(axis=-1).max() <= MAX_ELEMENTS)
    return few and next(_left, None) is not None


def expect(mappings: int) -> None:
    """Loads the compiler now for so many single mappings, if it will be loaded for the last of them anyway."""
    if mappings > MAX_MAPPINGS:
        import_module(COMPILER)


def interpreted(bundle: B) -> B:
    """A copy of a bundle for Python alone: objects for records, whose fields Python reads thirty times faster."""
    return type(bundle)(*map(_member, bundle))


def _member(value: Any) -> Any:
    if isinstance(value, tuple):
        return interpreted(value)
    if not isinstance(value, np.ndarray) or value.dtype.names is None:
        return value
    objects = np.empty(value.shape, object)
    for at, record in zip(np.ndindex(value.shape), value.ravel().tolist(), strict=True):
        objects[at] = SimpleNamespace(**dict(zip(value.dtype.names, record, strict=True)))
    return objects
