"""The inside of a container: ``python -m tqhw.backends.container.worker FOLDER`` answers the request in FOLDER."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqhw.backends.container.exchange import (
    PROGRESS,
    Request,
    found_json,
    read_request,
    target_json,
    write_answer,
)
from tqhw.backends.protocol import Backend, Job
from tqhw.errors import TqhwError, unknown
from tqhw.system.json_files import checked

RUNS = "runs"
CACTI_SCRATCH = Path("/tmp/tqhw-cacti")  # where the image's link leads; the scratch folder is empty at every start


def answer(request: Request, folder: Path) -> dict[str, Any]:
    """What the request asks, as JSON. Raises TqhwError as the inner backend does."""
    if request.memory_bytes:
        # The engine's own limit holds for the whole container where it can set one; this one holds everywhere.
        resource.setrlimit(resource.RLIMIT_DATA, (request.memory_bytes, request.memory_bytes))
    backend = _backend(request, folder)
    progress = folder / PROGRESS

    def tick(_: object = None) -> None:
        with progress.open("a", encoding="ascii") as stream:
            stream.write(".")

    if request.verb == "versions":
        return {"versions": dict(backend.versions())}
    if request.verb == "target":
        return {"targets": [target_json(target) for target in backend.targets(request.designs, tick)]}
    if request.verb == "evaluate":
        if evaluate_all := getattr(backend, "evaluate_all", None):
            answers = evaluate_all(request.evaluations, tick)
        else:
            answers = []
            for evaluation in request.evaluations:
                answers.append(backend.evaluate(*evaluation))
                tick()
        return {"evaluations": [found.as_json() for found in answers]}
    if request.verb == "search":
        jobs = [Job(problem, target) for problem, target in request.jobs]
        found = backend.search(jobs, request.search, tick)
        return {"jobs": [found_json(one, job.problem.shape.dimensions) for one, job in zip(found, jobs, strict=True)]}
    raise unknown("verb", request.verb, ("versions", "target", "evaluate", "search"), str(folder))


def _backend(request: Request, folder: Path) -> Backend:
    if request.inner == "timeloop":
        from tqhw.backends.timeloop import Timeloop
        from tqhw.options import TimeloopOptions

        CACTI_SCRATCH.mkdir(parents=True, exist_ok=True)
        options = checked(TimeloopOptions, request.options, str(folder), what="the options of Timeloop")
        return Timeloop(options, folder=folder / RUNS)
    if request.inner == "embedded":
        from tqhw.backends.embedded import Embedded

        return Embedded()
    raise unknown("engine in the container", request.inner, ("timeloop", "embedded"), str(folder))


def main(arguments: Sequence[str]) -> int:
    """0 where the answer was written, an error being one."""
    folder = Path(arguments[0])
    try:
        write_answer(folder, {"ok": answer(read_request(folder), folder)})
    except TqhwError as error:
        write_answer(folder, {"error": {"message": error.message, "place": error.place, "lever": error.lever}})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
