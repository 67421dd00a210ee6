"""Work in processes of its own, while this one does something else."""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from tqhw.errors import TqhwError
from tqhw.system import signals
from tqhw.system.progress import Tick

T = TypeVar("T")
LOOK_S = 0.5  # how often a silent process is looked after


class Aside(Generic[T]):
    """Calls of one function that are under way, in the order of their arguments."""

    def __init__(self, processes: Sequence[Any], messages: Any) -> None:
        self._processes = processes
        self._messages = messages

    def results(self, tick: Tick) -> list[T]:
        """Waits for all of them; ``tick`` is told how many steps they have done together.

        Raises the TqhwError that a call raised, and one of its own where a process ended without an answer.
        """
        answers: dict[int, T] = {}
        steps = [0] * len(self._processes)
        while len(answers) < len(self._processes):
            try:
                index, kind, value = self._messages.get(timeout=LOOK_S)
            except queue.Empty:
                lost = [i for i, p in enumerate(self._processes) if i not in answers and p.exitcode not in (None, 0)]
                if lost:
                    raise TqhwError(
                        f"a process ended with code {self._processes[lost[0]].exitcode} before it was done",
                        place="--jobs",
                        lever="was memory short? --jobs 1 does one thing at a time; what it wrote is kept",
                    ) from None
                continue
            if kind == "error":
                raise value
            if kind == "step":
                steps[index] = value
                tick(sum(steps))
            else:
                answers[index] = value
        return [answers[i] for i in range(len(self._processes))]


@contextmanager
def aside(function: Callable[..., T], calls: Sequence[tuple[Any, ...]]) -> Iterator[Aside[T]]:
    """Starts ``function(tell, *arguments)`` for every entry of ``calls``; ``tell(steps)`` says how far it is.

    Function and arguments must be picklable. Leaving the block ends what is still running.
    """
    context = multiprocessing.get_context("spawn")
    messages = context.Queue()
    processes = [
        context.Process(target=_child, args=(messages, index, function, arguments), daemon=True)
        for index, arguments in enumerate(calls)
    ]
    with signals.held():
        for process in processes:
            process.start()
    try:
        yield Aside(processes, messages)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        messages.close()


def as_done(futures: Collection[Future[T]]) -> Iterator[Future[T]]:
    """The futures, each as it ends.

    Python calls the handler of a signal in the main thread, and nothing wakes that one where the signal came a moment
    before it began to wait, or to another thread: it looks up every LOOK_S (as_completed sleeps through).
    """
    left = set(futures)
    while left:
        done, left = wait(left, LOOK_S, FIRST_COMPLETED)
        yield from done


def _end_with_parent() -> None:
    """Ends this process when its parent is gone, by SIGKILL too: the next run writes where this one would go on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _child(messages: Any, index: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.getLogger("tqhw").addHandler(logging.NullHandler())  # the process that started this one has told it
    try:
        value = function(lambda steps: messages.put((index, "step", steps)), *arguments)
    except TqhwError as error:
        messages.put((index, "error", error))
    else:
        messages.put((index, "result", value))
