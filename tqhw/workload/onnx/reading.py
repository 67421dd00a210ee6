"""An ONNX file as a model: parsed, with its functions written out, without the numbers of its large tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError

LARGE = 4096
"""Constants of more numbers are weights or tables; nothing computes shapes of them."""


def read(path: str | Path) -> Any:
    """The ``onnx.ModelProto`` in ``path``; of tensors with more than :data:`LARGE` numbers type and shape alone.

    Raises TqhwError without the package onnx, for a file that cannot be read or is none, and for one without a graph.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise TqhwError("ONNX is not installed", place=str(path), lever="pip install 'tqhw[onnx]'") from None
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise TqhwError(f"cannot be read: {error.strerror}", place=str(path), lever="check the path") from None
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        raise TqhwError(
            "is no ONNX file, or was cut off", place=str(path), lever="write or fetch it again, whole"
        ) from None
    if not model.graph.node or not model.opset_import:
        raise TqhwError(
            "has no graph, or none that says its version (opset_import)", place=str(path), lever="export it again"
        )
    if not all(isinstance(text, str) for text in _texts(model.graph)):
        raise TqhwError(
            "a name in its graph is no text", place=str(path), lever="the file was changed: export it again"
        )
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) > LARGE:
            _forget(tensor)
    return _without_functions(model, str(path)) if model.functions else model


def _texts(graph: Any) -> Iterator[Any]:
    """All names in a graph; protobuf gives bytes for those that are no text."""
    for named in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield named.name
    for tensor in graph.initializer:
        yield from (entry.value for entry in tensor.external_data)
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        for attribute in node.attribute:
            yield attribute.name
            if attribute.HasField("g"):
                yield from _texts(attribute.g)


def _forget(tensor: Any) -> None:
    """The numbers of a tensor; its type and shape stay."""
    for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
        tensor.ClearField(field)


def _without_functions(model: Any, place: str) -> Any:
    from onnx.inliner import inline_local_functions

    try:
        return inline_local_functions(model)
    except Exception as error:
        told = str(error).strip().partition("\n")[0]
        raise TqhwError(f"its functions cannot be written out: {told}", place=place, lever="export it again") from error


def external_numbers(tensor: Any, path: Path) -> bytes | None:
    """What a small tensor has in a file beside the model; None for a tensor whose numbers are not needed.

    Raises TqhwError for a file that is not below the model's own folder (a graph may come from anybody), or not there.
    """
    size = math.prod(tensor.dims)
    if size > LARGE:
        return None
    told = {entry.key: entry.value for entry in tensor.external_data}
    folder = path.resolve().parent
    source = (folder / told.get("location", "")).resolve()
    place = f"{path}, tensor {tensor.name}"
    if not source.is_relative_to(folder):
        message = f"its numbers are in '{told.get('location', '')}', outside of the model's folder, and are not read"
        raise TqhwError(message, place=place, lever="keep them beside the model")
    try:
        with source.open("rb") as stream:
            stream.seek(int(told.get("offset", 0)))
            content: bytes = stream.read(min(int(told.get("length", 16 * LARGE)), 16 * LARGE))
            return content
    except (OSError, ValueError) as error:
        message = f"its numbers cannot be read from '{told.get('location', '')}': {error}"
        raise TqhwError(message, place=place, lever="keep them beside the model") from None
