"""Mapping constraints as the C++ mapper reads them: one list of targets, pseudo levels by their own names.

Source of the form: timeloopfe v4 (``processors/permutation_optimizer.py``, ``constraint_macro.py``) and Timeloop
``src/mapping/constraints.cpp``.
"""

from __future__ import annotations

from typing import Any

from tqhw.errors import TqhwError
from tqhw.spec import Hardware, Level, LoopConstraint, Problem
from tqhw.spec.constraints import NO_LINKS
from tqhw.spec.links import forbidden_links


def constraint_targets(hardware: Hardware, problem: Problem) -> list[dict[str, Any]]:
    """The value of ``architecture_constraints.targets``, outermost level first.

    Raises TqhwError where a dimension has a name of several letters: Timeloop's constraints know only letters.
    """
    targets: list[dict[str, Any]] = []
    for level in reversed(hardware.levels):
        if level.fanout > 1:
            spatial = _loops(level.constraints.spatial, problem, level)
            if level.constraints.spatial.split is not None:
                spatial["split"] = level.constraints.spatial.split
            if no_links := forbidden_links(level, problem.shape.data_space_names):
                spatial[NO_LINKS] = list(no_links)
            targets.append({"type": "spatial", "target": level.name, **spatial})
        if level.kind == "fanout":
            targets += _pseudo(level, problem)
            continue
        kept = level.constraints.kept(problem.shape.data_space_names, f"constraints of {level.name}")
        spaces = {
            "keep": [name for name, keep in kept.items() if keep],
            "bypass": [name for name, keep in kept.items() if keep is False],
        }
        if any(spaces.values()):
            targets.append({"type": "bypass", "target": level.name, **{k: v for k, v in spaces.items() if v}})
        if temporal := _loops(level.constraints.temporal, problem, level):
            targets.append({"type": "temporal", "target": level.name, **temporal})
        if level.constraints.min_utilization > 0:
            least = level.constraints.min_utilization
            targets.append({"type": "utilization", "target": level.name, "min": least})
    return targets


def _pseudo(level: Level, problem: Problem) -> list[dict[str, Any]]:
    shape = problem.shape
    ones = ",".join(f"{d}=1" for d in shape.dimensions)
    order = _permutation(shape.dimensions, level)
    return [
        {"type": "temporal", "target": level.name, "factors": ones, "permutation": order},
        {"type": "bypass", "target": level.name, "bypass": list(shape.data_space_names)},
    ]


def _loops(loops: LoopConstraint, problem: Problem, level: Level) -> dict[str, Any]:
    dimensions = problem.shape.dimensions
    exact = dict(loops.factors)
    spaces = {space.name: space.dimensions for space in problem.shape.data_spaces}
    for name in loops.not_over:
        exact.update(dict.fromkeys(spaces[name], 1))
    if loops.others_one:
        listed = {*exact, *loops.at_most, *loops.at_least}
        exact.update({d: 1 for d in dimensions if d not in listed})
    factors = [f"{d}={n}" for d, n in exact.items()]
    factors += [f"{d}<={n}" for d, n in loops.at_most.items()]
    factors += [f"{d}>={n}" for d, n in loops.at_least.items()]
    # Loops of factor 1 may stand anywhere: told innermost, they do not multiply the permutations to be tried.
    placed = (*loops.permutation, *loops.suffix)
    idle = [d for d, n in exact.items() if n == 1 and d not in placed]
    idle += [d for d in dimensions if problem.bounds[d] == 1 and d not in placed and d not in idle]
    prefix = _permutation((*reversed(idle), *loops.permutation), level)
    suffix = _permutation(loops.suffix, level)
    result: dict[str, Any] = {}
    if factors:
        result["factors"] = ",".join(factors)
    if prefix or suffix:
        result["permutation"] = f"{prefix}_{suffix}" if suffix else prefix
    return result


def _permutation(dimensions: tuple[str, ...], level: Level) -> str:
    for name in dimensions:
        if len(name) != 1:
            raise TqhwError(
                f"Timeloop's mapper cannot be told of the loop order of dimension '{name}'",
                place=f"constraints of {level.name}",
                lever="give the dimension a name of one letter, or search with --backend embedded",
            )
    return "".join(dimensions)
