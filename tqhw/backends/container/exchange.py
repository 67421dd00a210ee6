"""What goes into a container and comes out: one JSON document each way, in a folder that both sides see."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqhw.backends.protocol import Design, Evaluation, Found, Search, Target
from tqhw.errors import TqhwError
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

FORMAT = 3  # a new number for every change of what is exchanged: an image may be older than we are
REQUEST, ANSWER, PROGRESS = "request.json", "answer.json", "progress"


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
        "search": vars(request.search),
    }
    write_text(folder / REQUEST, json.dumps(document))


def read_request(folder: Path) -> Request:
    """The request in a folder. Raises TqhwError for one of another version of tqhw."""
    document = _read(folder / REQUEST)
    if document.get("format") != FORMAT:
        raise TqhwError(
            f"the request has format {document.get('format')!r}, this image reads {FORMAT}",
            place=str(folder),
            lever="build the image anew with `tqhw docker build`",
        )
    targets = [
        Target(_read_design(entry["design"]), _table(entry["ert"], parse_ert), _table(entry["art"], parse_art))
        for entry in document["targets"]
    ]

    def problem(entry: Mapping[str, Any]) -> Problem:
        return parse_problem(yamlio.parse(entry["problem"]), entry["name"], entry["name"])

    return Request(
        inner=document["inner"],
        verb=document["verb"],
        options=document["options"],
        memory_bytes=document["memory_bytes"],
        designs=tuple(_read_design(entry) for entry in document["designs"]),
        evaluations=tuple(
            (problem(entry), targets[entry["target"]], parse_mapping(entry["mapping"]))
            for entry in document["evaluations"]
        ),
        jobs=tuple((problem(entry), targets[entry["target"]]) for entry in document["jobs"]),
        search=Search(**document["search"]),
    )


def write_answer(folder: Path, answer: Mapping[str, Any]) -> None:
    """``{"ok": ...}`` or ``{"error": {"message", "place", "lever"}}``."""
    write_text(folder / ANSWER, json.dumps(answer))


def read_answer(folder: Path) -> Any | None:
    """The value of ``ok``; None where there is no answer. Raises the TqhwError that the inner backend raised."""
    if not (folder / ANSWER).is_file():
        return None
    answer = _read(folder / ANSWER)
    if "error" in answer:
        error = answer["error"]
        raise TqhwError(f"in the container: {error['message']}", place=error["place"], lever=error["lever"])
    return answer["ok"]


def read_stats(document: Mapping[str, Any]) -> Stats | Invalid:
    """The inverse of ``as_json``; floats come back bit by bit."""
    if not document["valid"]:
        return Invalid(tuple(Reason(**reason) for reason in document["reasons"]))
    return parse_stats(document)


_FOUND = ("proved_optimal", "evaluated", "seconds", "lower_bound", "gap", "warnings")


def found_json(answer: Found | Invalid, dimensions: tuple[str, ...]) -> dict[str, Any]:
    """A search's answer."""
    if isinstance(answer, Invalid):
        return answer.as_json()
    more = {key: getattr(answer, key) for key in _FOUND}
    return {"valid": True, "stats": answer.stats.as_json(), "mapping": directives(answer.mapping, dimensions), **more}


def read_found(document: Mapping[str, Any]) -> Found | Invalid:
    """The inverse of :func:`found_json`."""
    if not document["valid"]:
        return Invalid(tuple(Reason(**reason) for reason in document["reasons"]))
    stats = read_stats(document["stats"])
    assert isinstance(stats, Stats)
    more = {key: document[key] for key in _FOUND}
    return Found(parse_mapping(document["mapping"]), stats, **{**more, "warnings": tuple(more["warnings"])})


def target_json(target: Target) -> dict[str, Any]:
    """A design's tables."""
    tables = {"ert": dump_ert(target.ert), "art": dump_art(target.art)}
    return {**tables, "notes": list(target.notes), "table_source": target.table_source}


def read_target(document: Mapping[str, Any], design: Design) -> Target:
    """The inverse of :func:`target_json`, for the design that was asked about."""
    ert, art = _table(document["ert"], parse_ert), _table(document["art"], parse_art)
    return Target(design, ert, art, tuple(document["notes"]), document["table_source"])


def _table(text: str, parse: Any) -> Any:
    return parse(yamlio.parse(text), "container")


def _design(design: Design) -> dict[str, str]:
    return {"name": design.name, "text": design.text, "components_text": design.components_text}


def _read_design(entry: Mapping[str, str]) -> Design:
    architecture = parse_architecture(yamlio.parse(entry["text"], entry["name"]), entry["name"], entry["name"])
    return Design(entry["name"], architecture, flatten(architecture), entry["text"], entry["components_text"])


def _read(path: Path) -> Any:
    try:
        return json.loads(yamlio.read_text(path))
    except json.JSONDecodeError as error:
        raise TqhwError(f"not valid JSON: {error.msg}", place=str(path), lever="was the disk full?") from None
