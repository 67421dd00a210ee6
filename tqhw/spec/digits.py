"""Operands that are taken digit by digit, as bit-serial arithmetic takes them: one more dimension of a problem.

A weight of 8 bits that a multiplier takes bit by bit is eight words of one bit, and a multiply-accumulate eight steps.
In Timeloop's terms the digits are a dimension that the weights have and inputs and outputs have not: cycles, computes
and weight traffic grow with it, inputs are reused over it, and outputs are summed over it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tqhw.errors import TqhwError, unknown
from tqhw.spec.problem import Problem, Term


@dataclass(frozen=True)
class Digits:
    """A word of ``data_space`` is ``count`` words, one after the other along ``dimension``."""

    dimension: str
    count: int
    data_space: str = "Weights"


def in_digits(problem: Problem, digits: Digits) -> Problem:
    """The problem with that dimension; one that has it already, with as many digits, as it is.

    Raises TqhwError where the problem has no such data space, or means something else by the dimension's name.
    """
    shape = problem.shape
    space = next((found for found in shape.data_spaces if found.name == digits.data_space), None)
    if space is None:
        raise unknown("data space", digits.data_space, shape.data_space_names, problem.name)
    if digits.dimension in shape.dimensions:
        has_it = [found.name for found in shape.data_spaces if digits.dimension in found.dimensions]
        if has_it == [space.name] and problem.bounds[digits.dimension] == digits.count:
            return problem
        raise TqhwError(
            f"the dimension {digits.dimension} is to be the {digits.count} digits of {space.name}, and is another one",
            place=problem.name,
            lever="rename it",
        )
    longer = replace(space, projection=(*space.projection, (Term(digits.dimension),)))
    spaces = tuple(longer if found is space else found for found in shape.data_spaces)
    shape = replace(
        shape,
        name=f"{shape.name}_digits",
        dimensions=(*shape.dimensions, digits.dimension),
        data_spaces=spaces,
    )
    return replace(problem, shape=shape, bounds={**problem.bounds, digits.dimension: digits.count})
