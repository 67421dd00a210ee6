"""New reference cases, in the reference's format, from runs of the real timeloop-model.

The program's files lack a few fields of the reference (expansions, vector accesses, networks): the cases hold what
they have, and ``tqhw conformance`` checks what a case holds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqhw import engine
from tqhw.backends.protocol import Target
from tqhw.backends.reference.random_mappings import random_mappings
from tqhw.backends.timeloop import Timeloop
from tqhw.backends.timeloop.flatten import components_section
from tqhw.backends.timeloop.statistics import read_statistics
from tqhw.backends.timeloop.xml import read_archive
from tqhw.errors import TqhwError
from tqhw.spec import (
    Invalid,
    Mapping,
    Problem,
    Shape,
    Stats,
    directives,
    dump_art,
    dump_ert,
    dump_problem,
    yamlio,
)
from tqhw.spec.yamlio import read_text
from tqhw.system import locks, signals
from tqhw.system.files import write_text

_PATIENCE = 5000  # random mappings in a row that bring nothing wanted, after which no more are drawn
_INVALID_SHARE = 5  # one of so many cases is invalid
_LOCK = ".lock"
UNFINISHED = "unfinished"  # the runs of a recording that was stopped, in its folder: the next one takes them up
_DIRECT = (
    "keep",
    "partition_size",
    "utilized_capacity",
    "utilized_instances",
    "utilized_clusters",
    "reads",
    "fills",
    "updates",
    "temporal_reductions",
    "address_generations",
    "read_bandwidth",
    "write_bandwidth",
)


@dataclass(frozen=True)
class Recording:
    """How many cases were written, of how many that were asked for."""

    asked: int
    valid: int
    invalid: int

    def __str__(self) -> str:
        text = f"{self.valid} valid and {self.invalid} invalid mappings recorded"
        if self.valid + self.invalid < self.asked:
            text += f" of {self.asked} that were asked for"
        if self.invalid < self.asked // _INVALID_SHARE:
            text += f"; chance brought {self.invalid or 'no'} invalid ones"
        return text


def check_destination(folder: Path) -> None:
    """Raises TqhwError where no recording can be written: the folder holds another thing, or is not ours to write."""
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not place.is_dir():
        raise TqhwError("is a file, not a folder", place=str(place), lever="choose another place")
    if not os.access(place, os.W_OK | os.X_OK):
        raise TqhwError("nothing can be written here", place=str(place), lever="choose another place")
    if folder.exists() and any(path.name != UNFINISHED for path in folder.iterdir()):
        raise TqhwError("the folder is not empty", place=str(folder), lever="name a new one")


@contextmanager
def destination(folder: Path) -> Iterator[None]:
    """The folder is this recording's alone. Raises TqhwError as :func:`check_destination`, and where another has it."""
    check_destination(folder)
    runs = folder / UNFINISHED
    new = [path for path in (runs, *runs.parents) if not path.exists()]
    runs.mkdir(parents=True, exist_ok=True)
    held = locks.claim(runs / _LOCK, folder, "recording", "folder")
    try:
        check_destination(folder)  # the other may have come to its end
        yield
    finally:
        locks.release(runs / _LOCK, held)
        for path in new:
            with suppress(OSError):
                path.rmdir()  # refuses where something is inside


def record(
    folder: Path,
    target: Target,
    problems: list[Problem],
    cases: int,
    backend: Timeloop,
    seed: int = 0,
    done: Callable[[int], None] | None = None,
) -> Recording:
    """Writes a folder that ``tqhw conformance`` reads: ``cases`` random mappings, valid four times of five.

    Where chance brings too few invalid mappings, valid ones stand in for them; where it brings too few valid ones,
    there are fewer cases. Raises TqhwError where it brings no valid one, and for a folder that cannot be written to.
    """
    if cases < 1 or not problems:
        raise TqhwError("there is nothing to record", place="conformance --record", lever="ask for at least one case")
    check_destination(folder)
    chosen = _choose(target, problems, cases, seed)
    answers = backend.read_all([(problem, target, mapping) for problem, mapping in chosen], _expected, done)
    refused = sum(isinstance(answer, Invalid) for answer in answers)
    recording = Recording(cases, len(answers) - refused, refused)
    name = target.hardware.name
    lines = []
    for number, ((problem, mapping), answer) in enumerate(zip(chosen, answers, strict=True)):
        case: dict[str, Any] = {
            "id": f"{name}-{number:04d}",
            "source": f"random seed={seed}",
            "problem": {
                "shape": problem.shape.name,
                "name": problem.name,
                "instance": {**problem.coefficients, **problem.bounds},
            },
            "mapping": directives(mapping, problem.shape.dimensions),
            "valid": not isinstance(answer, Invalid),
        }
        if isinstance(answer, Invalid):
            message = "; ".join(reason.message for reason in answer.reasons)
            case.update(kind=answer.reasons[0].rule, message=message)
        else:
            case["expected"] = answer
        lines.append(json.dumps(case, separators=(",", ":")) + "\n")
    versions = "".join(f"- {key}: {value}\n" for key, value in backend.versions().items())
    text = f"By `tqhw conformance --record`, seed {seed}: {recording}. With\n\n{versions}"
    staged = folder / UNFINISHED / "recorded"
    shutil.rmtree(staged, ignore_errors=True)
    write_text(staged / "README.md", text)
    write_text(staged / "arch" / f"{name}.yaml", target.design.text)
    write_text(staged / "ert" / f"{name}.ERT.yaml", dump_ert(target.ert))
    write_text(staged / "ert" / f"{name}.ART.yaml", dump_art(target.art))
    write_text(staged / "components.yaml", yamlio.dump({"components": components_section(target.design)}))
    write_text(staged / "problem_shapes.yaml", yamlio.dump({"shapes": _shapes([p.shape for p in problems])}))
    write_text(staged / "cases" / f"{name}.jsonl", "".join(lines))
    with signals.held():
        for path in staged.iterdir():
            path.rename(folder / path.name)
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    return recording


