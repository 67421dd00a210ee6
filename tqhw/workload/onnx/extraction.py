"""From the graph of an ONNX file to a workload: which factor is the weight, names, and what is left out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import islice

from tqhw.errors import TqhwError, nearest
from tqhw.spec import Problem
from tqhw.workload import problems
from tqhw.workload.inputs import InputSpec
from tqhw.workload.layers import Cache, Choose, Precision, Workload
from tqhw.workload.onnx import operators
from tqhw.workload.onnx.bits import precision
from tqhw.workload.onnx.graph import OnnxGraph, OnnxNode
from tqhw.workload.onnx.rounds import MOST, inner_products
from tqhw.workload.operations import PLAIN, Convolution, MatrixProduct, Operation, Weight, merge

_LAYOUT = (
    *("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Cast"),
    *("DequantizeLinear", "com.microsoft.DequantizeLinear", "QuantizeLinear", "Clip"),
)
"""What leaves a weight the same weight."""
_JOINS = ("Concat", *_LAYOUT)
_FLOATS = (1, 10, 11, 16)
_CACHE = ("past", "cache")
_UNCOUNTED = dict.fromkeys(("Loop", "Scan"), f", and no number of rounds that the graph says, {MOST:,} at most")


@dataclass
class _Found:
    """Operations with their precisions, and the places of everything else."""

    operations: list[Operation] = field(default_factory=list)
    precisions: list[Precision] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    shapeless: list[str] = field(default_factory=list)
    folded: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def workload_of(
    graph: OnnxGraph, inputs: Sequence[InputSpec], place: str, skip: tuple[str, ...], choose: Choose | None = None
) -> Workload:
    """What the graph computes; see :func:`tqhw.workload.onnx.extract_file`."""
    walk = _OnnxRecorder(graph, skip)
    for node in graph.nodes:
        walk.node(node)
    found = walk.found
    _refuse(found, walk.unused, place)
    quantized = any(one.source for one in found.precisions)
    precisions = found.precisions if quantized else _chosen(found.operations, choose)
    sizes = _sizes(graph, found.operations)
    norms = _norms(graph)
    in_norms = {name for node in graph.nodes if node.operator == "BatchNormalization" for name in node.inputs[1:3]}
    in_layers = {name for one in found.operations if one.weight for name in one.weight.parameters}
    cache = _cache(graph, inputs)
    return Workload(
        model=place,
        input_shape=inputs[0].shape if inputs else (),
        layers=merge(found.operations, precisions, sizes),
        parameters=sum(sizes.values()),
        norm_channels=sum(norms.values()),
        norm_parameters=sum(sizes.get(name, 0) for name in in_norms),
        other_parameters=sum(size for name, size in sizes.items() if name not in in_norms | in_layers),
        folded=tuple(found.folded),
        folded_macs=tuple(found.folded.values()),
        skipped=tuple(found.skipped.items()),
        inputs=tuple(spec.text for spec in inputs),
        notes=tuple(_notes(found, quantized, cache)),
        cache=cache,
    )


def _chosen(operations: Sequence[Operation], choose: Choose | None) -> list[Precision]:
    """What the user says of a file that says nothing itself."""
    names = list(dict.fromkeys(one.problem.name for one in operations if one.weight is not None))
    chosen = {} if choose is None else choose(names)
    return [chosen.get(one.problem.name, PLAIN) if one.weight is not None else PLAIN for one in operations]


class _OnnxRecorder:
    def __init__(self, graph: OnnxGraph, skip: tuple[str, ...]) -> None:
        self.found = _Found()
        self.unused = dict.fromkeys(skip)
        self._graph, self._skip = graph, skip
        self._cached = _cached(graph)
        self._names: Counter[str] = Counter()

    def node(self, node: OnnxNode) -> None:
        """Writes down what the node multiplies."""
        rule, what = operators.RULES.get(node.operator), operators.refused(node.operator)
        inner = sorted(inner_products(node.proto))
        if inner:
            what = f"products in its body, {', '.join(inner)}{_UNCOUNTED.get(node.operator, '')}"
        if not any(name in self._graph.varying for name in node.outputs):
            self._constant(node, rule)
        elif what is None and rule is None and not operators.is_no_product(node.operator):
            self._unsupported(node, "not known")
        elif what is not None:
            self._unsupported(node, what)
        elif rule is not None:
            try:
                products = rule(node, self._graph)
            except ValueError as error:
                self._unsupported(node, str(error))
            except (KeyError, IndexError, TypeError):
                if not self._skipped(node, node.name, 0):
                    self.found.shapeless.append(f"{node.name} ({node.operator})")
            else:
                for product in products:
                    self._record(node, product)

    def _constant(self, node: OnnxNode, rule: operators.Rule | None) -> None:
        """Of constants alone: it can be computed once."""
        if rule is None:
            return
        try:
            macs = sum(_problem(node.name, product).computes for product in rule(node, self._graph))
        except (KeyError, IndexError, TypeError, ValueError, TqhwError):
            macs = 0
        self.found.folded[node.name] = macs

    def _unsupported(self, node: OnnxNode, what: str) -> None:
        if not self._skipped(node, node.name, 0):
            self.found.unsupported.append(f"{node.name} ({node.operator}: {what})")

    def _skipped(self, node: OnnxNode, name: str, macs: int) -> bool:
        met = [
            p
            for p in self._skip
            if any(fnmatchcase(text, p) for text in (name, node.name, node.operator, *node.within))
        ]
        for pattern in met:
            self.unused.pop(pattern, None)
        if met:
            self.found.skipped[name] = self.found.skipped.get(name, 0) + macs
        return bool(met)

    def _record(self, node: OnnxNode, product: MatrixProduct | Convolution) -> None:
        graph = self._graph
        left, right = (
            (product.left, product.right) if isinstance(product, MatrixProduct) else (product.inputs, product.weight)
        )
        weight = right if right not in graph.varying else left if left not in graph.varying else None
        if isinstance(product, Convolution) and weight == left and weight is not None:
            self._unsupported(node, "convolution of a constant by an activation")
            return
        if isinstance(product, MatrixProduct) and weight is not None and weight == left:
            product = self._turned(product)
        problem = _problem(node.name, product) if _has_rows(product) else None
        name = self._name(node, weight, product)
        if problem is None:
            self.found.idle.append(name)
            return
        times = graph.repeats.get(node.index, 1)
        if self._skipped(node, name, problem.computes * times):
            return
        problem, factor = _problem(name, product), self._weight(weight, product)
        self.found.precisions += [precision(graph, node, left, right, weight)] * times
        if factor is not None and weight in graph.changing:  # each round has its own
            factors = [replace(factor, key=(factor.key, number)) for number in range(times)]
            self.found.operations += [Operation(problem, one) for one in factors]
        else:
            self.found.operations += [Operation(problem, factor)] * times

    def _turned(self, product: MatrixProduct) -> MatrixProduct:
        """A weight on the left: (L R)^T = R^T L^T. One that all of the batch shares is one matrix."""
        shape = self._graph.shape(product.left) or ()
        own = math.prod(shape[:-2])
        batch, rows, columns = product.batch, product.columns, product.rows
        if own < batch and own * product.rows * product.inner == math.prod(shape):
            batch, rows = own, rows * (product.batch // max(1, own))
        elif own == 1 and len(shape) <= 2:
            columns = shape[0] if len(shape) == 2 else 1
            rows = product.rows * product.batch * product.columns // max(1, columns)
            batch = 1
        return MatrixProduct(product.right, product.left, batch, rows, product.inner, columns)

    def _weight(self, name: str | None, product: MatrixProduct | Convolution) -> Weight | None:
        if name is None:
            return None
        if isinstance(product, MatrixProduct):
            words = product.batch * product.inner * product.columns
        else:
            words = math.prod(product.window)
        source = _through(self._graph, name, _LAYOUT)
        roots = tuple(sorted(_roots(self._graph, source)))
        held = self._graph.initializers.get(roots[0]) if len(roots) == 1 else None
        stored = words if held is None or product.bits is not None else min(words, math.prod(held[1]))
        key = (source, words, product.part) if isinstance(product, MatrixProduct) else source
        return Weight(key, words, stored, roots)

    def _name(self, node: OnnxNode, weight: str | None, product: MatrixProduct | Convolution) -> str:
        """After its weight, as PyTorch's layers are, where it has a name of that kind; else after its node."""
        root = None if weight is None else _through(self._graph, weight, _JOINS)
        if root is not None and root in self._graph.initializers and root.endswith(".weight"):
            return root.removesuffix(".weight")
        if weight is not None:
            several = node.proto.op_type in ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM")
            end = f":{'input' if weight == node.inputs[1] else 'state'}" if several else ""
            return f"{node.name}{end}"
        kind = "kv_cache" if any(name in self._cached for name in node.inputs) else "matmul"
        name = f"{node.name}:{kind}"
        self._names[name] += 1
        return f"{name}_{self._names[name]}" if self._names[name] > 1 else name


