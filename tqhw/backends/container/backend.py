"""The backend that runs Timeloop in a container: one container per request, however many layers it has."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tqhw.backends.container.engines import Engine, explain, find_engine
from tqhw.backends.container.exchange import (
    Request,
    read_answer,
    read_evaluations,
    read_search,
    read_targets,
    read_versions,
    write_request,
)
from tqhw.backends.container.run import CANNOT_START, container_name, kill, run_container
from tqhw.backends.protocol import Design, Evaluation, Found, Job, Search, Target
from tqhw.backends.reference.one_width import search_by_one_width
from tqhw.backends.reference.packed import evaluate_split
from tqhw.backends.timeloop.runs import hold
from tqhw.backends.uneven import check_perfect
from tqhw.backends.words import with_operands
from tqhw.engine.batch import BadMappingError, check_names
from tqhw.errors import TqhwError
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.options import ContainerOptions, TimeloopOptions
from tqhw.spec import Invalid, Problem, Stats
from tqhw.spec import Mapping as LoopMapping

_OUT_OF_MEMORY = re.compile(r"MemoryError|bad_alloc|(?:memory allocation|cannot allocate|out of memory)", re.IGNORECASE)
_NAME_TAKEN = re.compile(r"name \S+ is already in use", re.IGNORECASE)


class ContainerBackend:
    """Timeloop and Accelergy of an image; only a run folder is mounted, and the network is off.

    ``timeloop``: options of the runs inside. ``folder``: the run folder, kept and resumed where it is given. ``inner``:
    what answers in the container; an image without Timeloop has only the embedded engine.
    """

    name = "container"

    def __init__(
        self,
        options: ContainerOptions | None = None,
        *,
        timeloop: TimeloopOptions | None = None,
        folder: Path | None = None,
        inner: Literal["timeloop", "embedded"] = "timeloop",
    ) -> None:
        self.options = options or ContainerOptions()
        self.timeloop = timeloop or TimeloopOptions()
        self.folder = folder
        self.inner = inner
        self._targets: dict[tuple[str, str], Target] = {}

    @cached_property
    def engine(self) -> Engine:
        return find_engine(self.options.engine)

    @cached_property
    def _versions(self) -> dict[str, str]:
        engine, image = self.engine, self.options.image
        found = {engine.name: engine.version(), "image": f"{image} {engine.image_id(image)}"}
        inside = read_versions(self._request("versions", {}))
        return {**found, **{f"{key} (in the image)": value for key, value in inside.items()}}

    def versions(self) -> Mapping[str, str]:
        """Engine, image, and the programs inside. Raises TqhwError with the command that mends what is missing."""
        return self._versions

    def target(self, design: Design) -> Target:
        """The design with the tables of the container's Accelergy, once per design."""
        return self.targets([design])[0]

    def targets(self, designs: Sequence[Design], done: Callable[[int], None] | None = None) -> list[Target]:
        """Many designs in one container; ``done`` is called after each, with how many were finished before it."""
        new = tuple({_key(design): design for design in designs if _key(design) not in self._targets}.values())
        if new:
            for target in read_targets(self._request("target", {"designs": new}, done), new):
                self._targets[_key(target.design)] = target
        return [with_operands(replace(self._targets[_key(design)], design=design)) for design in designs]

    def evaluate(self, problem: Problem, target: Target, mapping: LoopMapping) -> Stats | Invalid:
        """One mapping; for many :meth:`evaluate_all` starts one container instead of many."""
        return self.evaluate_all([(problem, target, mapping)])[0]

    def evaluate_all(
        self, evaluations: Sequence[Evaluation], done: Callable[[int], None] | None = None
    ) -> list[Stats | Invalid]:
        """Many mappings in one container; ``done`` gets each one's number.

        Mappings on packed memories are evaluated by their splits (:mod:`tqhw.backends.reference.packed`).
        """
        return evaluate_split(evaluations, self._evaluate_plain, done)

    def _evaluate_plain(
        self, evaluations: Sequence[Evaluation], done: Callable[[int], None] | None
    ) -> list[Stats | Invalid]:
        if not evaluations:
            return []
        for problem, target, mapping in evaluations:
            with contextlib.suppress(BadMappingError):  # an answer, which the engine inside gives
                check_names(problem, target.hardware, mapping)
        fields = {"evaluations": tuple(evaluations)}
        return read_evaluations(self._request("evaluate", fields, done), evaluations)

    def search(
        self, jobs: Sequence[Job], search: Search, done: Callable[[Job], None] | None = None
    ) -> list[Found | Invalid]:
        """Many searches in one container. Constraints are checked before it starts, as the embedded mapper does.

        Packed memories are searched and evaluated by machines with one word width per memory
        (:mod:`tqhw.backends.reference.one_width`), in two containers.
        """
        check_perfect(jobs, self.name)
        for job in jobs:
            build_mapspace(job.problem, job.target.hardware)

        def tell(number: int) -> None:
            if done is not None:
                done(jobs[number])

        wanted = replace(search, objective=search.one_objective(self.name))  # what was added is not known inside

        def searching(asked: Sequence[Job]) -> list[Found | Invalid]:
            fields = {"jobs": tuple((job.problem, job.target) for job in asked), "search": wanted}
            return read_search(self._request("search", fields, tell), asked)

        return search_by_one_width(jobs, searching, self.evaluate_all)

    def _request(
        self, verb: str, fields: Mapping[str, Any], done: Callable[[int], None] | None = None
    ) -> Mapping[str, Any]:
        options = self.options
        request = Request(self.inner, verb, asdict(self.timeloop), options.memory_mb * 1024 * 1024, **fields)
        with self._folder() as folder:
            write_request(folder, request)
            name = container_name(folder)
            arguments = (self.engine, options.image, folder, name, options.memory_mb, options.time_limit_s, done)
            ended = run_container(*arguments)
            if ended.returncode == CANNOT_START and _NAME_TAKEN.search(ended.log):
                kill(self.engine, name)
                ended = run_container(*arguments)
            answer = read_answer(folder)
            if answer is None:
                raise _no_answer(self.engine, ended.returncode, ended.timed_out, ended.log, options, folder)
            return answer

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        """The run folder: the given one, or one that is removed when all went well."""
        given = self.folder
        if given is not None:
            folder = Path(given).absolute() / "container"
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                message = f"the run folder cannot be made: {error.strerror}"
                raise TqhwError(message, place=str(folder), lever="choose another folder") from None
            held = hold(folder)
            if held is None:
                message = "another run is at work in this folder"
                raise TqhwError(message, place=str(folder), lever="wait for its end, or choose another folder")
            try:
                yield folder
            finally:
                os.close(held)
            return
        folder = Path(tempfile.mkdtemp(prefix="tqhw-container-"))
        try:
            yield folder
        except KeyboardInterrupt:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _key(design: Design) -> tuple[str, str]:
    return design.text, design.components_text


def _no_answer(
    engine: Engine, code: int, timed_out: bool, log: str, options: ContainerOptions, folder: Path
) -> TqhwError:
    if timed_out:
        return TqhwError(
            f"the container was stopped after its time limit of {options.time_limit_s:g} s",
            place=str(folder),
            lever="raise time_limit_s; what was finished is kept where a run folder is given",
        )
    if code == 137 or _OUT_OF_MEMORY.search(log):
        return TqhwError(
            f"the container ran out of its {options.memory_mb} MB of memory (exit code {code})",
            place=str(folder),
            lever="raise memory_mb, or lower jobs and num_threads",
        )
    if code in (CANNOT_START, 126, 127):
        return explain(engine, options.image, log)
    said = " ".join(log.split())[-600:] or "it said nothing"
    return TqhwError(
        f"the container ended with exit code {code} and no answer: {said}",
        place=str(folder / "container.log"),
        lever=f"is '{options.image}' an image of this tqhw? `tqhw docker build` makes one",
    )
