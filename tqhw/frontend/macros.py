"""Constraints are attached to their nodes, and the macros among them written out.

Source: the front end's ``v4/processors``: constraint_attacher.py, sparse_opt_attacher.py, constraint_macro.py,
dataspace2branch.py, permutation_optimizer.py, required_actions.py; they run in this order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.frontend.arch import Branch, ComputeNode, Leaf, ParallelNode, StorageNode
from tqhw.frontend.constraints import (
    DataspaceConstraint,
    Factors,
    Iteration,
    Permutation,
    Spaces,
)
from tqhw.frontend.sections import ProblemNode, ShapeNode

MAX_TRIES = 200_000
MAX_SIZE = 10**12
_ACTIONS: dict[type[Leaf], tuple[str, ...]] = {
    StorageNode: ("leak", "read", "write", "update"),
    ComputeNode: ("compute",),
}


def attach(architecture: Branch, targets: Iterable[Any]) -> None:
    """Hands every constraint of a list to the node that it names."""
    for constraint in list(targets):
        leaf = _target(architecture, constraint["target"], constraint.place)
        leaf["constraints"].join(constraint["type"], constraint)


def attach_sparse(architecture: Branch, targets: Iterable[Any]) -> None:
    for group in list(targets):
        _target(architecture, str(group["target"]), group.place).join("sparse_optimizations", group)


def _target(architecture: Branch, name: str, place: str) -> Leaf:
    for leaf in architecture.below(Leaf):
        if leaf.name == name:
            return leaf
    raise unknown("target", name, [leaf.name for leaf in architecture.below(Leaf)], place)


def write_out(architecture: Branch, problem: ProblemNode) -> None:
    """All macros, in the front end's order."""
    shape = problem.shape
    for given in shape["dimensions"]:
        if not isinstance(given, str):
            place = shape.place_of("dimensions")
            raise TqhwError(f"a dimension is a name, found {str(given)[:60]}", place=place, lever="write [M, K, N]")
    for spaces in architecture.below(Spaces):
        spaces.fill(shape.names)
    for constraint in architecture.below(Iteration):
        _factors(constraint, shape)
    for dataspace in architecture.below(DataspaceConstraint):
        _keep_or_bypass(dataspace, shape)
    _maximize(architecture, problem)
    _branches(architecture, shape.names)
    _order_ones(architecture, problem)
    for leaf in architecture.below(Leaf):
        wanted = _ACTIONS.get(type(leaf), ())
        if wanted:
            if any(isinstance(action, dict | list) for action in leaf["required_actions"]):
                place = leaf.place_of("required_actions")
                raise TqhwError("required_actions are names", place=place, lever="write [read, write]")
            leaf["required_actions"] = sorted({*wanted, *map(str, leaf["required_actions"])})


SIZED = ("maximize_dims", "maximize_dims_capacity", "must_iterate_over_dataspaces")
"""Macros that are factors only once a problem is known."""


def leave_out_sized(architecture: Branch) -> bool:
    """Takes the macros out that need a problem; whether there were any."""
    found = [
        constraint.pop(name, None)
        for constraint in architecture.below(Iteration)
        for name in SIZED
        if constraint.get(name) is not None
    ]
    return bool(found)


def _named(shape: ShapeNode, names: Iterable[str], place: str) -> list[str]:
    """The names in the projections of some data spaces, in their order."""
    spaces = {space["name"]: space for space in shape["data_spaces"]}
    found: list[str] = []
    for name in names:
        if name not in spaces:
            raise unknown("data space", str(name), spaces, place)
        found += spaces[name].dimensions
    return found


def _factors(constraint: Iteration, shape: ShapeNode) -> None:
    place = constraint.place
    only = constraint.pop("factors_only", None)
    if only is not None:
        constraint.factors.combine(only, place)
        for dimension in shape.dimensions:
            if dimension not in constraint.factors.dimensions:
                constraint.factors.add(dimension, 1)
    spaces = constraint.pop("no_iteration_over_dataspaces", None)
    if spaces is not None:
        over = [d for d in _named(shape, spaces, place) if d in shape.dimensions]
        _ones(constraint, over, f"no_iteration_over_dataspaces {', '.join(spaces)}")
    spaces = constraint.pop("must_iterate_over_dataspaces", None)
    if spaces is not None:
        over = _named(shape, spaces, place)
        rest = [d for d in shape.dimensions if d not in over]
        _ones(constraint, rest, f"must_iterate_over_dataspaces {', '.join(spaces)}")


