"""Mappings as arrays, the form in which the kernels and the mapper work on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tqhw.engine.model import Bools, Ints
from tqhw.errors import TqhwError, unknown
from tqhw.spec import Hardware, Level, LevelMapping, Loops, Mapping, Problem, Reason, filled
from tqhw.spec.links import forbidden_links


class BadMappingError(Exception):
    """A mapping that Timeloop refuses while reading it: a wrong target, or factors that miss a bound."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__("; ".join(r.message for r in reasons))
        self.reasons = tuple(reasons)


@dataclass(frozen=True)
class Batch:
    """N mappings; levels L innermost first, dimensions D and data spaces S in the shape's order.

    Every array but ``temporal`` may have a leading axis of 1: it is then shared by all mappings. Orders hold
    dimension indices, innermost loop first; positions below ``split`` of a spatial order run along X.
    """

    temporal: Ints  # [N, L, D] factors
    temporal_order: Ints  # [N or 1, L, D]
    spatial: Ints  # [N or 1, L, D]
    spatial_order: Ints  # [N or 1, L, D]
    split: Ints  # [N or 1, L]
    keep: Bools  # [N or 1, L, S]

    def __len__(self) -> int:
        return len(self.temporal)


@dataclass(frozen=True)
class RemainderBatch(Batch):
    """Mappings of which some have remainders: how many iterations a loop makes in the last pass of those outside."""

    temporal_rest: Ints  # [N, L, D]
    spatial_rest: Ints  # [N, L, D]


def encode(problem: Problem, hardware: Hardware, mappings: Sequence[Mapping]) -> Batch:
    """The arrays of a list of mappings.

    Raises BadMappingError for a level that does not exist or spatial loops without a fan-out, and for factors that do
    not multiply to the problem's bounds; TqhwError for names that the problem does not have, and for links that a
    mapping forbids and the hardware has: they are the model's. A RemainderBatch where a mapping has remainders.
    """
    dims = problem.shape.dimensions
    n, n_levels, n_dims = len(mappings), len(hardware.levels), len(dims)
    temporal = np.ones((n, n_levels, n_dims), np.int64)
    spatial = np.ones_like(temporal)
    temporal_rest, spatial_rest = np.ones_like(temporal), np.ones_like(temporal)
    order = np.broadcast_to(np.arange(n_dims), temporal.shape).copy()
    spatial_order = order.copy()
    split = np.full((n, n_levels), n_dims, np.int64)
    keep = np.ones((n, n_levels, len(problem.shape.data_spaces)), np.bool_)
    for i, mapping in enumerate(mappings):
        for index, part in _targets(hardware, filled(mapping, problem.bounds)):
            _check_names(part, problem)
            keep[i, index] = _keep(part, problem.shape.data_space_names, hardware.levels[index].kind == "storage")
            temporal[i, index], temporal_rest[i, index], order[i, index] = _loops(part.temporal, dims)
            if part.spatial is not None:
                _check_links(part, hardware.levels[index], problem.shape.data_space_names)
                spatial[i, index], spatial_rest[i, index], spatial_order[i, index] = _loops(part.spatial, dims)
                split[i, index] = n_dims if part.spatial.split is None else min(part.spatial.split, n_dims)
        if (temporal_rest[i] != temporal[i]).any() or (spatial_rest[i] != spatial[i]).any():
            _check_remainders(problem, hardware, temporal[i], temporal_rest[i], spatial[i], spatial_rest[i])
        else:
            _check_factors(problem, temporal[i], spatial[i])
    if (temporal_rest == temporal).all() and (spatial_rest == spatial).all():
        return Batch(temporal, order, spatial, spatial_order, split, keep)
    return RemainderBatch(temporal, order, spatial, spatial_order, split, keep, temporal_rest, spatial_rest)


def check_names(problem: Problem, hardware: Hardware, mapping: Mapping) -> None:
    """Raises what :func:`encode` raises for levels, data spaces and dimensions that a mapping names."""
    for _, part in _targets(hardware, mapping):
        _check_names(part, problem)


