"""Loop and Scan whose number of rounds the graph says: their bodies, to be followed as nodes of the graph itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx
from onnx import TensorProto, numpy_helper

from tqhw.workload.onnx import operators
from tqhw.workload.onnx.graph import OnnxGraph

MOST = 100_000
"""Rounds of a body that are counted, and nodes that bodies are written out to. More are no network's."""


@dataclass(frozen=True)
class Rounds:
    """A body that runs ``times`` times. Names outside are empty where nothing reads the value.

    ``carried``: what a round takes from the one before it, by the names of the body's input, of its output and of the
    value outside that the first round takes. ``new``: inputs that every round has of its own, with their types, and
    the value outside that they are a part of (none: counted). ``ends``: values outside that the last round's results
    are. ``stacked``: results of all rounds, joined along an axis: name in the body, outside, axis.
    """

    body: Any
    times: int
    carried: tuple[tuple[str, str, str], ...]
    new: tuple[tuple[str, Any, str], ...]
    ends: tuple[str, ...]
    stacked: tuple[tuple[str, str, int], ...]

    def varying(self, outside: set[str]) -> set[str]:
        """Inputs of the body that depend on the network's inputs, in some round."""
        found = {name for name, _, source in self.new if source in outside}
        while True:
            inside = reached(self.body.node, outside | found)
            more = {own for own, end, start in self.carried if start in outside or end in inside}
            if more <= found:
                return found
            found |= more

    def constant(self) -> set[str]:
        """Carried inputs that no round changes."""
        views = _views(self.body, "Identity")
        found = set()
        for own, end, _ in self.carried:
            found |= {own} if _followed(end, views) == own else set()
        return found


@dataclass
class RoundNames:
    """Names of a body's values in the graph around it: what is the same in every round has one."""

    rounds: Rounds
    graph: OnnxGraph
    prefix: str
    own: set[str] = field(init=False)
    shared: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        body = self.rounds.body
        self.own = reached(body.node, {*self.graph.varying, *(value.name for value in body.input)})
        same = [tensor.name for tensor in body.initializer]
        same += [name for node in body.node for name in node.output if name and name not in self.own]
        taken = self.graph.types
        self.shared = {name: f"{self.prefix}/{name}" if name in taken else name for name in same}

    def of_round(self, number: int) -> dict[str, str]:
        """By their names in the body."""
        inside = {name for node in self.rounds.body.node if {*node.output} & self.own for name in _inside(node)}
        own = {*(value.name for value in self.rounds.body.input), *(self.own & _made(self.rounds.body)), *inside}
        return {**self.shared, **{name: f"{self.prefix}.{number}/{name}" for name in own if name}}

    def nodes(self, number: int) -> Iterator[Any]:
        """Of a round, renamed; those that are the same in all rounds come with the first."""
        names = self.of_round(number)
        for node in self.rounds.body.node:
            if number == 0 or {*node.output} & self.own:
                yield _renamed(node, names)


def rounds_of(proto: Any, graph: OnnxGraph, version: int) -> Rounds | None:
    """The body of a Loop or Scan and how often it runs; None where the graph does not say that."""
    if proto.domain not in ("", "ai.onnx") or proto.op_type not in ("Loop", "Scan"):
        return None
    body = next((attribute.g for attribute in proto.attribute if attribute.name == "body"), None)
    if body is None or not any(proto.output) or not all(value.name for value in body.input):
        return None
    found = _loop(proto, body, graph) if proto.op_type == "Loop" else _scan(proto, body, graph, version)
    return found if found is not None and found.times <= MOST else None


def _loop(proto: Any, body: Any, graph: OnnxGraph) -> Rounds | None:
    given = [*proto.input, "", ""]
    most, start, first = _number(graph, given[0]), _number(graph, given[1]), proto.input[2:]
    again, count = _condition(body, graph), len(proto.input) - 2
    if most is None or (given[1] and start is None) or again is None or not 2 <= len(body.input) == count + 2:
        return None
    times = 0 if start == 0 else max(0, most) if again else min(1, max(0, most))
    inner, results = [value.name for value in body.input], [value.name for value in body.output]
    outputs = _padded(proto.output, len(results) - 1)
    if not count <= len(results) - 1 == len(outputs):
        return None
    kinds = (TensorProto.INT64, TensorProto.BOOL)
    new = tuple(
        (name, onnx.helper.make_tensor_type_proto(kind, []), "") for name, kind in zip(inner, kinds, strict=False)
    )
    carried = tuple(zip(inner[2:], results[1 : count + 1], first, strict=True))
    stacked = tuple((one, out, 0) for one, out in zip(results[count + 1 :], outputs[count:], strict=True))
    return Rounds(body, times, carried, new, outputs[:count], stacked)


