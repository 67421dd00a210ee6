"""The embedded engine: Timeloop's dense analytical model, count for count, on batches of mappings."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tqhw.engine.batch import Batch, decode, encode
from tqhw.engine.model import Model, build_model

if TYPE_CHECKING:
    from tqhw.engine.conformance import Conformance, check_folder
    from tqhw.engine.evaluation import evaluate, run_batch

VERSION = "1"  # part of every cache key: raise it when a number that the engine computes may change

__all__ = [
    "VERSION",
    "Batch",
    "Conformance",
    "Model",
    "build_model",
    "check_folder",
    "decode",
    "encode",
    "evaluate",
    "run_batch",
]

_KERNELS = {
    "Conformance": "conformance",
    "check_folder": "conformance",
    "evaluate": "evaluation",
    "run_batch": "evaluation",
}


def __getattr__(name: str) -> Any:
    """What needs numba is loaded when it is asked for: a run whose mappings are all known does without."""
    if name not in _KERNELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_KERNELS[name]}"), name)
