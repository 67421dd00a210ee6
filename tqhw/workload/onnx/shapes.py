"""Types and sizes of every value in a graph whose inputs are settled, and the small constants that sizes depend on.

ONNX's own inference runs node by node, with the numbers of small constants in its hands: what a graph computes of
shapes (Shape, Gather, Concat, Reshape) is then known, also where the whole-graph inference gives up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from tqhw.errors import TqhwError, shown
from tqhw.workload.inputs import InputSpec
from tqhw.workload.onnx.contrib import contrib_shapes
from tqhw.workload.onnx.graph import OnnxGraph, OnnxNode
from tqhw.workload.onnx.inputs import type_name
from tqhw.workload.onnx.reading import LARGE, external_numbers
from tqhw.workload.onnx.rounds import MOST, RANDOM, RoundNames, Rounds, inner_products, read_by, rounds_of

_WHOLE = (
    *("K", "N", "bits", "block_size", "num_heads", "q_num_heads", "kv_num_heads", "hidden_size", "group"),
    *("layout", "transA", "transB", "accuracy_level", "channels_last"),
)
_WHOLES = ("strides", "dilations", "qkv_hidden_sizes")
"""Attributes that sizes and widths are read from: whole numbers from 0, and lists of whole numbers from 1."""
_FEW = ("NonZero", "Compress", "Unique")  # at most as many numbers as they are given


def follow(model: Any, inputs: Sequence[InputSpec], path: Path) -> OnnxGraph:
    """The graph of ``model``, run on ``inputs``, with all shapes that can be known.

    Raises TqhwError for a value that is read and nowhere made, and for constants that cannot be read.
    """
    return _Inference(model, path).run(inputs)


class _Inference:
    def __init__(self, model: Any, path: Path) -> None:
        self._model, self._path, self._graph = model, path, OnnxGraph()
        self._within: tuple[str, ...] = ()
        self._versions = {imported.domain or "": imported.version for imported in model.opset_import}
        self._told = {value.name: value.type for value in (*model.graph.value_info, *model.graph.output)}

    def run(self, inputs: Sequence[InputSpec]) -> OnnxGraph:
        graph, elements = self._graph, {type_name(number): number for number in TensorProto.DataType.values()}
        for spec in inputs:
            kind = elements[spec.dtype or "float32"]
            graph.types[str(spec.name)] = onnx.helper.make_tensor_type_proto(kind, spec.shape)
        # A single whole number among several inputs is a setting, such as a length; no activation.
        settings = [s for s in inputs if len(s.shape) <= 1 and math.prod(s.shape) == 1 and "int" in (s.dtype or "")]
        graph.varying = {str(s.name) for s in inputs if s not in settings or len(inputs) == 1}
        for tensor in self._model.graph.initializer:
            self._constant(tensor.name, tensor, initializer=True)
        for sparse in self._model.graph.sparse_initializer:
            name, dims = sparse.values.name, tuple(sparse.dims)
            graph.types[name] = onnx.helper.make_tensor_type_proto(sparse.values.data_type, dims)
            graph.initializers[name] = (sparse.values.data_type, dims)
        graph.outputs = tuple(value.name for value in self._model.graph.output)
        self._nodes(self._model.graph.node)
        return graph

    def _constant(self, name: str, tensor: Any, *, initializer: bool = False) -> None:
        graph, dims = self._graph, tuple(tensor.dims)
        if tensor.data_type not in TensorProto.DataType.values() or any(size < 0 for size in dims):
            raise TqhwError(
                f"no tensor has the type {tensor.data_type} and the shape {list(dims)}",
                place=f"{self._path}, tensor {name}",
                lever="the file was cut off or changed: export it again",
            )
        graph.types[name] = onnx.helper.make_tensor_type_proto(tensor.data_type, dims)
        if initializer:
            graph.initializers[name] = (tensor.data_type, dims)
        if math.prod(dims) > LARGE or tensor.data_type == TensorProto.STRING:
            return
        whole = tensor.data_type in (TensorProto.INT64, TensorProto.INT32)
        if tensor.data_location == TensorProto.EXTERNAL:
            if not whole:
                return
            content = external_numbers(tensor, self._path)
            tensor = onnx.helper.make_tensor(name, tensor.data_type, dims, content or b"", raw=True)
        try:
            graph.constants[name] = numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            raise TqhwError(
                f"its numbers do not fit its shape {list(dims)}: {error}",
                place=f"{self._path}, tensor {name}",
                lever="the file was cut off or changed: export it again",
            ) from None

    def _nodes(self, protos: Iterable[Any]) -> None:
        for proto in protos:
            known_names = (self._graph.types, self._graph.producers)
            missing = [name for name in proto.input if name and not any(name in known for known in known_names)]
            if missing:
                raise self._broken(proto, f"'{missing[0]}' is read and nowhere made before")
            known = self._graph.constants.get(proto.input[0]) if proto.op_type == "If" and proto.input else None
            if known is not None and known.size == 1:
                self._branch(proto, bool(known.reshape(-1)[0]))
            elif (rounds := self._rounds_of(proto)) is not None:
                self._rounds(proto, rounds)
            else:
                self._node(proto)

    def _rounds_of(self, proto: Any) -> Rounds | None:
        """A body with products, and how often it runs, where that is known."""
        if next(inner_products(proto), None) is None:
            return None
        return rounds_of(proto, self._graph, self._versions.get("", 1))

    def _broken(self, proto: Any, what: str) -> TqhwError:
        place = f"{self._path}, node {proto.name or proto.op_type}"
        return TqhwError(what, place=place, lever="the graph is broken: export it again")

    def _branch(self, proto: Any, taken: bool) -> None:
        """The nodes of the branch that is taken, and what it gives under the names of the whole."""
        wanted = "then_branch" if taken else "else_branch"
        body = next((attribute.g for attribute in proto.attribute if attribute.name == wanted), None)
        if body is None:
            raise self._broken(proto, f"it has no {wanted}")
        for tensor in body.initializer:
            self._constant(tensor.name, tensor, initializer=True)
        self._nodes(body.node)
        for inside, outside in zip(body.output, proto.output, strict=False):
            self._node(onnx.helper.make_node("Identity", [inside.name], [outside]))

    def _rounds(self, proto: Any, rounds: Rounds) -> None:
        """The nodes of the body, once for every size that it has: the last ones stand for all rounds that are left.

        What a round takes from the one before it is no constant, though the first one's may be.
        """
        graph, outside = self._graph, self._within
        self._within = (*outside, proto.name or proto.op_type, proto.op_type)
        names = RoundNames(rounds, graph, next(filter(None, proto.output)))
        for tensor in rounds.body.initializer:
            self._constant(names.shared[tensor.name], tensor, initializer=True)
        taken, left, number = [start for _, _, start in rounds.carried], rounds.times, 0
        varying, constant = rounds.varying(graph.varying), rounds.constant()
        while left:
            known, begun = names.of_round(number), len(graph.nodes)
            self._begin(proto, rounds, known, taken)
            inputs = [known[own] for own, _, _ in rounds.carried]
            graph.varying.update(known[name] for name in varying)
            changing = [known[own] for own, _, _ in rounds.carried if own not in constant]
            graph.changing.update(changing)
            for name in changing:
                graph.constants.pop(name, None)
            self._nodes(names.nodes(number))
            taken = [known.get(end, end) for _, end, _ in rounds.carried]
            same = all(self._alike(one, other) for one, other in zip(inputs, taken, strict=True))
            done = left if same else 1
            for index in range(begun, len(graph.nodes)):
                graph.repeats[index] = graph.repeats.get(index, 1) * done
            left, number = left - done, number + 1
            if len(graph.nodes) > MOST or max(graph.repeats.values(), default=1) > MOST:
                raise TqhwError(
                    f"its body, with what is in it, comes to over {MOST:,} nodes or rounds",
                    place=f"{self._path}, node {proto.name or proto.op_type}",
                    lever="export it for fewer rounds",
                )
        self._within = outside
        for inside, name in zip(taken, rounds.ends, strict=True):
            if name:
                self._node(onnx.helper.make_node("Identity", [inside], [name]))
        self._stack(proto, rounds, names.of_round(max(0, number - 1)))

    def _begin(self, proto: Any, rounds: Rounds, known: Mapping[str, str], taken: Sequence[str]) -> None:
        """What a round is given."""
        graph = self._graph
        for (own, _, _), source in zip(rounds.carried, taken, strict=True):
            self._node(onnx.helper.make_node("Identity", [source], [known[own]]))
        for own, kind, source in rounds.new:
            name = known[own]
            graph.types[name] = kind
            graph.producers[name] = OnnxNode(proto, len(graph.nodes), proto.op_type, (source,), (name,), {})
            graph.changing.add(name)

    def _alike(self, one: str, other: str) -> bool:
        graph = self._graph
        return (graph.element(one), graph.shape(one)) == (graph.element(other), graph.shape(other))

    def _stack(self, proto: Any, rounds: Rounds, known: Mapping[str, str]) -> None:
        """What all rounds give, joined along an axis."""
        graph = self._graph
        for inside, name, axis in filter(itemgetter(1), rounds.stacked):
            source = known.get(inside, inside)
            shape = graph.shape(source)
            graph.types[name] = onnx.TypeProto()
            if shape is not None:
                at = axis % (len(shape) + 1)
                sizes = (*shape[:at], rounds.times, *shape[at:])
                graph.types[name] = onnx.helper.make_tensor_type_proto(graph.element(source), sizes)
            graph.producers[name] = OnnxNode(proto, len(graph.nodes), proto.op_type, (source,), (name,), {})
            if source in graph.varying:
                graph.varying.add(name)

    def _node(self, proto: Any) -> None:
        graph = self._graph
        node = OnnxNode(
            proto,
            len(graph.nodes),
            proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}",
            tuple(proto.input),
            tuple(proto.output),
            self._attributes(proto),
            self._within,
        )
        graph.nodes.append(node)
        for name in node.outputs:
            graph.producers[name] = node
        if proto.op_type in RANDOM or any(name in graph.varying for name in read_by(proto)):
            graph.varying.update(node.outputs)
        if any(name in graph.changing for name in read_by(proto)):
            graph.changing.update(node.outputs)
        self._infer(node)
        self._evaluate(node)

    def _attributes(self, proto: Any) -> dict[str, Any]:
        """By name; refused where sizes and widths are no whole numbers."""
        found = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
        for name, value in found.items():
            whole = isinstance(value, int) and value >= 0
            if (name in _WHOLE and not whole) or (name in _WHOLES and not _is_whole(value)):
                raise self._broken(proto, f"its attribute {name} is {shown(value)}")
            if name == "bits" and not 1 <= value <= 64:
                raise self._broken(proto, f"its attribute bits is {value}")
        return found

    def _infer(self, node: OnnxNode) -> None:
        graph = self._graph
        found = dict(self._inferred(node))
        for name in filter(None, node.outputs):
            kind = found.get(name)
            if kind is not None:
                graph.types[name] = kind
            if graph.shape(name) is None and name in self._told:  # what the file says, where it is no word
                inferred, graph.types[name] = graph.types.get(name), self._told[name]
                if graph.shape(name) is None and inferred is not None:
                    graph.types[name] = inferred
            graph.types.setdefault(name, onnx.TypeProto())

    def _inferred(self, node: OnnxNode) -> Iterator[tuple[str, Any]]:
        graph, proto = self._graph, node.proto
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        if not _is_registered(proto.op_type, domain):
            for name, kind in zip(node.outputs, contrib_shapes(node, graph), strict=False):
                if kind is not None:
                    yield name, onnx.helper.make_tensor_type_proto(kind[0] or TensorProto.FLOAT, kind[1])
            return
        inner = any(a.HasField("g") for a in proto.attribute)
        given = graph.types if inner else {name: graph.types[name] for name in proto.input if name in graph.types}
        data = {
            name: numpy_helper.from_array(graph.constants[name], name)
            for name in proto.input
            if name in graph.constants
        }
        try:
            schema = onnx.defs.get_schema(proto.op_type, self._versions.get(domain, 1), domain)
            opsets = [onnx.helper.make_opsetid(d, v) for d, v in self._versions.items()]
            known = {name: kind for name, kind in given.items() if kind.WhichOneof("value")}
            if all(name in known for name in proto.input if name):
                yield from onnx.shape_inference.infer_node_outputs(schema, proto, known, data, None, opsets).items()
        except Exception:  # noqa: BLE001 - whatever the inference of a package raises, the sizes are just not known
            return

    def _evaluate(self, node: OnnxNode) -> None:
        """The numbers of small constants."""
        graph, proto = self._graph, node.proto
        if not node.outputs:
            return
        if node.operator in ("Shape", "Size") and node.inputs:
            shape = graph.shape(node.inputs[0])
            if shape is not None:
                numbers = [math.prod(shape)] if node.operator == "Size" else shape
                ends = [node.attributes.get(key) for key in ("start", "end")]
                part = slice(*(end if isinstance(end, int) else None for end in ends))
                value = np.asarray(numbers, np.int64)[part]
                graph.constants[node.outputs[0]] = value.reshape(()) if node.operator == "Size" else value
            return
        if proto.op_type == "Constant":
            self._written(node)
            return
        if (
            proto.op_type in RANDOM
            or any(a.HasField("g") for a in proto.attribute)
            or proto.domain not in ("", "ai.onnx")
        ):
            return
        if not all(name in graph.constants for name in proto.input if name):
            return
        sizes = [graph.shape(name) for name in node.outputs]
        if node.operator in _FEW or all(size is not None and math.prod(size) <= LARGE for size in sizes):
            self._computed(node)

    def _written(self, node: OnnxNode) -> None:
        name, given = node.outputs[0], dict(node.attributes)
        if "value" in given:
            self._constant(name, given["value"])
            return
        plain = next(
            (given[key] for key in ("value_int", "value_ints", "value_float", "value_floats") if key in given), None
        )
        if plain is not None:
            kind = np.int64 if "value_int" in given or "value_ints" in given else np.float32
            self._constant(name, numpy_helper.from_array(np.asarray(plain, kind), name))

    def _computed(self, node: OnnxNode) -> None:
        from onnx.reference import ReferenceEvaluator

        graph, proto = self._graph, node.proto
        value = onnx.helper.make_empty_tensor_value_info
        made = onnx.helper.make_graph(
            [proto], "one", [value(n) for n in dict.fromkeys(proto.input) if n], [value(n) for n in proto.output if n]
        )
        opsets = [onnx.helper.make_opsetid(d, v) for d, v in self._versions.items()]
        try:
            with np.errstate(all="ignore"):
                results = ReferenceEvaluator(onnx.helper.make_model(made, opset_imports=opsets)).run(
                    None, {name: graph.constants[name] for name in proto.input if name}
                )
        except Exception:  # noqa: BLE001 - whatever the reference raises, the numbers are just not known
            return
        for name, result in zip([n for n in proto.output if n], results, strict=False):
            if isinstance(result, np.ndarray | np.generic) and result.dtype.kind in "iufb":
                graph.constants[name] = np.asarray(result)
                graph.types[name] = onnx.helper.make_tensor_type_proto(
                    onnx.helper.np_dtype_to_tensor_dtype(np.asarray(result).dtype), np.shape(result)
                )


def _is_registered(operator: str, domain: str) -> bool:
    try:
        return bool(onnx.defs.has(operator, domain))
    except TypeError:  # a name that is no text
        return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, int) and one >= 1 for one in value)
