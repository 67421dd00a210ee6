"""Layers out of an ONNX file: its graph is read, never run, and PyTorch is not needed.

``reading`` opens the file, ``inputs`` settles what it is run on, ``shapes`` follows types and sizes through the graph,
``operators`` and ``attention`` say what each operator multiplies, ``bits`` how wide its factors are, ``extraction``
makes a workload of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqhw.errors import TqhwError
from tqhw.workload.inputs import InputSpec
from tqhw.workload.layers import Choose, Workload

if TYPE_CHECKING:
    from tqhw.workload.onnx.graph import OnnxGraph

__all__ = ["extract_file", "is_onnx"]


def is_onnx(model: str) -> bool:
    """Whether ``model`` names an ONNX file, and no model of PyTorch."""
    return model.lower().endswith(".onnx")


def extract_file(
    path: str | Path,
    inputs: Sequence[InputSpec] = (),
    *,
    skip: Sequence[str] = (),
    routing: Sequence[int] | None = None,
    phase: str | None = None,
    choose: Choose | None = None,
) -> Workload:
    """What the network of an ONNX file computes.

    ``inputs``: for those whose dimensions the file leaves open; a single one needs no name. ``skip``: patterns of
    nodes, weights or operators (``MatMul``, ``com.microsoft.Attention``) to leave out. ``routing`` and
    ``phase`` are refused: experts are not stacked here, and a graph is one phase. ``choose``: of a file that is not
    quantized, the precisions of its layers, whose names it is given as they run.

    Raises TqhwError for a file that cannot be read, without the package onnx, for inputs that do not fit, operators
    that are not known or that no problem can be made of, operators whose shapes are not known (all of them, with their
    places), a pattern that matches nothing, and a network without a weight.
    """
    from tqhw.workload.onnx.extraction import workload_of
    from tqhw.workload.onnx.inputs import settled
    from tqhw.workload.onnx.reading import read
    from tqhw.workload.onnx.shapes import follow

    if routing is not None or phase is not None:
        what = "routing" if routing is not None else "phase"
        lever = "leave it out; the graph of a phase, with its inputs, is a file of its own"
        raise TqhwError(f"an ONNX file takes no {what}", place=str(path), lever=lever)
    model = read(path)
    given = settled(model, inputs, str(path))
    graph: OnnxGraph = follow(model, given, Path(path))
    return workload_of(graph, given, str(path), tuple(skip), choose)
