"""Whole networks: many layers, each searched once, over processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tqhw.errors import TqhwError
from tqhw.mapper.cache import MappingCache, cache_key
from tqhw.mapper.diagnosis import NoMapping, NoMappingError
from tqhw.mapper.search import SearchResult, check_options, search
from tqhw.spec import ERT, Hardware, Problem

FEW_COMPUTES = 1 << 20  # layers below this are done before a process has started


@dataclass(frozen=True)
class Task:
    """One layer on one piece of hardware."""

    problem: Problem
    hardware: Hardware
    ert: ERT


Answer = SearchResult | NoMapping


def search_many(
    tasks: Sequence[Task],
    objective: str = "energy",
    budget_s: float | None = None,
    jobs: int = 1,
    progress: Callable[[int, Answer], None] | None = None,
    cache: MappingCache | None = None,
) -> list[Answer]:
    """The answers in the order of the tasks, the same for any ``jobs``; equal tasks are searched once.

    ``progress`` is called in this process with a task's position and its answer. A task without a mapping is
    answered by its diagnosis. Raises what :func:`search` raises otherwise.
    """
    check_options(objective, budget_s)
    if jobs < 1:
        raise TqhwError(f"{jobs} jobs cannot search", place="jobs", lever="give at least 1")
    groups: dict[str, list[int]] = {}
    for i, task in enumerate(tasks):
        groups.setdefault(cache_key(task.problem, task.hardware, task.ert, objective), []).append(i)
    answers: dict[int, Answer] = {}

    def take(key: str, answer: Answer) -> None:
        for i in groups[key]:
            answers[i] = answer
            if progress is not None:
                progress(i, answer)

    path = None if cache is None else cache.path
    waiting: list[str] = []
    for key, members in groups.items():
        # What the cache holds, and what is small, is not worth another process.
        task = tasks[members[0]]
        if jobs == 1 or len(groups) == 1 or (cache is not None and cache.get(key) is not None):
            take(key, _answer(task, objective, budget_s, cache))
        else:
            waiting.append(key)
    # The first search compiles the kernels, unless numba's cache holds them; the processes then load them.
    waiting.sort(key=lambda key: tasks[groups[key][0]].problem.computes, reverse=True)
    while waiting and (len(answers) == 0 or tasks[groups[waiting[-1]][0]].problem.computes < FEW_COMPUTES):
        key = waiting.pop()
        take(key, _answer(tasks[groups[key][0]], objective, budget_s, cache))
    if waiting:
        with ProcessPoolExecutor(min(jobs, len(waiting)), multiprocessing.get_context("spawn")) as pool:
            futures = {pool.submit(_work, tasks[groups[key][0]], objective, budget_s, path): key for key in waiting}
            for future in as_completed(futures):
                take(futures[future], future.result())
    return [answers[i] for i in range(len(tasks))]


def _answer(task: Task, objective: str, budget_s: float | None, cache: MappingCache | None) -> Answer:
    try:
        return search(task.problem, task.hardware, task.ert, objective, budget_s, cache)
    except NoMappingError as error:
        return error.diagnosis


def _work(task: Task, objective: str, budget_s: float | None, path: Path | None) -> Answer:
    """One search in another process."""
    return _answer(task, objective, budget_s, None if path is None else MappingCache(path))