def _problem(name: str, product: MatrixProduct | Convolution) -> Problem:
    if isinstance(product, MatrixProduct):
        return problems.product(
            name, batch=product.batch, rows=product.rows, inner=product.inner, columns=product.columns
        )
    return problems.of_convolution(name, product)


def _has_rows(product: MatrixProduct | Convolution) -> bool:
    if isinstance(product, MatrixProduct):
        return 0 not in (product.batch, product.rows, product.inner, product.columns)
    return 0 not in (*product.window, *product.picture)


def _through(graph: OnnxGraph, name: str, operators: Sequence[str]) -> str:
    """The value that ``name`` is a view of."""
    while (node := graph.producers.get(name)) is not None and node.operator in operators and node.inputs:
        name = node.inputs[0]
    return name


def _roots(graph: OnnxGraph, name: str) -> set[str]:
    """The tensors of the file that a constant is computed from: the largest, scales and indices beside it are not."""
    seen: set[str] = set()
    stack, found = [name], set()
    while stack:
        value = stack.pop()
        if value in seen or not value:
            continue
        seen.add(value)
        node = graph.producers.get(value)
        if value in graph.initializers or node is None or node.operator == "Constant":
            found.add(value)
        else:
            stack.extend(node.inputs[:1] if node.operator != "Concat" else node.inputs)
    return found