def _choose(target: Target, problems: list[Problem], cases: int, seed: int) -> list[tuple[Problem, Mapping]]:
    """Mappings by turns of the problems; our engine only keeps the shares of valid and invalid ones."""
    share = {True: cases - cases // _INVALID_SHARE, False: cases // _INVALID_SHARE}
    found: dict[bool, list[tuple[int, Problem, Mapping]]] = {True: [], False: []}
    streams = [random_mappings(problem, target.hardware, seed + i) for i, problem in enumerate(problems)]
    turn = idle = 0
    while idle < _PATIENCE and any(len(found[valid]) < share[valid] for valid in share):
        problem, mapping = problems[turn % len(problems)], next(streams[turn % len(problems)])
        valid = isinstance(engine.evaluate(problem, target.hardware, target.ert, mapping), Stats)
        idle = 0 if len(found[valid]) < share[valid] else idle + 1
        if len(found[valid]) < cases:
            found[valid].append((turn, problem, mapping))
        turn += 1
    if not found[True]:
        raise TqhwError(
            f"none of {turn} random mappings is valid", place=target.hardware.name, lever="give smaller problems"
        )
    invalid = found[False][: share[False]]
    chosen = [*found[True][: cases - len(invalid)], *invalid]
    return [(problem, mapping) for _, problem, mapping in sorted(chosen, key=lambda one: one[0])]


def _expected(folder: Path, prefix: str, problem: Problem, target: Target, mapping: Mapping) -> dict[str, Any]:
    """A case's ``expected``: the archive's own numbers where it has them, the checked sums for the whole."""
    stats = read_statistics(folder, prefix, problem, target, mapping)
    tiles = _tiles(folder / f"{prefix}.map.txt")
    raw = read_archive(folder / f"{prefix}.map+stats.xml", len(problem.shape.data_spaces))
    levels = []
    for level in raw.levels:
        if level.name not in stats.levels:
            continue
        found = stats.levels[level.name]
        entry: dict[str, Any] = {"name": level.name}
        entry.update({key: list(getattr(level, key)) for key in _DIRECT})
        entry["tile_size"] = [tiles.get((level.name, name), 0) for name in problem.shape.data_space_names]
        entry["energy"] = [pj * used for pj, used in zip(level.energy_pj, level.utilized_instances, strict=True)]
        entry.update(energy_per_instance=list(level.energy_pj), slowdown=level.slowdown, cycles=level.cycles)
        entry.update(leakage_energy=found.leakage_pj, energy_total=found.energy_pj + found.leakage_pj)
        levels.append(entry)
    compute = {
        "name": raw.compute.name,
        "utilized_instances": raw.compute.utilized_instances,
        "cycles": raw.compute.cycles,
        "energy": raw.compute.energy_pj,
    }
    whole = {"cycles": stats.cycles, "computes": stats.computes, "utilization": stats.utilization}
    return {**whole, "energy": stats.energy_pj, "compute_level": compute, "levels": levels}


def _tiles(path: Path) -> dict[tuple[str, str], int]:
    """Words per level and data space of the drawn mapping: lines ``LEVEL [ SPACE:TILE (CAPACITY) ... ]``."""
    found = {}
    for match in re.finditer(r"^(\S+) \[ (.*?)\]", read_text(path), flags=re.MULTILINE):
        for space, words in re.findall(r"(\w+):(\d+) \(\d+\)", match[2]):
            found[match[1], space] = int(words)
    return found


def _shapes(shapes: list[Shape]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for shape in shapes:
        ones = Problem(shape, shape.name, dict.fromkeys(shape.dimensions, 1), dict(shape.coefficients))
        result[shape.name] = yamlio.parse(dump_problem(ones))["problem"]["shape"]
    return result
