"""``Einsum`` of two factors as a product of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tqhw.workload.operations import MatrixProduct

if TYPE_CHECKING:
    from tqhw.workload.onnx.graph import OnnxNode, Shape


def einsum_product(node: OnnxNode, shapes: Sequence[Shape]) -> list[MatrixProduct]:
    """Letters of both factors and the result are the batch, of both and not the result the inner dimension; letters of
    one factor alone that the result lacks are summed before. One factor multiplies nothing.

    Raises ValueError for more than two factors, a letter twice in one of them, and a text that does not fit.
    """
    if len(shapes) < 2:
        return []
    if len(shapes) > 2:
        raise ValueError("an Einsum of more than two factors")
    equation = node.attributes.get("equation")
    if not isinstance(equation, bytes):
        raise ValueError("an Einsum without an equation")
    left, right, result, sizes = _letters(equation.decode(), shapes)

    def size(letters: set[str]) -> int:
        return math.prod(sizes[letter] for letter in letters)

    both = left & right
    batch, inner = size(both & result), size(both - result)
    rows, columns = size((left - right) & result), size((right - left) & result)
    return [MatrixProduct(node.inputs[0], node.inputs[1], batch, rows, inner, columns)]


def _letters(equation: str, shapes: Sequence[Shape]) -> tuple[set[str], set[str], set[str], dict[str, int]]:
    given, _, wanted = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    if len(terms) != len(shapes):
        raise ValueError(f"an Einsum '{equation}' of {len(shapes)} factors")
    sizes: dict[str, int] = {}
    found: list[set[str]] = []
    for term, shape in zip(terms, shapes, strict=True):
        letters = _written_out(term, len(shape))
        if len(letters) != len(shape) or len({*letters}) != len(letters):
            raise ValueError(f"an Einsum '{equation}' on factors of shape {[list(s) for s in shapes]}")
        for letter, size in zip(letters, shape, strict=True):
            sizes[letter] = max(sizes.get(letter, 1), size)
        found.append({*letters})
    dots = {letter for letter in sizes if letter.isdigit()}
    if "->" in equation:
        result = {*wanted.replace("...", "")} | (dots if "..." in wanted else set())
    else:
        result = {letter for letter in sizes if given.count(letter) == 1} | dots
    return found[0], found[1], result, sizes


def _written_out(term: str, axes: int) -> list[str]:
    """Letters of a factor's axes; digits from the right stand for those of the dots."""
    before, dots, after = term.partition("...")
    more = axes - len(before) - len(after) if dots else 0
    return [*before, *(str(index) for index in reversed(range(max(0, more)))), *after]
