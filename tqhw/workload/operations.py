"""What a run of a model, or the graph of a file, multiplies: operations, their weights, and layers of equal ones."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tqhw.spec import Problem
from tqhw.workload.layers import Layer, Precision

PLAIN = Precision()


@dataclass(frozen=True)
class MatrixProduct:
    """``batch`` products ``[rows, inner] x [inner, columns]``, ``left`` by ``right``.

    ``bits``: of a right factor that is packed, where the operator says them. ``experts``: the right factor holds
    so many matrices, between which the rows are routed. ``part``: which matrix of a stack the right factor is, or which
    block of a triangular one the left. ``solved``: the right factor is the solution of equations, and so made of both.
    """

    left: Any
    right: Any
    batch: int
    rows: int
    inner: int
    columns: int
    bits: int | None = None
    experts: int | None = None
    part: int = 0
    solved: bool = False


@dataclass(frozen=True)
class Convolution:
    """``window``: the weight's shape; ``picture``: the output's, or the input's where ``transposed``."""

    inputs: Any
    weight: Any
    window: tuple[int, ...]
    picture: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    transposed: bool = False
    bits: int | None = None


@dataclass(frozen=True)
class Weight:
    """A constant factor. Equal ``key``: the same weights. ``parameters``: the names of what it is made of.

    ``words``: what one execution reads; ``stored``: fewer where a parameter is repeated to make the factor, more where
    an execution picks among stacked ones. ``bits``: of a packed weight.
    """

    key: Hashable
    words: int
    stored: int
    parameters: tuple[str, ...]
    bits: int | None = None


@dataclass(frozen=True)
class Operation:
    """One executed convolution or matrix product, and its weight unless both factors are activations.

    ``precision``: what another library says of its bits.
    """

    problem: Problem
    weight: Weight | None
    precision: Precision | None = None


def merge(
    operations: Sequence[Operation], precisions: Sequence[Precision], sizes: Mapping[str, int]
) -> tuple[Layer, ...]:
    """Operations of one size and precision as one layer. ``sizes``: numbers of every parameter, by name."""
    stored = _storage(operations, precisions, sizes)
    layers: dict[Hashable, Layer] = {}
    names: dict[Hashable, list[str]] = {}
    counted: dict[Hashable, int] = {}
    for operation, precision, new in zip(operations, precisions, stored, strict=True):
        problem, weight = operation.problem, operation.weight
        key = (
            problem.shape.name,
            tuple(problem.bounds.items()),
            tuple(problem.coefficients.items()),
            weight is not None,
            precision,
        )
        names.setdefault(key, []).append(problem.name)
        counted[key] = counted.get(key, 0) + new
        if key not in layers:
            count = weight.words if weight is not None else 0
            layers[key] = Layer(
                (problem.name,),
                problem,
                count,
                new,
                precision.weight_bits,
                precision.fixed,
                precision.input_bits,
                precision.source,
                precision.inputs_follow,
            )
    return tuple(replace(layer, names=tuple(names[key]), stored_weights=counted[key]) for key, layer in layers.items())


def _storage(operations: Sequence[Operation], precisions: Sequence[Precision], sizes: Mapping[str, int]) -> list[int]:
    """The weights that each operation is the first to store; those that follow the precision come before the others."""
    found = [0] * len(operations)
    stored: set[Hashable] = set()
    left = dict(sizes)  # numbers of every parameter that no layer stores yet
    for index in sorted(range(len(operations)), key=lambda index: precisions[index].fixed):
        weight = operations[index].weight
        if weight is not None and weight.key not in stored:
            stored.add(weight.key)
            found[index] = _stored(weight, left)
    return found


def _stored(weight: Weight, left: dict[str, int]) -> int:
    """The weights that are stored for it: of one parameter never more than it has."""
    if len(weight.parameters) != 1 or weight.parameters[0] not in left:
        return weight.stored
    (name,) = weight.parameters
    new = min(weight.stored, left[name])
    left[name] -= new
    return new
