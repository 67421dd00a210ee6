"""Container messages: a request as the worker reads it, and its answer as the host does."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from tests.fuzz import field
from tests.fuzz.kind import Kind
from tests.fuzz.outcomes import searched
from tqhw.backends.container import exchange
from tqhw.backends.container.exchange import Request
from tqhw.backends.container.worker import answer
from tqhw.backends.protocol import Design, Search
from tqhw.spec import flatten, parse_architecture, yamlio


@cache
def _requests() -> dict[str, Request]:
    problem, target, found = searched()
    architecture = parse_architecture(yamlio.parse(field.ARRAY, "array"), "array", "array")
    designs = (Design("array", architecture, flatten(architecture), field.ARRAY),)
    evaluations = ((problem, target, found.mapping),) * 2
    return {
        "versions": Request("embedded", "versions", {}),
        "target": Request("embedded", "target", {}, designs=designs),
        "evaluate": Request("embedded", "evaluate", {"jobs": 2}, evaluations=evaluations),
        "search": Request("embedded", "search", {}, jobs=((problem, target),), search=Search(cache=False)),
    }


def _read(folder: Path) -> None:
    verb = (folder / "verb.txt").read_text()
    asked = _requests()[verb]
    if (folder / exchange.REQUEST).is_file():
        request = exchange.read_request(folder)
        if request.inner == "embedded" and not request.search.cache:  # the other engine is no part of this
            exchange.write_answer(folder, {"ok": answer(replace(request, memory_bytes=0), folder)})
            asked = request
            verb = request.verb
    found = exchange.read_answer(folder)
    if found is None:
        return
    if verb == "versions":
        exchange.read_versions(found)
    elif verb == "target":
        exchange.read_targets(found, asked.designs)
    elif verb == "evaluate":
        exchange.read_evaluations(found, asked.evaluations)
    else:
        exchange.read_search(found, asked.jobs)


def _messages() -> list[dict[str, bytes]]:
    found = []
    for verb, request in _requests().items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            exchange.write_request(folder, request)
            found.append({"verb.txt": verb.encode(), exchange.REQUEST: (folder / exchange.REQUEST).read_bytes()})
            said = json.dumps({"ok": answer(request, folder)}).encode()
            found.append({"verb.txt": verb.encode(), exchange.ANSWER: said})
    refusal = {"error": {"message": "no", "place": None, "lever": "yes"}}
    return [*found, {"verb.txt": b"search", exchange.ANSWER: json.dumps(refusal).encode()}]


KINDS = (Kind("container messages", _messages, _read, targets=(".json",)),)