def _sizes(graph: OnnxGraph, operations: Sequence[Operation]) -> dict[str, int]:
    """Numbers of every parameter: of floating point in the file, but for a norm's statistics, and of every weight."""
    read = {name for node in graph.nodes for name in node.inputs}
    statistics = {name for node in graph.nodes if node.operator == "BatchNormalization" for name in node.inputs[3:5]}
    codes = {node.inputs[0] for node in graph.nodes if node.operator.endswith("DequantizeLinear")}
    found = {
        name: math.prod(shape)
        for name, (element, shape) in graph.initializers.items()
        if name in read and name not in statistics and (element in _FLOATS or name in codes)
    }
    for operation in operations:
        weight = operation.weight
        if weight is not None:
            for name in weight.parameters:
                whole = math.prod(graph.initializers[name][1]) if name in graph.initializers else weight.words
                packed = len(weight.parameters) == 1 and weight.words > whole and name not in found
                found[name] = max(found.get(name, 0), weight.words if packed else whole)
    return found


def _norms(graph: OnnxGraph) -> dict[str, int]:
    """Channels of every batch norm that no convolution has taken up."""
    return {
        node.inputs[1]: math.prod(graph.shape(node.inputs[1]) or ())
        for node in graph.nodes
        if node.operator == "BatchNormalization"
    }


def _cached(graph: OnnxGraph) -> set[str]:
    """Values that hold keys and values of earlier tokens: by the name of their input, moved and joined."""
    found = {name for name in graph.varying if name not in graph.producers and _is_cache(name)}
    for node in graph.nodes:
        if node.operator in (*_JOINS, "Expand", "Slice") and any(name in found for name in node.inputs):
            found.update(node.outputs)
    return found


def _is_cache(name: str) -> bool:
    return any(word in name.lower() for word in _CACHE)


def _cache(graph: OnnxGraph, inputs: Sequence[InputSpec]) -> Cache | None:
    """Words of the KV cache that one call reads, writes and leaves: inputs called past, and results as many axes."""
    past = [spec for spec in inputs if _is_cache(str(spec.name)) and len(spec.shape) >= 3]
    if not past:
        return None
    axes = {len(spec.shape) for spec in past}
    shapes = [graph.shape(name) for name in graph.outputs if "present" in name.lower() or _is_cache(name)]
    stored = sum(math.prod(shape) for shape in shapes if shape is not None and len(shape) in axes)
    before = sum(math.prod(spec.shape) for spec in past)
    stored = max(stored, before)
    return Cache(read=stored, written=stored - before, stored=stored)


def _refuse(found: _Found, unused: dict[str, None], place: str) -> None:
    if found.unsupported:
        message = f"{len(found.unsupported)} of its operators cannot be mapped: {'; '.join(found.unsupported)}"
        lever = (
            "supported are convolutions, Gemm, products, recurrent layers and attention; in a Loop or Scan where the "
            "graph says how often it runs, in an If where it says the condition; or leave them out, visibly, "
        )
        raise TqhwError(message, place=place, lever=f"{lever}with --skip PATTERN")
    if found.shapeless:
        raise TqhwError(
            f"the sizes of what {len(found.shapeless)} operators multiply are not known: {_some(found.shapeless)}",
            place=place,
            lever="export with fixed shapes, or give those of all inputs; or leave them out with --skip PATTERN",
        )
    if unused:
        known = dict.fromkeys([*(one.problem.name for one in found.operations), *found.skipped, *found.folded])
        raise TqhwError(
            f"skip: '{next(iter(unused))}' matches nothing", place=place, lever=nearest(next(iter(unused)), known)
        )
    if not any(one.weight for one in found.operations):
        raise TqhwError("no product with weights is left in its graph", place=place, lever="give a whole network")


def _notes(found: _Found, quantized: bool, cache: Cache | None) -> Iterator[str]:
    if quantized:
        told = Counter((one.weight_bits, one.input_bits) for one in found.precisions if one.weight_bits is not None)
        parts = [f"{count} with weights of {w} and inputs of {i} bits" for (w, i), count in told.items()]
        yield f"quantized already, and its layers keep their bits: {', '.join(parts)}"
    if found.folded:
        yield f"computed once, of constants, and no layer: {_some(list(found.folded))}"
    if found.idle:
        yield f"no layer, as it has no rows: {_some(found.idle)}"
    if found.skipped:
        told_macs = [f"{name} ({f'{macs:,}' if macs else 'not counted'})" for name, macs in found.skipped.items()]
        yield f"left out by --skip, with its multiply-accumulates: {_some(told_macs)}"
    if cache is not None:
        yield f"KV cache: {cache.read:,} words read, {cache.written:,} written, {cache.stored:,} stored afterwards"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(islice(names, 5))}{more}"
