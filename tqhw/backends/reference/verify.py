"""An embedded run, derived again by the real Timeloop: every table and every mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from tqhw import engine
from tqhw.backends.costing import AREA, own_tables
from tqhw.backends.protocol import Backend, Design, Evaluation, Target
from tqhw.backends.reference.compare import Comparison, Difference, agree, comparisons, fields, verdict
from tqhw.backends.reference.packed import shared_limits
from tqhw.backends.words import with_word_bits
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
    yamlio,
)
from tqhw.spec.word_bits import WORDS, parse_word_bits
from tqhw.system.files import exists, read_text
from tqhw.system.json_files import checked, read_json

T = TypeVar("T")
_LEVER = "verify the whole folder of a finished run, as the run left it"


@runtime_checkable
class Reference(Backend, Protocol):
    """A backend that evaluates many mappings at once."""

    def evaluate_all(
        self, evaluations: Sequence[Evaluation], done: Callable[[int], None] | None = None
    ) -> list[Stats | Invalid]: ...


@dataclass(frozen=True)
class Verification:
    """The outcome: how much was compared, every difference, and what the real programs have no figure for."""

    architectures: int
    mappings: int
    values: int
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "architectures": self.architectures,
            "mappings": self.mappings,
            "values_compared": self.values,
            "differences": [vars(difference) for difference in self.differences],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Written:
    """One architecture of a results folder: its design, the tables that were used, its mappings by layer."""

    folder: str
    target: Target
    evaluations: tuple[tuple[str, Problem, Mapping], ...]


@dataclass(frozen=True)
class Run:
    """A results folder: what the run wrote, and what results.json says of every mapping, by its name in ``Written``.

    ``own``: energies and areas that are the user's and nobody's to check, by component; None: all of them.
    """

    architectures: tuple[Written, ...]
    reported: dict[str, list[dict[str, Any]]]
    own: dict[str, tuple[str, ...]] | None = field(default_factory=dict)

    @property
    def mappings(self) -> int:
        return sum(len(one.evaluations) for one in self.architectures)


def read_run(results: Path) -> Run:
    """Reads what a run left. Raises TqhwError for a folder of something else, and for one that is not whole."""
    if not results.is_dir():
        raise TqhwError("no such folder", place=str(results), lever="name the results folder of a finished run")
    places = sorted(path.parent for path in (results / "hardware").glob("**/architecture.yaml"))
    if not places:
        raise TqhwError(
            "there is no hardware/*/architecture.yaml in it",
            place=str(results),
            lever="name the results folder of a finished run",
        )
    _check_complete(results)
    document = _document(_Results, results / "results.json")
    multiplier = document.experiment.architecture.multiplier or "match"
    architectures = tuple(_written(results, place, multiplier) for place in places)
    reported: dict[str, list[dict[str, Any]]] = {}
    for where, said in _reported(results, document):
        reported.setdefault(where, []).append(said)
    energies = document.experiment.energy or _Energies()
    written = energies.source is None and any(own_tables(one.target.design) for one in architectures)
    own = (
        None
        if written or energies.source == "file"
        else {name: tuple(numbers) for name, numbers in energies.table.items()}
    )
    return Run(architectures, reported, own)


def _written(results: Path, place: Path, multiplier: str) -> Written:
    architecture = load_architecture(place / "architecture.yaml", place.name)
    own = place / "components_own.yaml"
    design = Design(
        str(place.relative_to(results)),
        architecture,
        flatten(architecture),
        read_text(place / "architecture.yaml"),
        read_text(own) if own.is_file() else "",
    )
    problems = place / "problems" if (place / "problems").is_dir() else results / "problems"
    evaluations = tuple(
        (f"{design.name}, {file.stem}", load_problem(problems / file.name), load_mapping(file))
        for file in sorted((place / "mappings").glob("*.yaml"))
    )
    if exists(place / WORDS):
        design = _with_words(design, place / WORDS, [problem for _, problem, _ in evaluations], multiplier)
    return Written(design.name, Target(design, load_ert(place / "ERT.yaml"), load_art(place / "ART.yaml")), evaluations)


def _with_words(design: Design, path: Path, problems: Sequence[Problem], multiplier: str) -> Design:
    """The design with the words of a run, whose file says bits and packing as an experiment does."""
    document = yamlio.as_map(yamlio.load(path), str(path), "words of a run")
    given = yamlio.as_map(document.get("word_bits"), str(path), "word_bits")
    words = parse_word_bits(given, str(document.get("packing", "pack")), str(path))
    if words.packing == "ideal":
        raise TqhwError(
            "words in rows that are filled to the last bit are in no memory",
            place=str(path),
            lever="verify a run with architecture.packing: pack",
        )
    if not problems:
        return design
    spaces = problems[0].shape.data_space_names
    return with_word_bits(design, words, problems[0].shape, multiplier, str(path), wide=spaces)


class _RecordedEvaluation(BaseModel):
    """What is no number is a difference."""

    files: str
    energy_pj: Any
    cycles: Any
    utilization: Any


class _RecordedLayer(BaseModel):
    evaluations: list[_RecordedEvaluation]


class _Architecture(BaseModel):
    params: dict[str, Any] = {}
    multiplier: str | None = None


class _Energies(BaseModel):
    source: str | None = None
    table: dict[str, dict[str, float]] = {}


class _Experiment(BaseModel):
    architecture: _Architecture
    energy: _Energies | None = None


class _Results(BaseModel):
    """Of results.json, what is verified."""

    experiment: _Experiment
    layers: list[_RecordedLayer]


class _ProblemFile(BaseModel):
    file: str


class _Problems(BaseModel):
    """problems/summary.json: a file for every layer, in the order of results.json."""

    layers: list[_ProblemFile]


def _check_complete(results: Path) -> None:
    """Raises TqhwError where files are missing that the run had written."""
    names = _document(list[str], results / "files.json")
    missing = [name for name in names if not exists(results / name)]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise TqhwError(f"{missing[0]}{more} of files.json missing", place=str(results), lever=_LEVER)


def _reported(results: Path, document: _Results) -> Iterator[tuple[str, dict[str, Any]]]:
    """(rendering and layer as in :class:`Written`, what results.json says of it).

    The energies of `packing: ideal` are left out: they are no program's.
    """
    problems = _document(_Problems, results / "problems" / "summary.json")
    if len(document.layers) != len(problems.layers):
        message = f"not what a run writes: {len(document.layers)} layers, {len(problems.layers)} of them in problems/"
        raise TqhwError(message, place=str(results / "results.json"), lever=_LEVER)
    ideal = document.experiment.architecture.params.get("packing") == "ideal"
    for layer, problem in zip(document.layers, problems.layers, strict=True):
        for one in layer.evaluations:
            said = one.model_dump(exclude={"files", "energy_pj"} if ideal else {"files"})
            yield f"{one.files}, {Path(problem.file).stem}", said


def _document(kind: type[T], path: Path) -> T:
    return checked(kind, read_json(path, _LEVER), str(path), _LEVER, "what a run writes")


def verify(run: Run, reference: Reference, done: Callable[[int], None] | None = None) -> Verification:
    """Derives everything anew with ``reference`` and compares; ``done`` is called after every table and mapping.

    Tables are Accelergy's own of each architecture; mappings are evaluated with the tables that were used, by this
    engine and by ``reference``, and both are held against what the run reported. A mapping that does not fit is a
    difference, even where both say so: the run had it.
    """
    reference.versions()
    compared = list(_comparisons(run, reference, done))
    differences = tuple(difference for same, difference in compared if not same)
    return Verification(len(run.architectures), run.mappings, len(compared), differences, tuple(_notes(run)))


def _comparisons(run: Run, reference: Reference, done: Callable[[int], None] | None) -> Iterator[Comparison]:
    unseen = dict(run.reported)
    tables = reference.targets([one.target.design for one in run.architectures], done)
    for one, theirs in zip(run.architectures, tables, strict=True):
        if run.own is not None:
            yield from _tables(one.folder, one.target, theirs, run.own)
        evaluations = [(problem, one.target, mapping) for _, problem, mapping in one.evaluations]
        answers = reference.evaluate_all(evaluations, done)
        for (where, problem, mapping), answer in zip(one.evaluations, answers, strict=True):
            said = unseen.pop(where, [])
            if not said:
                yield False, Difference(where, "", "", "mapping", "in its folder", "not in results.json")
            ours = engine.evaluate(problem, one.target.hardware, one.target.ert, mapping)
            if isinstance(ours, Invalid) and isinstance(answer, Invalid):
                yield False, Difference(where, "", "", "valid", "in the results", verdict(answer))
                continue
            yield from comparisons(where, ours, answer)
            if isinstance(answer, Stats):
                for values in said:
                    yield from fields(f"{where}, results.json", "", "", values, vars(answer))
    for where in unseen:
        yield False, Difference(where, "", "", "mapping", "in results.json", "not in its folder")


def _notes(run: Run) -> Iterator[str]:
    """What Timeloop has no figure for."""
    if run.own is None:
        yield "energies and areas are of the user's files: they are not compared"
    elif run.own:
        yield f"the user's own energies and areas are not compared: {', '.join(run.own)}"
    throttled: dict[str, int] = {}
    for one in run.architectures:
        for _, problem, mapping in one.evaluations:
            ours = engine.evaluate(problem, one.target.hardware, one.target.ert, mapping)
            for name in shared_limits(one.target.hardware, ours) if isinstance(ours, Stats) else ():
                throttled[name] = throttled.get(name, 0) + 1
    for name, count in throttled.items():
        yield (
            f"{name}: in {count} mappings the cycles are bound by a bandwidth that its data spaces share; Timeloop"
            " gives the words moved, and has no such bound for words of several widths"
        )


def _tables(where: str, ours: Target, theirs: Target, own: dict[str, tuple[str, ...]]) -> Iterator[Comparison]:
    """Every energy and area but the user's ``own``."""
    for name in sorted({*ours.ert.energies, *theirs.ert.energies}):
        mine, other = ours.ert.energies.get(name, {}), theirs.ert.energies.get(name, {})
        for action in sorted({*mine, *other} - set(own.get(name, ()))):
            values = mine.get(action), other.get(action)
            yield agree(*values), Difference(where, name, "", f"pJ of a {action}", *values)
    for name in sorted({*ours.art.areas, *theirs.art.areas}):
        if AREA in own.get(name, ()):
            continue
        areas = ours.art.areas.get(name), theirs.art.areas.get(name)
        yield agree(*areas), Difference(where, name, "", "um^2", *areas)
