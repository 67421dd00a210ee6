"""Data that Python holds in memory, in an experiment: known by what they hold, since no file can name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tqhw.datasets.base import TensorData
from tqhw.errors import TqhwError


def memory(
    digest: str,
    shape: Sequence[int] = (),
    name: str = "data",
    augment: str | None = None,
    held: TensorData | None = None,
) -> TensorData:
    """The data set that was given with the experiment: ``held``.

    ``digest``: SHA-256 of what it holds. ``shape``: of an image; ``name`` and ``augment``: its name and its function's.
    These are for whoever reads what was trained on it, and has no data.
    """
    if held is None:
        raise TqhwError(
            f"'{name}' were tensors in memory, which are gone (SHA-256 {digest[:12]}...)",
            place="data",
            lever="give them again in Python, load_experiment(..., data=...); an .npz file (data.name: arrays) stays",
        )
    return held


def section_of(data: Any) -> dict[str, Any]:
    """The ``data`` section of an experiment on tensors in memory. Raises TqhwError for another kind of data."""
    if not isinstance(data, TensorData):
        raise TqhwError(
            f"a {type(data).__name__} is neither a section nor tensors",
            place="data",
            lever="give a tqhw.datasets.TensorData, such as from_items(name, train, test) makes, or add a data set by "
            "name (docs/extending.md)",
        )
    options = {"name": data.name, "shape": [*data.input_shape], "digest": data.digest}
    if data.augment is not None:
        options["augment"] = _qualified(data.augment)
    return {"name": "memory", "options": options, "held": data}


def _qualified(function: Any) -> str:
    """Where a function is defined; of an object that can be called, its class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
