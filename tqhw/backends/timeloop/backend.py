"""The backend that runs the real timeloop-model, timeloop-mapper and accelergy on PATH."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from tqhw.backends.protocol import Design, Evaluation, Found, Job, Search, Target
from tqhw.backends.reference.compare import compare, verdict
from tqhw.backends.reference.one_width import search_by_one_width
from tqhw.backends.reference.packed import evaluate_split
from tqhw.backends.timeloop.accelergy import read_tables, run_accelergy
from tqhw.backends.timeloop.failures import (
    NOTHING_FOUND,
    Diagnosis,
    diagnoses,
    failure,
    invalid_mapping,
    nothing_found,
    tried_mappings,
)
from tqhw.backends.timeloop.probe import probe_model
from tqhw.backends.timeloop.programs import ACCELERGY_FILES, Programs, check_accelergy, find_programs
from tqhw.backends.timeloop.render import Renderer
from tqhw.backends.timeloop.runs import RunFolders, run_key, write_input
from tqhw.backends.timeloop.statistics import read_statistics
from tqhw.backends.uneven import check_perfect
from tqhw.backends.words import with_operands
from tqhw.engine.batch import BadMappingError, check_names, encode
from tqhw.errors import TqhwError
from tqhw.mapper.space.mapspace import build_mapspace
from tqhw.options import TimeloopOptions
from tqhw.spec import Invalid, Problem, Stats, load_mapping
from tqhw.spec import Mapping as LoopMapping
from tqhw.spec.links import forbid_links, name_links
from tqhw.spec.mapping import has_remainders
from tqhw.spec.yamlio import read_text
from tqhw.system.programs import Children
from tqhw.system.workers import as_done
from tqhw.version import __version__

_DIAGNOSTIC_TIMEOUT = 2000  # invalid mappings that are looked at to say why there is no valid one
_DIAGNOSTIC_BUDGET_S = 120.0

_MODEL, _MAPPER = "timeloop-model", "timeloop-mapper"

Answer = TypeVar("Answer")


class Timeloop:
    """Timeloop and Accelergy on PATH; every number comes from them.

    ``options`` limit the searches; ``folder``: where finished runs are kept for the next time, None keeps none;
    ``use_front_end``: False never takes timeloopfe, even where it is importable.
    """

    name = "timeloop"

    def __init__(
        self,
        options: TimeloopOptions | None = None,
        *,
        folder: Path | None = None,
        use_front_end: bool | None = None,
    ) -> None:
        self.options = options or TimeloopOptions()
        self.folders = RunFolders(folder)
        self.children = Children()
        self._use_front_end = use_front_end
        self._targets: dict[tuple[str, str], Target] = {}

    @cached_property
    def programs(self) -> Programs:
        """Where the programs are. Raises TqhwError where they are missing."""
        return find_programs()

    @cached_property
    def renderer(self) -> Renderer:
        return Renderer(self._use_front_end)

    @cached_property
    def _versions(self) -> dict[str, str]:
        found = self.programs.versions()
        check_accelergy(found["accelergy"])
        probe_model(self.programs.model, self.children)
        front_end = self.renderer.front_end
        return {"tqhw": __version__, **found, "front end": "none" if front_end is None else front_end.version}

    def versions(self) -> Mapping[str, str]:
        """The programs by their digests. Raises TqhwError where one is missing or counts otherwise than known."""
        return self._versions

    def target(self, design: Design) -> Target:
        """The design with Accelergy's tables, run once per text and reused."""
        key = (design.text, design.components_text)
        if key not in self._targets:
            text = self.renderer.accelergy(design)
            run = run_key(text, {name: self._versions[name] for name in ("accelergy", ACCELERGY_FILES)})
            target = None
            if (done := self.folders.finished(run)) is not None:
                try:
                    target = read_tables(design, done[0])
                except (TqhwError, OSError):
                    self.folders.discard(run)  # damaged since it was finished
            if target is None:
                with self.folders.open(run, "accelergy") as folder:
                    target = run_accelergy(
                        self.programs.accelergy, design, text, folder, self.children, self.options.model_budget_s
                    )
                    self.folders.finish(folder, 0.0)
            self._targets[key] = target
        return with_operands(replace(self._targets[key], design=design))

    def targets(self, designs: Sequence[Design], done: Callable[[int], None] | None = None) -> list[Target]:
        """Like :meth:`target` for many designs, side by side; ``done`` gets each one's number."""
        self.versions()
        return self._side_by_side(lambda i: self.target(designs[i]), len(designs), done, self.options.side_by_side)

    def evaluate(self, problem: Problem, target: Target, mapping: LoopMapping) -> Stats | Invalid:
        """timeloop-model on one mapping."""
        return self.evaluate_all([(problem, target, mapping)])[0]

    def evaluate_all(
        self, evaluations: Sequence[Evaluation], done: Callable[[int], None] | None = None
    ) -> list[Stats | Invalid]:
        """timeloop-model on many mappings side by side, answers in their order; ``done`` gets each one's number.

        Mappings on packed memories are evaluated by their splits (:mod:`tqhw.backends.reference.packed`).
        """
        return evaluate_split(evaluations, lambda plain, tell: self.read_all(plain, read_statistics, tell), done)

    def read_all(
        self,
        evaluations: Sequence[Evaluation],
        read: Callable[[Path, str, Problem, Target, LoopMapping], Answer],
        done: Callable[[int], None] | None = None,
    ) -> list[Answer | Invalid]:
        """Like :meth:`evaluate_all`, with ``read`` in place of ``read_statistics`` on the finished run folders."""
        inputs = [self._model_input(*evaluation) for evaluation in evaluations]

        def one(number: int) -> Answer | Invalid:
            problem, target, mapping = evaluations[number]
            text = inputs[number]
            if isinstance(text, Invalid):
                return text
            return self._model(text, target, lambda folder: read(folder, _MODEL, problem, target, mapping))

        return self._side_by_side(one, len(evaluations), done, self.options.side_by_side)

    def search(
        self, jobs: Sequence[Job], search: Search, done: Callable[[Job], None] | None = None
    ) -> list[Found | Invalid]:
        """timeloop-mapper on many problems side by side; finished ones are taken from the folder where there is one.

        The shorter of ``search.budget_s`` and the options' budget counts. Packed memories are searched and evaluated by
        machines with one word width per memory (:mod:`tqhw.backends.reference.one_width`). Raises, before any program
        runs, what the embedded mapper raises for constraints that contradict each other.
        """
        check_perfect(jobs, self.name)
        warnings = [build_mapspace(job.problem, job.target.hardware).warnings for job in jobs]
        budgets = [b for b in (search.budget_s, self.options.budget_s) if b is not None]
        options = replace(self.options, budget_s=min(budgets, default=None))

        def tell(number: int) -> None:
            if done is not None:
                done(jobs[number])

        def searching(asked: Sequence[Job]) -> list[Found | Invalid]:
            workers = options.jobs or max(1, search.jobs // options.num_threads)
            return self._side_by_side(lambda n: self._mapper(asked[n], search, options), len(asked), tell, workers)

        answers = search_by_one_width(jobs, searching, self.evaluate_all)
        return [
            replace(found, warnings=(*told, *found.warnings)) if isinstance(found, Found) else found
            for found, told in zip(answers, warnings, strict=True)
        ]

    def _side_by_side(
        self, one: Callable[[int], Answer], count: int, done: Callable[[int], None] | None, workers: int
    ) -> list[Answer]:
        answers: dict[int, Answer] = {}
        with self._stopping(), ThreadPoolExecutor(workers) as pool:
            try:
                futures: dict[Future[Answer], int] = {pool.submit(one, number): number for number in range(count)}
                for future in as_done(futures):
                    answers[futures[future]] = future.result()
                    if done is not None:
                        done(futures[future])
            except BaseException:
                # One failed, or Ctrl-C: the others are stopped; those that are done stay in the folder.
                pool.shutdown(wait=False, cancel_futures=True)
                self.children.stop()
                raise
        return [answers[number] for number in range(count)]

    @contextlib.contextmanager
    def _stopping(self) -> Iterator[None]:
        """After a stop the backend is usable again."""
        try:
            yield
        finally:
            if self.children.stopping.is_set():
                self.children = Children()

    def _model_input(self, problem: Problem, target: Target, mapping: LoopMapping) -> str | Invalid:
        """Levels that do not exist are told as the embedded engine tells them; other unknown names are a TqhwError."""
        try:
            check_names(problem, target.hardware, mapping)
            if has_remainders(mapping):
                # Raises what Timeloop takes without a word, or ends at.
                encode(problem, forbid_links(target.hardware, mapping), [mapping])
        except BadMappingError as bad:
            return Invalid(bad.reasons)
        return self.renderer.model(problem, target, mapping)

    def _model(self, text: str, target: Target, read: Callable[[Path], Answer]) -> Answer | Invalid:
        key = run_key(text, {"model": self._versions[_MODEL]})
        if (kept := self.folders.finished(key)) is not None:
            try:
                return read(kept[0])
            except (TqhwError, OSError):
                self.folders.discard(key)  # damaged since it was finished
        with self.folders.open(key, "model") as folder:
            write_input(folder, text)
            arguments = [str(self.programs.model), "input.yaml"]
            ended = self.children.run(arguments, folder, folder / f"{_MODEL}.log", self.options.model_budget_s)
            if not (folder / f"{_MODEL}.map+stats.xml").is_file():
                refused = None if ended.timed_out else invalid_mapping(ended.log, target.hardware)
                if refused is None:
                    raise failure(_MODEL, ended, target.design, folder)
                return refused
            answer = read(folder)
            self.folders.finish(folder, ended.seconds)
            return answer

    def _mapper(self, job: Job, search: Search, options: TimeloopOptions) -> Found | Invalid:
        text = self.renderer.mapper(job.problem, job.target, search.one_objective(self.name), options)
        budget = "" if options.budget_s is None else str(options.budget_s)
        programs = {"mapper": self._versions[_MAPPER], "model": self._versions[_MODEL]}
        key = run_key(text, {**programs, "budget_s": budget})
        if search.cache and (kept := self.folders.finished(key)) is not None:
            try:
                return self._found(*kept, job)
            except (TqhwError, OSError):
                self.folders.discard(key)  # damaged since it was finished
        with self.folders.open(key, "mapper") as folder:
            write_input(folder, text)
            log = folder / f"{_MAPPER}.log"
            arguments = [str(self.programs.mapper), "input.yaml"]
            ended = self.children.run(arguments, folder, log, options.budget_s)
            result = folder / f"{_MAPPER}.map+stats.xml"
            if result.is_file() and result.stat().st_size:
                found = self._found(folder, ended.seconds, job, fresh=True)
                self.folders.finish(folder, ended.seconds)
                return found
            if ended.timed_out or NOTHING_FOUND not in ended.log:
                raise failure(_MAPPER, ended, job.target.design, folder)
            return nothing_found(job.problem, self._diagnose(job, search, folder), tried_mappings(ended.log))

    def _found(self, folder: Path, seconds: float, job: Job, fresh: bool = False) -> Found:
        stats = read_statistics(folder, _MAPPER, job.problem, job.target)
        written = load_mapping(folder / f"{_MAPPER}.map.yaml")
        mapping = name_links(written, job.target.hardware, job.problem.shape.data_space_names)
        self._check(mapping, stats, job, folder / "check", fresh)
        log = (folder / f"{_MAPPER}.log").read_text(encoding="utf-8", errors="replace")
        return Found(mapping, stats, False, tried_mappings(log), seconds)

    def _check(self, mapping: LoopMapping, stats: Stats, job: Job, inside: Path, fresh: bool) -> None:
        """Raises TqhwError unless timeloop-model gives the mapping, as we read and hand it on, the mapper's numbers.

        ``inside``: the folder of that run. It is made for a ``fresh`` search, and must be there for a kept one.
        """
        text = self._model_input(job.problem, job.target, mapping)
        if isinstance(text, Invalid):
            raise _other_mapping(verdict(text), inside)
        if fresh:
            write_input(inside, text)
            arguments = [str(self.programs.model), "input.yaml"]
            ended = self.children.run(arguments, inside, inside / f"{_MODEL}.log", self.options.model_budget_s)
            if refused := invalid_mapping(ended.log, job.target.hardware):
                raise _other_mapping(verdict(refused), inside)
            if not (inside / f"{_MODEL}.map+stats.xml").is_file():
                raise failure(_MODEL, ended, job.target.design, inside)
        elif read_text(inside / "input.yaml") != text:
            raise _other_mapping("it is not the one that was checked", inside)
        again = read_statistics(inside, _MODEL, job.problem, job.target)
        if differences := compare(job.problem.name, again, stats):
            first = differences[0]
            where = ", ".join(part for part in (first.level, first.dataspace) if part)
            counts = f"{first.ours!r} by {_MODEL}, {first.theirs!r} by {_MAPPER}"
            raise _other_mapping(f"{first.count} {counts} ({where or 'the whole'})", inside)

    def _diagnose(self, job: Job, search: Search, folder: Path) -> tuple[Diagnosis, ...]:
        """Runs the search once more with diagnostics on, which slow it down and are told only at its end."""
        short = replace(self.options, num_threads=1, timeout=_DIAGNOSTIC_TIMEOUT)
        text = self.renderer.mapper(job.problem, job.target, search.one_objective(self.name), short, diagnostics=True)
        inside = folder / "diagnostics"
        write_input(inside, text)
        arguments = [str(self.programs.mapper), "input.yaml"]
        ended = self.children.run(arguments, inside, inside / f"{_MAPPER}.log", _DIAGNOSTIC_BUDGET_S)
        return diagnoses(ended.log)


def _other_mapping(why: str, folder: Path) -> TqhwError:
    return TqhwError(
        f"the mapping that timeloop-mapper wrote is not the one of its statistics: {why}",
        place=str(folder),
        lever="the search is not believed: are all of its files of one run, of a supported Timeloop?",
    )
