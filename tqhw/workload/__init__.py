"""Layers out of a PyTorch model, problems out of layers. What follows in the house starts from a Workload.

Only the extraction needs PyTorch, and imports it when it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqhw.workload.experts import parse_routing
from tqhw.workload.files import file_names, write
from tqhw.workload.inputs import InputSpec, check_shape, parse_input, parse_shape, shape_text
from tqhw.workload.layers import Cache, Layer, Precision, Workload
from tqhw.workload.onnx import extract_file, is_onnx

if TYPE_CHECKING:
    from torch import nn

    from tqhw.workload.examples import Input
    from tqhw.workload.generation import Phase

__all__ = [
    "Cache",
    "InputSpec",
    "Layer",
    "Precision",
    "Workload",
    "check_mappable",
    "check_shape",
    "execution_order",
    "extract",
    "extract_file",
    "file_names",
    "generate",
    "is_onnx",
    "parse_input",
    "parse_routing",
    "parse_shape",
    "shape_text",
    "write",
]


def extract(
    model: nn.Module,
    input: Input,
    *,
    name: str | None = None,
    skip: Sequence[str] = (),
    routing: Sequence[int] | None = None,
    phase: Phase | None = None,
) -> Workload:
    """What ``model`` computes on this input; see :func:`tqhw.workload.extraction.extract`."""
    from tqhw.workload import extraction

    return extraction.extract(model, input, name=name, skip=skip, routing=routing, phase=phase)


def check_mappable(model: nn.Module, input: Input, *, name: str, skip: Sequence[str] = ()) -> None:
    """Refuses a model that cannot be mapped; see :func:`tqhw.workload.extraction.check_mappable`."""
    from tqhw.workload import extraction

    extraction.check_mappable(model, input, name=name, skip=skip)


def execution_order(model: nn.Module, input: Input, *, name: str) -> tuple[str, ...]:
    """The layers of a model as they run; see :func:`tqhw.workload.extraction.execution_order`."""
    from tqhw.workload import extraction

    return extraction.execution_order(model, input, name=name)


def generate(
    model: str,
    folder: str | Path,
    input: str | Sequence[str] | None = None,
    *,
    skip: Sequence[str] = (),
    routing: Sequence[int] | None = None,
    phase: Phase | None = None,
) -> Workload:
    """``tqhw workload``: the problem files and the summary of a model by name, in ``folder``.

    ``model`` is what :func:`tqhw.models.build` takes, or an ONNX file; ``input`` is written ``1,3,224,224`` or
    ``ids:int64[1,128]``, one text per input, and without it the file's shapes, or the shape that the packaged model was
    published with, are taken. ``skip``, ``routing`` and ``phase`` are those of :func:`extract`. Raises
    :class:`TqhwError` for all that can go wrong.
    """
    from tqhw import models

    texts = [input] if isinstance(input, str) else list(input or ())
    given = [parse_input(text, of_graph=is_onnx(model)) for text in texts]
    if is_onnx(model):
        workload = extract_file(model, given, skip=skip, routing=routing, phase=phase)
    else:
        given = given or [InputSpec(models.default_input(model))]
        workload = extract(models.build(model), given, name=model, skip=skip, routing=routing, phase=phase)
    write(workload, folder)
    return workload
