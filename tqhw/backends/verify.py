"""An embedded run, derived again by the real Timeloop: every table and every mapping."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from tqhw import engine
from tqhw.backends.compare import ENERGY_TOLERANCE, Difference, compare
from tqhw.backends.protocol import Backend, Design, Target
from tqhw.errors import TqhwError
from tqhw.spec import (
    Invalid,
    Mapping,
    Problem,
    Stats,
    flatten,
    load_architecture,
    load_art,
    load_ert,
    load_mapping,
    load_problem,
)
from tqhw.spec.yamlio import read_text

Evaluation = tuple[Problem, Target, Mapping]


@runtime_checkable
class Reference(Backend, Protocol):
    """A backend that evaluates many mappings at once."""

    def evaluate_all(
        self, evaluations: Sequence[Evaluation], done: Callable[[int], None] | None = None
    ) -> list[Stats | Invalid]: ...


@dataclass(frozen=True)
class Verification:
    """The outcome: how much was compared, and every difference."""

    architectures: int
    mappings: int
    values: int
    differences: tuple[Difference, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "architectures": self.architectures,
            "mappings": self.mappings,
            "values_compared": self.values,
            "differences": [vars(difference) for difference in self.differences],
        }


@dataclass(frozen=True)
class Written:
    """One architecture of a results folder: its design, the tables that were used, its mappings by layer."""

    folder: str
    target: Target
    evaluations: tuple[tuple[str, Problem, Mapping], ...]


def written(results: Path) -> list[Written]:
    """What a run wrote: ``problems/`` and ``hardware/*/*/``. Raises TqhwError where there is no such thing."""
    if not results.is_dir():
        raise TqhwError("no such folder", place=str(results), lever="name the results folder of a finished run")
    places = sorted(path.parent for path in (results / "hardware").glob("**/architecture.yaml"))
    if not places:
        raise TqhwError(
            "there is no hardware/*/architecture.yaml in it",
            place=str(results),
            lever="name the results folder of a finished run",
        )
    found = []
    for place in places:
        architecture = load_architecture(place / "architecture.yaml", place.name)
        own = place / "components_own.yaml"
        design = Design(
            str(place.relative_to(results)),
            architecture,
            flatten(architecture),
            read_text(place / "architecture.yaml"),
            read_text(own) if own.is_file() else "",
        )
        target = Target(design, load_ert(place / "ERT.yaml"), load_art(place / "ART.yaml"))
        evaluations = tuple(
            (f"{design.name}, {file.stem}", load_problem(results / "problems" / file.name), load_mapping(file))
            for file in sorted((place / "mappings").glob("*.yaml"))
        )
        found.append(Written(design.name, target, evaluations))
    return found


def verify(results: Path, reference: Reference, done: Callable[[int], None] | None = None) -> Verification:
    """Derives everything anew with ``reference`` and compares; ``done`` is called after every mapping.

    Tables are Accelergy's own of each architecture; mappings are evaluated with the tables that were used.
    """
    reference.versions()
    everything = written(results)
    differences: list[Difference] = []
    mappings = counts = 0
    for one in everything:
        theirs = reference.target(one.target.design)
        tables = list(_tables(one.folder, one.target, theirs))
        differences += [difference for same, difference in tables if not same]
        counts += len(tables)
        evaluations = [(problem, one.target, mapping) for _, problem, mapping in one.evaluations]
        answers = reference.evaluate_all(evaluations, done)
        for (where, problem, mapping), answer in zip(one.evaluations, answers, strict=True):
            ours = engine.evaluate(problem, one.target.hardware, one.target.ert, mapping)
            differences += compare(where, ours, answer)
            counts += _size(answer)
        mappings += len(answers)
    return Verification(len(everything), mappings, counts, tuple(differences))


def _tables(where: str, ours: Target, theirs: Target) -> Iterator[tuple[bool, Difference]]:
    """Every energy and area: whether it agrees, and how it differs."""
    for name in sorted({*ours.ert.energies, *theirs.ert.energies}):
        mine, other = ours.ert.energies.get(name, {}), theirs.ert.energies.get(name, {})
        for action in sorted({*mine, *other}):
            values = mine.get(action), other.get(action)
            yield _close(*values), Difference(where, name, "", f"pJ of a {action}", *values)
    for name in sorted({*ours.art.areas, *theirs.art.areas}):
        areas = ours.art.areas.get(name), theirs.art.areas.get(name)
        yield _close(*areas), Difference(where, name, "", "um^2", *areas)


def _close(mine: float | None, other: float | None) -> bool:
    if mine is None or other is None:
        return mine is other
    return math.isclose(mine, other, rel_tol=ENERGY_TOLERANCE)


def _size(answer: Stats | Invalid) -> int:
    """How many values an answer holds."""
    if isinstance(answer, Invalid):
        return 1
    per_level, per_space = 6, 6
    return 4 + sum(per_level + per_space * len(level.dataspaces) for level in answer.levels.values())
