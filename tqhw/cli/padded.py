"""The padded problem that a mapping is one of, in a file beside it; and what helps a mapping of other bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqhw.errors import TqhwError
from tqhw.system.files import is_read

if TYPE_CHECKING:
    from tqhw.spec import Mapping as LoopMapping
    from tqhw.spec import Problem

COMMAND = "tqhw map --pad"
_HEAD = f"# By `{COMMAND}`: the padded problem of the mapping beside it.\n"
_SHORTER = "write a loop whose last pass is shorter, as M4,3 for 4 iterations, and 3 in the last pass"


def padded_file(mapping: Path) -> Path:
    """Where the padded problem of a mapping stands: ``best.problem.yaml`` beside ``best.yaml``."""
    name = mapping.stem if mapping.suffix in (".yaml", ".yml") else mapping.name
    return mapping.with_name(f"{name}.problem.yaml")


def is_ours(file: Path) -> bool:
    """Whether a file is a padded problem that an earlier ``tqhw map --pad`` wrote."""
    try:
        with file.open(encoding="utf-8") as text:
            return text.readline() == _HEAD
    except (OSError, UnicodeDecodeError):
        return False


def free_file(mapping: Path, inputs: Sequence[str]) -> Path:
    """:func:`padded_file`. Raises TqhwError where that is one of the input files, or was written by somebody else."""
    file = padded_file(mapping)
    read = is_read(file, inputs)
    if read or (file.exists() and not is_ours(file)):
        why = "is read" if read else f"`{COMMAND}` never wrote"
        raise TqhwError(
            f"the padded problem would be written over {file}, which {why}",
            place=f"--out {mapping}",
            lever="give the mapping another name",
        )
    return file


def padded_text(problem: Problem, bounds: Mapping[str, int]) -> str:
    """The problem with those bounds, as a file."""
    from tqhw.spec import dump_problem

    return _HEAD + dump_problem(replace(problem, bounds=dict(bounds)))


def has_other_bounds(answer: object) -> bool:
    """Whether a mapping was refused because its factors do not multiply to the bounds of the problem."""
    from tqhw.spec import Invalid

    return isinstance(answer, Invalid) and any(reason.rule == "factors" for reason in answer.reasons)


def misfit_lever(problem: Problem, mapping: LoopMapping, files: Sequence[str]) -> str | None:
    """What to do where the factors of ``mapping`` do not multiply to the bounds of ``problem``.

    ``files``: the mapping's. None for a mapping with remainders, whose reasons say which loop is wrong.
    """
    from tqhw.spec.mapping import has_remainders

    if has_remainders(mapping):
        return None
    made = _bounds_of(mapping, problem.bounds)
    small = [name for name, bound in problem.bounds.items() if made[name] < bound]
    if small:
        return (
            f"raise the factors of {', '.join(small)}: a factor of 0 is what the others leave, and where none divides, "
            f"{_SHORTER}"
        )
    sizes = " ".join(f"{name}={size}" for name, size in made.items() if size != problem.bounds[name])
    beside = next((str(path) for path in map(padded_file, map(Path, files)) if _has_bounds(path, made)), None)
    which = beside or "the file that `tqhw map --pad --out` writes beside a mapping"
    return f"a problem padded to {sizes} has these factors: give --problem {which}; of this problem, {_SHORTER}"


def _bounds_of(mapping: LoopMapping, dimensions: Mapping[str, int]) -> dict[str, int]:
    """What the factors of every dimension multiply to; those of 0 to its bound."""
    from tqhw.spec.mapping import Loops, filled

    levels = filled(mapping, dimensions).levels
    loops = [loops for level in levels for loops in (level.temporal, level.spatial or Loops())]
    return {name: math.prod(part.factors.get(name, 1) for part in loops) for name in dimensions}


def _has_bounds(path: Path, bounds: Mapping[str, int]) -> bool:
    from tqhw.spec import load_problem

    try:
        return dict(load_problem(path).bounds) == dict(bounds)
    except TqhwError:  # not there, or of something else
        return False
