"""What the network of an ONNX file is run on: its own shapes, and what the user says of those that it leaves open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.workload.inputs import InputSpec

TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    14: "complex64",
    16: "bfloat16",
}
"""ONNX's numbers of element types, with the names that inputs go by."""


def settled(model: Any, given: Sequence[InputSpec], place: str) -> tuple[InputSpec, ...]:
    """Every input of the graph, with name, type and shape.

    Raises TqhwError for one that is not there or given twice, another type, another number of axes, a size that the
    file fixes to another, one letter for two sizes, and for open dimensions that nobody gives (all of them).
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    wanted = {value.name: value for value in model.graph.input if value.name not in constants}
    named = _by_name(given, list(wanted), place)
    found, open_ = [], []
    letters: dict[str, int] = {}
    for name, value in wanted.items():
        if value.type.WhichOneof("value") != "tensor_type":
            raise TqhwError(f"the input '{name}' is no tensor", place=place, lever="export the network with tensors")
        spec = named.get(name)
        if spec is None and not _is_fixed(value):
            open_.append(_text(value))
            continue
        found.append(_fitting(value, spec, letters, place))
    if open_:
        options = " ".join(f"--input {text}" for text in open_)
        message = f"the file leaves dimensions of its inputs open: {', '.join(open_)}"
        raise TqhwError(message, place=place, lever=f"give numbers for the words, {options}")
    return tuple(found)


def _by_name(given: Sequence[InputSpec], names: Sequence[str], place: str) -> dict[str, InputSpec]:
    found: dict[str, InputSpec] = {}
    free = iter([name for name in names if all(spec.name != name for spec in given)])
    for spec in given:
        name = spec.name if spec.name is not None else next(free, None)
        if name is None:
            raise TqhwError(
                f"{len(given)} inputs are given, and the graph has {len(names)}: {', '.join(names)}", place=place
            )
        if name not in names:
            raise unknown("input", name, names, place=place)
        if name in found:
            raise TqhwError(f"input '{name}' is given twice", place=place, lever="give every input once")
        found[name] = spec
    return found


def _dims(value: Any) -> list[Any]:
    return list(value.type.tensor_type.shape.dim)


def _is_fixed(value: Any) -> bool:
    has_shape = value.type.tensor_type.HasField("shape")
    return has_shape and all(dim.HasField("dim_value") and dim.dim_value > 0 for dim in _dims(value))


def _type(value: Any) -> str | None:
    return type_name(value.type.tensor_type.elem_type)


def type_name(element: int) -> str | None:
    """Of ONNX's number of an element type; those that PyTorch has no inputs of by ONNX's name, None for none."""
    from onnx import TensorProto

    if element in TYPES:
        return TYPES[element]
    names = {number: name.lower() for name, number in TensorProto.DataType.items() if number}
    return names.get(element)


def _text(value: Any) -> str:
    """As the command line takes it, with words in place of what is open."""
    if not value.type.tensor_type.HasField("shape"):
        return f"{value.name}:{_type(value)}[SHAPE]"
    return f"{value.name}:{_type(value)}[{','.join(_words(value))}]"


def _words(value: Any) -> Iterator[str]:
    for position, dim in enumerate(_dims(value)):
        fixed = dim.HasField("dim_value") and dim.dim_value > 0
        yield str(dim.dim_value) if fixed else (dim.dim_param or f"SIZE{position}")


def _fitting(value: Any, spec: InputSpec | None, letters: dict[str, int], place: str) -> InputSpec:
    kind = _type(value)
    if kind is None:
        lever = "the file was changed: export it again"
        raise TqhwError(f"the input '{value.name}' has no type that ONNX knows", place=place, lever=lever)
    if spec is None:
        return InputSpec(tuple(dim.dim_value for dim in _dims(value)), kind, value.name)
    told = f"the file has {_text(value)}; given: {replace(spec, name=value.name).text}"
    if spec.dtype not in (None, kind):
        raise TqhwError(f"the inputs do not fit: {told}", place=place, lever=f"give it as {kind}")
    if not value.type.tensor_type.HasField("shape"):
        return InputSpec(spec.shape, kind, value.name)
    if len(spec.shape) != len(_dims(value)):
        message = f"the inputs do not fit: {told}"
        raise TqhwError(message, place=place, lever=f"give {len(_dims(value))} sizes, batch first")
    for dim, size in zip(_dims(value), spec.shape, strict=True):
        fixed = dim.dim_value if dim.HasField("dim_value") else 0
        if fixed > 0 and fixed != size:
            lever = f"give {fixed}, or export the network with this dimension open"
            raise TqhwError(f"the inputs do not fit: {told}", place=place, lever=lever)
        if dim.dim_param and letters.setdefault(dim.dim_param, size) != size:
            message = f"the inputs do not fit: '{dim.dim_param}' is {letters[dim.dim_param]} and {size}"
            raise TqhwError(message, place=place, lever="give inputs that agree")
    return InputSpec(spec.shape, kind, value.name)
