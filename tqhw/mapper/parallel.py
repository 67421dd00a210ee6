"""Whole networks: many layers, each searched once, over processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Generator, Iterator, Sequence
from collections.abc import Mapping as MappingABC
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tqhw.engine.interpreted import expect
from tqhw.errors import TqhwError
from tqhw.mapper.cache import MappingCache, key_of, machine_digest, problem_digest
from tqhw.mapper.kept import recalled
from tqhw.mapper.result import Answer, NoMappingError
from tqhw.mapper.search import PERFECT, budget_of, key_part, search
from tqhw.objectives import Goal, goal_of
from tqhw.spec import ERT, Hardware, Problem
from tqhw.system import signals
from tqhw.system.workers import as_done

T = TypeVar("T")
FEW_COMPUTES = 1 << 20  # layers below this are done before a process has started


@dataclass(frozen=True)
class Task:
    """One layer on one piece of hardware."""

    problem: Problem
    hardware: Hardware
    ert: ERT
    way: str = PERFECT


def search_many(
    tasks: Sequence[Task],
    objective: str | Goal = "energy",
    budget_s: float | None = None,
    jobs: int = 1,
    progress: Callable[[int, Answer], None] | None = None,
    cache: MappingCache | None = None,
) -> list[Answer]:
    """The answers in the order of the tasks, the same for any ``jobs``; equal tasks are searched once.

    ``progress`` is called in this process with a task's position and its answer. A task without a mapping is
    answered by its diagnosis. Raises what :func:`search` raises otherwise.
    """
    goal, budget_s = goal_of(objective), budget_of(budget_s)
    if jobs < 1:
        raise TqhwError(f"{jobs} jobs cannot search", place="jobs", lever="give at least 1")
    keys = search_keys(tasks, goal)
    groups: dict[str, list[int]] = {}
    for i, key in enumerate(keys):
        groups.setdefault(key, []).append(i)
    answers: dict[int, Answer] = {}

    def take(key: str, answer: Answer) -> None:
        for i in groups[key]:
            answers[i] = answer
            if progress is not None:
                progress(i, answer)

    kept = {} if cache is None else cache.get_all(groups)
    expect(len(kept))  # each is evaluated again
    waiting: list[str] = []
    for key, (i, *_) in groups.items():
        task, known = tasks[i], None
        if cache is not None:
            known = recalled(kept.get(key), cache, task.problem, task.hardware, task.ert, goal, budget_s)
        if known is not None:
            take(key, known)
        else:
            waiting.append(key)
    path = None if cache is None else cache.path
    # The smallest search goes first, in this process: it compiles the kernels, unless numba's cache holds them. The
    # processes then load them; searches that are done before a process has started stay here too.
    waiting.sort(key=lambda key: tasks[groups[key][0]].problem.computes, reverse=True)
    first = True
    while waiting and (first or jobs == 1 or tasks[groups[waiting[-1]][0]].problem.computes < FEW_COMPUTES):
        key = waiting.pop()
        take(key, _answer(tasks[groups[key][0]], goal, budget_s, cache))
        first = False
    calls = {key: (tasks[groups[key][0]], goal, budget_s, path) for key in waiting}
    lost: list[str] = []
    with closing(in_processes(_work, calls, jobs)) as found:  # what ends this block ends the processes
        for key, answer in found:
            if answer is None:
                lost.append(key)
            else:
                take(key, answer)
    if lost:
        task = tasks[groups[lost[0]][0]]
        more = f", and {len(lost) - 1} more," if len(lost) > 1 else ""
        raise TqhwError(
            f"the search of {task.problem.name} on {task.hardware.name}{more} lost its process twice, the second time "
            "with no other beside it, as happens where memory runs out",
            place="search",
            lever="give this machine more memory, or the layer a budget; what was found for other layers is kept",
        )
    return [answers[i] for i in range(len(tasks))]


def in_processes(
    work: Callable[..., T], calls: MappingABC[str, tuple[Any, ...]], jobs: int
) -> Generator[tuple[str, T | None], None, None]:
    """Every key with what ``work`` makes of its arguments, as they come, up to ``jobs`` side by side.

    A process that dies takes the others with it. Then what is left is tried once more, each alone: None where that
    dies, too.
    """
    left = dict(calls)
    try:
        with closing(_side_by_side(work, dict(calls), jobs)) as found:
            for key, value in found:
                del left[key]
                yield key, value
    except BrokenProcessPool:
        for key, arguments in left.items():
            try:
                ((_, value),) = _side_by_side(work, {key: arguments}, 1)
            except BrokenProcessPool:
                yield key, None
            else:
                yield key, value


def _side_by_side(
    work: Callable[..., T], calls: MappingABC[str, tuple[Any, ...]], jobs: int
) -> Generator[tuple[str, T], None, None]:
    if not calls:
        return
    with _pool(min(jobs, len(calls))) as pool:
        with signals.held():  # submitting starts the processes
            futures = {pool.submit(work, *arguments): key for key, arguments in calls.items()}
        for future in as_done(futures):
            yield futures[future], future.result()


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end at once, in the middle of a search, where the block does not end well."""
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            ended = set(multiprocessing.active_children()) - others
            for process in ended:
                process.terminate()
            for process in ended:
                process.join()
            raise


def search_keys(tasks: Sequence[Task], goal: Goal) -> list[str]:
    """The cache's key of every task: equal for tasks that have the same answer."""
    # Tasks share problems and hardware, which are hashed once each.
    problems: dict[int, str] = {}
    machines: dict[tuple[int, int], str] = {}
    keys = []
    for task in tasks:
        problem, machine = id(task.problem), (id(task.hardware), id(task.ert))
        if problem not in problems:
            problems[problem] = problem_digest(task.problem)
        if machine not in machines:
            machines[machine] = machine_digest(task.hardware, task.ert)
        keys.append(key_of(problems[problem], machines[machine], key_part(goal, task.way)))
    return keys


def _answer(task: Task, goal: Goal, budget_s: float | None, cache: MappingCache | None) -> Answer:
    try:
        return search(task.problem, task.hardware, task.ert, goal, budget_s, cache, task.way)
    except NoMappingError as error:
        return error.diagnosis


def _work(task: Task, goal: Goal, budget_s: float | None, path: Path | None) -> Answer:
    """One search in another process."""
    return _answer(task, goal, budget_s, None if path is None else MappingCache(path))