def _ones(constraint: Iteration, dimensions: list[str], macro: str) -> None:
    """Adds factors of 1. Raises TqhwError that names the macro they come from."""
    for factor in constraint.factors:
        dimension, sign, number = factor.parts
        if dimension in dimensions and number != 1 and sign != "<=":
            place = constraint.place_of("factors")
            raise TqhwError(f"factor {factor} contradicts {macro}", place=place, lever="remove one of the two")
    constraint.factors.combine(Factors([f"{d}=1" for d in dimensions], constraint.place), constraint.place)


def _keep_or_bypass(constraint: DataspaceConstraint, shape: ShapeNode) -> None:
    for name, other in (("keep", "bypass"), ("bypass", "keep")):
        spaces = constraint.pop(f"{name}_only", None)
        if spaces is not None:
            rest = [space for space in shape.names if space not in spaces]
            place = constraint.place
            constraint.combine(DataspaceConstraint({name: list(spaces), other: rest}, place), place)


def _maximize(architecture: Branch, problem: ProblemNode) -> None:
    left = _left_over(architecture, problem)
    leaves = list(architecture.below(Leaf))[::-1]
    for kind in ("spatial", "temporal"):
        for leaf in leaves:
            constraint = leaf["constraints"][kind]
            wanted, capacity = constraint.pop("maximize_dims", None), constraint.pop("maximize_dims_capacity", None)
            if not wanted:
                continue
            if kind == "spatial" and capacity is None:
                capacity = leaf.fanout
            if capacity is None:
                lever = "add `maximize_dims_capacity:`"
                raise TqhwError(
                    "maximize_dims of loops over time needs a capacity", place=constraint.place, lever=lever
                )
            _maximize_one(constraint, _groups(wanted, constraint.place), capacity, left, problem)


def _groups(wanted: list[Any], place: str) -> list[list[str]]:
    groups = [wanted] if isinstance(wanted[0], str) else wanted
    words = all(isinstance(group, list) and all(isinstance(d, str) for d in group) for group in groups)
    if not words or (isinstance(wanted[0], str) and not all(isinstance(d, str) for d in wanted)):
        raise TqhwError("maximize_dims is a list of dimensions or of lists of them", place=place)
    return groups


def _left_over(architecture: Branch, problem: ProblemNode) -> dict[str, int]:
    """What exact factors leave of every dimension, rounded up."""
    left = {name: size for name, size in problem["instance"].items() if name != "densities"}
    for factors in architecture.below(Factors):
        for dimension, sign, number in factors.split:
            number = number or problem.size(dimension, factors.place)
            if number > 0 and sign == "=":
                left[dimension] = math.ceil(_left_of(left, dimension, factors.place) / number)
    return left


def _left_of(left: dict[str, int], dimension: str, place: str) -> int:
    """What is left of a dimension. Raises TqhwError for one that the problem has not."""
    if dimension not in left:
        raise unknown("dimension", dimension, left, place)
    return left[dimension]


def _maximize_one(
    constraint: Iteration, groups: list[list[str]], capacity: int, left: dict[str, int], problem: ProblemNode
) -> None:
    factors, room = constraint.factors, capacity
    for group in groups:
        room = capacity
        for dimension, sign, number in factors.split:
            number = number or problem.size(dimension, constraint.place)
            if number > 0 and sign in ("=", ">="):
                room //= number
        for dimension in group:
            if dimension in factors.dimensions:
                lever = "leave its factor out, or out of maximize_dims"
                raise TqhwError(f"{dimension} has a factor already", place=constraint.place, lever=lever)
        sizes = {d: _left_of(left, d, constraint.place) for d in group}
        chosen = dict.fromkeys(sizes, 1)
        tries = [MAX_TRIES]
        given, _ = _greedy(sizes, room, tries)
        found: dict[str, int] = {}
        for dimension, factor in given:
            found[dimension] = found.get(dimension, 1) * factor
        for dimension, factor in {**found, **{d: 1 for d in chosen if d not in found}}.items():
            factors.add(dimension, factor)
            left[dimension] = math.ceil(left[dimension] / factor)


