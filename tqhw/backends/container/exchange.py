"""What goes into a container and comes out: one JSON document each way, in a folder that both sides see."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field

from tqhw.backends.protocol import Design, Evaluation, Found, Job, Search, Target
from tqhw.errors import TqhwError, shown
from tqhw.spec import (
    Invalid,
    Problem,
    Reason,
    Stats,
    directives,
    dump_art,
    dump_ert,
    dump_problem,
    flatten,
    parse_architecture,
    parse_art,
    parse_ert,
    parse_mapping,
    parse_problem,
    yamlio,
)
from tqhw.spec.stats import parse_stats
from tqhw.system.files import write_text
from tqhw.system.json_files import checked, read_json

FORMAT = 4  # a new number for every change of what is exchanged: an image may be older than we are
REQUEST, ANSWER, PROGRESS = "request.json", "answer.json", "progress"
_DISK = "was the disk full? run it again"
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One verb on many things.

    ``verb``: versions, target (of ``designs``), evaluate (``evaluations``) or search (``jobs``, by ``search``).
    ``options`` are the inner backend's; ``memory_bytes`` limits its process, 0 for no limit.
    """

    inner: str
    verb: str
    options: Mapping[str, Any]
    memory_bytes: int = 0
    designs: tuple[Design, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    jobs: tuple[tuple[Problem, Target], ...] = ()
    search: Search = Search()


def write_request(folder: Path, request: Request) -> None:
    """Writes the request whole or not at all, and takes an old answer away."""
    for name in (ANSWER, PROGRESS):
        (folder / name).unlink(missing_ok=True)
    targets: dict[int, tuple[int, Target]] = {}

    def number(target: Target) -> int:
        return targets.setdefault(id(target), (len(targets), target))[0]

    evaluations = [
        {
            "problem": dump_problem(problem),
            "name": problem.name,
            "target": number(target),
            "mapping": directives(mapping, problem.shape.dimensions),
        }
        for problem, target, mapping in request.evaluations
    ]
    jobs = [
        {"problem": dump_problem(problem), "name": problem.name, "target": number(target)}
        for problem, target in request.jobs
    ]
    document = {
        "format": FORMAT,
        "inner": request.inner,
        "verb": request.verb,
        "options": dict(request.options),
        "memory_bytes": request.memory_bytes,
        "designs": [_design(design) for design in request.designs],
        "targets": [
            {"design": _design(target.design), "ert": dump_ert(target.ert), "art": dump_art(target.art)}
            for _, target in targets.values()
        ],
        "evaluations": evaluations,
        "jobs": jobs,
        "search": asdict(request.search),
    }
    write_text(folder / REQUEST, json.dumps(document))


class _Design(BaseModel):
    name: str
    text: str
    components_text: str


class _Tables(BaseModel):
    design: _Design
    ert: str
    art: str


class _Job(BaseModel):
    problem: str
    name: str
    target: Annotated[int, Field(ge=0)]


class _EvaluationJob(_Job):
    mapping: list[dict[str, Any]]


class _Request(BaseModel):
    """request.json, behind its format's number."""

    inner: str
    verb: str
    options: dict[str, Any]
    memory_bytes: Annotated[int, Field(ge=0, lt=2**63)]
    designs: list[_Design]
    targets: list[_Tables]
    evaluations: list[_EvaluationJob]
    jobs: list[_Job]
    search: Search


def read_request(folder: Path) -> Request:
    """The request in a folder. Raises TqhwError for one of another version of tqhw, and for what is no request."""
    place = str(folder / REQUEST)
    document = read_json(place, _DISK)
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise TqhwError(
            f"the request has format {shown(found)}, this image reads {FORMAT}",
            place=str(folder),
            lever="build the image anew with `tqhw docker build`",
        )
    asked = checked(_Request, document, place, _DISK, "a request")
    targets = [
        Target(_read_design(one.design), _table(one.ert, parse_ert), _table(one.art, parse_art))
        for one in asked.targets
    ]

    def problem_on_target(job: _Job) -> tuple[Problem, Target]:
        if job.target >= len(targets):
            raise TqhwError(f"there is no target {job.target} among {len(targets)}", place=place, lever=_DISK)
        return parse_problem(yamlio.parse(job.problem, place), job.name, job.name), targets[job.target]

    return Request(
        inner=asked.inner,
        verb=asked.verb,
        options=asked.options,
        memory_bytes=asked.memory_bytes,
        designs=tuple(map(_read_design, asked.designs)),
        evaluations=tuple((*problem_on_target(one), parse_mapping(one.mapping, place)) for one in asked.evaluations),
        jobs=tuple(map(problem_on_target, asked.jobs)),
        search=asked.search,
    )


def write_answer(folder: Path, answer: Mapping[str, Any]) -> None:
    """``{"ok": ...}`` or ``{"error": {"message", "place", "lever"}}``."""
    write_text(folder / ANSWER, json.dumps(answer))


class _Error(BaseModel):
    message: str
    place: str | None
    lever: str | None


class _Answer(BaseModel):
    """answer.json: one of the two."""

    ok: dict[str, Any] | None = None
    error: _Error | None = None


class _Targets(BaseModel):
    """What the verb ``target`` answers."""

    targets: list[dict[str, Any]]


class _TargetTables(BaseModel):
    ert: str
    art: str
    notes: tuple[str, ...]
    table_source: str


class _Refusal(BaseModel):
    valid: Literal[False]
    reasons: tuple[Reason, ...]


class _Versions(BaseModel):
    versions: dict[str, str]


class _Evaluated(BaseModel):
    """What the verb ``evaluate`` answers."""

    evaluations: list[dict[str, Any]]


class _Searched(BaseModel):
    """What the verb ``search`` answers."""

    jobs: list[dict[str, Any]]


def read_answer(folder: Path) -> dict[str, Any] | None:
    """The value of ``ok``; None where there is no answer. Raises the TqhwError that the inner backend raised."""
    path = folder / ANSWER
    if not path.is_file():
        return None
    found = checked(_Answer, read_json(path, _DISK), str(path), _DISK, "an answer")
    if found.error is not None:
        raise TqhwError(f"in the container: {found.error.message}", place=found.error.place, lever=found.error.lever)
    if found.ok is None:
        raise TqhwError("not an answer: it holds neither 'ok' nor 'error'", place=str(path), lever=_DISK)
    return found.ok


def read_versions(answer: Mapping[str, Any]) -> dict[str, str]:
    """The inner backend's versions."""
    return checked(_Versions, answer, ANSWER, _DISK, "an answer to 'versions'").versions


def read_targets(answer: Mapping[str, Any], designs: Sequence[Design]) -> list[Target]:
    """The tables of ``designs``, in their order."""
    found = checked(_Targets, answer, ANSWER, _DISK, "an answer to 'target'").targets
    return [read_target(one, design) for one, design in _each(found, designs)]


def read_evaluations(answer: Mapping[str, Any], evaluations: Sequence[Evaluation]) -> list[Stats | Invalid]:
    """The costs of ``evaluations``, in their order."""
    found = checked(_Evaluated, answer, ANSWER, _DISK, "an answer to 'evaluate'").evaluations
    return [read_stats(one) for one, _ in _each(found, evaluations)]


def read_search(answer: Mapping[str, Any], jobs: Sequence[Job]) -> list[Found | Invalid]:
    """What was found for ``jobs``, in their order."""
    found = checked(_Searched, answer, ANSWER, _DISK, "an answer to 'search'").jobs
    return [read_found(one) for one, _ in _each(found, jobs)]


def _each(found: list[dict[str, Any]], asked: Sequence[T]) -> list[tuple[dict[str, Any], T]]:
    if len(found) != len(asked):
        raise TqhwError(f"{len(found)} answers to {len(asked)} questions", place=ANSWER, lever=_DISK)
    return list(zip(found, asked, strict=True))


def read_stats(document: Mapping[str, Any]) -> Stats | Invalid:
    """The inverse of ``as_json``; floats come back bit by bit."""
    return _refusal(document) or parse_stats(document, ANSWER)


def _refusal(document: Mapping[str, Any]) -> Invalid | None:
    if document.get("valid") is not False:
        return None
    return Invalid(checked(_Refusal, document, ANSWER, _DISK, "a refusal").reasons)


_FOUND = ("proved_optimal", "evaluated", "seconds", "lower_bound", "gap", "warnings")


def found_json(answer: Found | Invalid, dimensions: tuple[str, ...]) -> dict[str, Any]:
    """A search's answer."""
    if isinstance(answer, Invalid):
        return answer.as_json()
    more = {key: getattr(answer, key) for key in _FOUND}
    return {"valid": True, "stats": answer.stats.as_json(), "mapping": directives(answer.mapping, dimensions), **more}


class _FoundJson(BaseModel):
    """What :func:`found_json` makes of a mapping that was found."""

    valid: Literal[True]
    stats: dict[str, Any]
    mapping: list[dict[str, Any]]
    proved_optimal: bool
    evaluated: int
    seconds: float
    lower_bound: float | None
    gap: float | None
    warnings: tuple[str, ...]


def read_found(document: Mapping[str, Any]) -> Found | Invalid:
    """The inverse of :func:`found_json`."""
    refused = _refusal(document)
    if refused is not None:
        return refused
    found = checked(_FoundJson, document, ANSWER, _DISK, "what a search found")
    more = {key: getattr(found, key) for key in _FOUND}
    return Found(parse_mapping(found.mapping, ANSWER), parse_stats(found.stats, ANSWER), **more)


def target_json(target: Target) -> dict[str, Any]:
    """A design's tables."""
    tables = {"ert": dump_ert(target.ert), "art": dump_art(target.art)}
    return {**tables, "notes": list(target.notes), "table_source": target.table_source}


def read_target(document: Mapping[str, Any], design: Design) -> Target:
    """The inverse of :func:`target_json`, for the design that was asked about."""
    found = checked(_TargetTables, document, ANSWER, _DISK, "a design's tables")
    tables = _table(found.ert, parse_ert), _table(found.art, parse_art)
    return Target(design, *tables, found.notes, found.table_source)


def _table(text: str, parse: Callable[[Any, str], T]) -> T:
    return parse(yamlio.parse(text, "container"), "container")


def _design(design: Design) -> dict[str, str]:
    return {"name": design.name, "text": design.text, "components_text": design.components_text}


def _read_design(entry: _Design) -> Design:
    architecture = parse_architecture(yamlio.parse(entry.text, entry.name), entry.name, entry.name)
    return Design(entry.name, architecture, flatten(architecture), entry.text, entry.components_text)