def _targets(hardware: Hardware, mapping: Mapping) -> list[tuple[int, LevelMapping]]:
    """Every level with its part of the mapping; the front end's name of a fan-out (its container) counts too."""
    names = hardware.level_names
    nodes = {level.node: i for i, level in enumerate(hardware.levels) if level.kind == "fanout"}
    parts = {i: LevelMapping(name) for i, name in enumerate(names)}
    for part in mapping.levels:
        if part.target in names:
            index = names.index(part.target)
        elif part.target in nodes:
            index = nodes[part.target]
        else:
            lever = unknown("level", part.target, names).lever
            message = f"{_place(part)}target level not found: {part.target} ({lever})"
            raise BadMappingError([Reason(part.target, "target", 0, 0, message)])
        level = hardware.levels[index]
        if part.spatial is not None and level.fanout == 1:
            message = f"{_place(part)}{part.target} has no spatial fan-out: spatial loops cannot be mapped to it"
            raise BadMappingError([Reason(part.target, "target", 0, 1, message)])
        parts[index] = part
    return list(parts.items())


def _place(part: LevelMapping) -> str:
    return f"{part.place}: " if part.place else ""


def _check_names(part: LevelMapping, problem: Problem) -> None:
    where = f"{_place(part)}level {part.target}"
    no_links = (name for name in (part.spatial or Loops()).no_links if name != "*")
    for name in (*part.keep, *part.bypass, *no_links):
        if name not in problem.shape.data_space_names:
            raise unknown("data space", name, problem.shape.data_space_names, where)
    for loops in (part.temporal, part.spatial or Loops()):
        for name in (*loops.factors, *loops.permutation):
            if name not in problem.shape.dimensions:
                raise unknown("dimension", name, problem.shape.dimensions, where)


def _check_links(part: LevelMapping, level: Level, data_spaces: tuple[str, ...]) -> None:
    forbidden = (part.spatial or Loops()).no_links
    without = forbidden_links(level, data_spaces)
    for name in data_spaces if "*" in forbidden else forbidden:
        if name not in without:
            raise TqhwError(
                f"{_place(part)}the mapping forbids links of {name} below {level.name}, which the model has",
                lever="build model and batch on tqhw.spec.forbid_links(hardware, mapping)",
            )


def _keep(part: LevelMapping, data_spaces: tuple[str, ...], default: bool) -> list[bool]:
    return [name in part.keep or (default and name not in part.bypass) for name in data_spaces]


def _loops(loops: Loops, dims: tuple[str, ...]) -> tuple[list[int], list[int], list[int]]:
    """Factors, remainders, and the order of the loops."""
    order = [dims.index(d) for d in loops.permutation]
    factors = [loops.factors.get(d, 1) for d in dims]
    remainders = [loops.remainders.get(d, factor) for d, factor in zip(dims, factors, strict=True)]
    return factors, remainders, order + [i for i in range(len(dims)) if i not in order]


def _check_factors(problem: Problem, temporal: Ints, spatial: Ints) -> None:
    product = [int(p) for p in np.prod([temporal, spatial], axis=(0, 1), dtype=object)]
    reasons = [
        Reason(
            "",
            "factors",
            have,
            problem.bounds[d],
            f"the factors of dimension {d} multiply to {have}, the problem's bound is {problem.bounds[d]}",
        )
        for d, have in zip(problem.shape.dimensions, product, strict=True)
        if have != problem.bounds[d]
    ]
    if reasons:
        raise BadMappingError(reasons)