def _greedy(sizes: dict[str, int], room: int, tries: list[int]) -> tuple[list[tuple[str, int]], float]:
    """The prime factors that fill ``room`` best, the last of which may leave a rest, and the share they use."""
    tries[0] -= 1
    if tries[0] < 0:
        raise TqhwError("maximize_dims has too many ways to try", lever="give factors instead")
    best: list[tuple[str, int]] = []
    most: float = 1
    if room <= 1:
        return best, most
    for dimension, size in sizes.items():
        if size > room:
            parts = math.ceil(size / room)
            factor = math.ceil(size / parts)
            used = (factor * (parts - 1) + size % factor) / parts
            if used > most:
                best, most = [(dimension, factor)], used
        for prime in set(_primes(size)):
            if prime <= room:
                inner, used = _greedy({**sizes, dimension: size // prime}, room // prime, tries)
                if used * prime > most:
                    best, most = [(dimension, prime), *inner], used * prime
    return best, most


@cache
def _primes(number: int) -> list[int]:
    if number > MAX_SIZE:
        raise TqhwError(f"maximize_dims of a dimension of {number}", lever=f"at most {MAX_SIZE} is taken apart")
    found, divisor = [], 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return [*found, number] if number > 1 else found


def _kept(branch: Any) -> set[str]:
    spaces = [branch] if isinstance(branch, DataspaceConstraint) else branch.below(DataspaceConstraint)
    return {name for constraint in spaces for name in constraint["keep"] or []}


def _branches(branch: Branch, names: list[str]) -> None:
    """Every peer of a ``!Parallel`` bypasses what it does not keep; a data space has exactly one of them."""
    nodes = branch.nodes
    if isinstance(branch, ParallelNode):
        keeps = [_kept(node) for node in nodes]
        for name in names:
            if sum(name in kept for kept in keeps) > 1:
                lever = "keep every data space in exactly one branch"
                raise TqhwError(f"{name} is kept in two branches of a !Parallel", place=branch.place, lever=lever)
        if missing := [name for name in names if not any(name in kept for kept in keeps)]:
            raise TqhwError(
                f"no branch of a !Parallel keeps {', '.join(missing)}",
                place=branch.place,
                lever=f"add `- !Nothing {{constraints: {{dataspace: {{keep: [{', '.join(missing)}]}}}}}}`",
            )
        for node, kept in zip(nodes, keeps, strict=True):
            bypass = [name for name in names if name not in kept]
            for constraint in node.below(DataspaceConstraint):
                constraint.combine(DataspaceConstraint({"bypass": bypass}, constraint.place), constraint.place)
    for node in nodes:
        if isinstance(node, Branch):
            inner = sorted(_kept(node)) if isinstance(branch, ParallelNode) else names
            _branches(node, [name for name in names if name in inner])


def _order_ones(architecture: Branch, problem: ProblemNode) -> None:
    """Dimensions of factor or size 1 go to the front of the order: permuting them would change nothing."""
    constraints: list[Iteration] = []
    for leaf in architecture.below(Leaf):
        if isinstance(leaf, StorageNode):
            constraints.append(leaf["constraints"]["temporal"])
        if leaf.fanout > 1:
            constraints.append(leaf["constraints"]["spatial"])
    for constraint in constraints:
        order = constraint["permutation"]
        if not isinstance(order, Permutation):
            raise TqhwError("the permutation is missing", place=constraint.place)
        for dimension, _, number in constraint.factors.split:
            if number == 1 and dimension not in order:
                order.insert(0, dimension)
        for dimension in problem.shape.dimensions:
            if problem.size(dimension, constraint.place) == 1 and dimension not in order:
                order.insert(0, dimension)