def _scan(proto: Any, body: Any, graph: OnnxGraph, version: int) -> Rounds | None:
    told = {one.name: onnx.helper.get_attribute_value(one) for one in proto.attribute if one.name != "body"}
    scanned, axes, ways = (told.get(key) for key in ("num_scan_inputs", "scan_input_axes", "scan_output_axes"))
    if not isinstance(scanned, int) or not all(isinstance(axis, int) for axis in (*(axes or ()), *(ways or ()))):
        return None
    count = len(proto.input) - scanned
    results = [value.name for value in body.output]
    # Before version 9 a Scan has a batch of its own.
    if version < 9 or not 1 <= scanned <= len(proto.input) or len(body.input) != len(proto.input):
        return None
    outputs = _padded(proto.output, len(results))
    if not count <= len(results) == len(outputs):
        return None
    axes, ways = axes or [0] * scanned, ways or [0] * (len(results) - count)
    new, lengths = [], set()
    for value, source, axis in zip(body.input[count:], proto.input[count:], axes, strict=False):
        shape = graph.shape(source)
        if shape is None or not -len(shape) <= axis < len(shape):
            return None
        rest = [size for index, size in enumerate(shape) if index != axis % len(shape)]
        new.append((value.name, onnx.helper.make_tensor_type_proto(graph.element(source), rest), source))
        lengths.add(shape[axis])
    if len(lengths) != 1 or len(new) != scanned:
        return None
    inner = [value.name for value in body.input]
    carried = tuple(zip(inner[:count], results[:count], proto.input[:count], strict=True))
    stacked = tuple(zip(results[count:], outputs[count:], ways, strict=False))
    return Rounds(body, lengths.pop(), carried, tuple(new), outputs[:count], stacked)


def _padded(outputs: Iterable[str], count: int) -> tuple[str, ...]:
    """Results that nothing reads have no name, or are left out at the end."""
    given = tuple(outputs)
    return (*given, *[""] * (count - len(given)))


def _number(graph: OnnxGraph, name: str) -> int | None:
    known = graph.constants.get(name)
    return int(known.reshape(-1)[0]) if known is not None and known.size == 1 and known.dtype.kind in "iub" else None


def _views(body: Any, *operators: str) -> dict[str, str]:
    return {node.output[0]: node.input[0] for node in body.node if node.op_type in operators and node.input}


def _followed(name: str, views: Mapping[str, str]) -> str:
    for _ in range(len(views)):  # a broken graph may go round in a circle
        name = views.get(name, name)
    return name


def _condition(body: Any, graph: OnnxGraph) -> bool | None:
    """What a Loop's body says of going on: None where that depends on what it computes."""
    made = {name: node for node in body.node for name in node.output}
    held = {tensor.name: tensor for tensor in body.initializer}
    name = _followed(body.output[0].name if body.output else "", _views(body, "Identity", "Cast"))
    if len(body.input) > 1 and name == body.input[1].name:
        return True
    node = made.get(name)
    value = held.get(name)
    if node is not None and node.op_type == "Constant":
        value = next((attribute.t for attribute in node.attribute if attribute.name == "value"), None)
    if value is not None and value.data_type == TensorProto.BOOL and math.prod(value.dims) == 1:
        return bool(numpy_helper.to_array(value).reshape(-1)[0])
    known = None if node is not None else _number(graph, name)
    return None if known is None else bool(known)


def inner_products(proto: Any) -> Iterator[str]:
    """Operators in graphs inside of a node that multiply, or that are not known."""
    for inner in _inner_nodes(proto):
        name = inner.op_type if inner.domain in ("", "ai.onnx") else f"{inner.domain}.{inner.op_type}"
        if not operators.is_no_product(name):
            yield name


def read_by(proto: Any) -> Iterator[str]:
    """What a node reads, by graphs inside of it too."""
    for node in (proto, *_inner_nodes(proto)):
        yield from filter(None, node.input)
    for attribute in proto.attribute:
        if attribute.HasField("g"):
            yield from (value.name for value in attribute.g.output)


def reached(nodes: Iterable[Any], sources: set[str]) -> set[str]:
    """``sources`` and all that depends on them, of nodes in order."""
    found = set(sources)
    for node in nodes:
        if node.op_type in RANDOM or any(name in found for name in read_by(node)):
            found.update(node.output)
    return found


RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")


def _inner_nodes(proto: Any) -> Iterator[Any]:
    for attribute in proto.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                yield inner
                yield from _inner_nodes(inner)


def _made(body: Any) -> set[str]:
    return {name for node in body.node for name in node.output}


def _inside(proto: Any) -> Iterator[str]:
    """Names that graphs inside of a node give to their values."""
    for one in (proto, *_inner_nodes(proto)):
        for attribute in one.attribute:
            if attribute.HasField("g"):
                yield from (value.name for value in attribute.g.input)
                yield from (name for node in attribute.g.node for name in node.output)


def _renamed(proto: Any, names: Mapping[str, str]) -> Any:
    copy = onnx.NodeProto()
    copy.CopyFrom(proto)
    for one in (copy, *_inner_nodes(copy)):
        _rename(one.input, names)
        _rename(one.output, names)
        for attribute in one.attribute:
            if attribute.HasField("g"):
                for value in (*attribute.g.input, *attribute.g.output):
                    value.name = names.get(value.name, value.name)
    return copy


def _rename(texts: Any, names: Mapping[str, str]) -> None:
    for index, text in enumerate(texts):
        texts[index] = names.get(text, text)