def _check_remainders(
    problem: Problem, hardware: Hardware, temporal: Ints, temporal_rest: Ints, spatial: Ints, spatial_rest: Ints
) -> None:
    """Refuses factors whose passes, the last ones shorter, do not add up to a bound, and what Timeloop cannot count."""
    reasons = []
    for index, d in enumerate(problem.shape.dimensions):
        iterations, wide = 0, False  # wide: a loop stands outside
        for i in reversed(range(len(temporal))):
            for factors, rests in ((temporal, temporal_rest), (spatial, spatial_rest)):
                factor, rest = int(factors[i, index]), int(rests[i, index])
                if rest < factor and not wide and factors is spatial:
                    name = hardware.levels[i].name
                    message = (
                        f"{name}: spatial factor {d}={factor},{rest} has a remainder, but no loop over {d} outside"
                    )
                    lever = f"write {d}={rest}, or put a loop over {d} further out"
                    reasons.append(Reason(name, "factors", factor, rest, f"{message} ({lever})"))
                iterations = iterations * factor + rest - 1
                wide = wide or factor > 1
        if (have := iterations + 1) != (bound := problem.bounds[d]):
            message = f"the factors of dimension {d} with their remainders make {have}, the problem's bound is {bound}"
            reasons.append(Reason("", "factors", have, bound, message))
    if reasons:
        raise BadMappingError(reasons)


def decode(problem: Problem, hardware: Hardware, batch: Batch, index: int) -> Mapping:
    """Mapping ``index`` of a batch as a document object; loops of bound 1 are ordered by the shape."""
    dims = problem.shape.dimensions
    names = problem.shape.data_space_names

    def pick(array: Ints | Bools, level: int) -> list[int]:
        row: list[int] = array[min(index, len(array) - 1), level].tolist()
        return row

    def loops(kind: str, level: int, split: int | None) -> Loops:
        factors, order = pick(getattr(batch, kind), level), pick(getattr(batch, f"{kind}_order"), level)
        rests = pick(getattr(batch, f"{kind}_rest"), level) if isinstance(batch, RemainderBatch) else factors
        found = {dims[d]: factors[d] for d in range(len(dims)) if factors[d] > 1}
        uneven = {dims[d]: rests[d] for d in range(len(dims)) if rests[d] < factors[d]}
        no_links = forbidden_links(hardware.levels[level], names) if kind == "spatial" else ()
        return Loops(found, tuple(dims[d] for d in order), split, uneven, no_links)

    levels = []
    for i, level in enumerate(hardware.levels):
        kept = pick(batch.keep, i)
        spatial = None
        if level.fanout > 1:
            split = int(batch.split[min(index, len(batch.split) - 1), i])
            spatial = loops("spatial", i, split)
        levels.append(
            LevelMapping(
                level.name,
                keep=tuple(d for d, k in zip(names, kept, strict=True) if k),
                bypass=tuple(d for d, k in zip(names, kept, strict=True) if not k),
                temporal=loops("temporal", i, None),
                spatial=spatial,
            )
        )
    return Mapping(tuple(levels))


def check_batch(batch: Batch, n_levels: int, n_dims: int, n_spaces: int) -> None:
    """Refuses arrays of other shapes; a caller's mistake, told before the kernel reads beyond an array."""
    n = len(batch)
    for name, shape in {
        "temporal": (n_levels, n_dims),
        "temporal_order": (n_levels, n_dims),
        "spatial": (n_levels, n_dims),
        "spatial_order": (n_levels, n_dims),
        "split": (n_levels,),
        "keep": (n_levels, n_spaces),
    }.items():
        array = getattr(batch, name)
        if array.shape[1:] != shape or array.shape[0] not in (1, n) or (name == "temporal" and n == 0):
            raise TqhwError(f"batch array '{name}' has shape {array.shape}, not ({n} or 1, *{shape})")


def expansion(batch: Batch, at: int) -> tuple[int, int]:
    """Products of the X and Y factors above a level of the first mapping (-1: the compute level)."""
    x = y = 1
    for level in range(at + 1, batch.spatial.shape[1]):
        for position, d in enumerate(batch.spatial_order[0, level]):
            factor = int(batch.spatial[0, level, d])
            if position < batch.split[0, level]:
                x *= factor
            else:
                y *= factor
    return x, y
