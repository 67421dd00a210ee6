"""Layers out of a PyTorch model, problems out of layers. What follows in the house starts from a Workload.

Only the extraction needs PyTorch, and imports it when it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqhw.workload.files import write
from tqhw.workload.inputs import check_shape, parse_shape, shape_text
from tqhw.workload.layers import Layer, Workload

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "Layer",
    "Workload",
    "check_mappable",
    "check_shape",
    "extract",
    "generate",
    "parse_shape",
    "shape_text",
    "write",
]


def extract(model: nn.Module, input: Sequence[int] | Tensor, *, name: str | None = None) -> Workload:
    """What ``model`` computes on an input of this shape; see :func:`tqhw.workload.extraction.extract`."""
    from tqhw.workload import extraction

    return extraction.extract(model, input, name=name)


def check_mappable(model: nn.Module, input: Sequence[int], *, name: str) -> None:
    """Refuses a model that cannot be mapped; see :func:`tqhw.workload.extraction.check_mappable`."""
    from tqhw.workload import extraction

    extraction.check_mappable(model, input, name=name)


def generate(model: str, folder: str | Path, input: str | None = None) -> Workload:
    """``tqhw workload``: the problem files and the summary of a model by name, in ``folder``.

    ``model`` is what :func:`tqhw.models.build` takes; ``input`` is written ``1,3,224,224``, and without it the
    shape that the packaged model was published with is taken. Raises :class:`TqhwError` for all that can go wrong
    on the way.
    """
    from tqhw import models

    shape = models.default_input(model) if input is None else parse_shape(input)
    workload = extract(models.build(model), shape, name=model)
    write(workload, folder)
    return workload
