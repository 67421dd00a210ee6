"""Ctrl-C and its kin: one exception that cleans up, waiting where something must not be cut in two."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class StopError(KeyboardInterrupt):
    """The process was asked to end by signal ``number``. What cleans up on Ctrl-C does so on every such signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_code(stop: KeyboardInterrupt) -> int:
    """128 and the signal, as shells have it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + (stop.number if isinstance(stop, StopError) else signal.SIGINT)


@contextmanager
def handled() -> Iterator[None]:
    """Raises StopError in the block on the first signal, so that all of them clean up.

    The second one does not disturb that; the third ends the process at once. What ignores a signal (nohup) stays so.
    After a stop the handlers stay for the process's last moments, too.
    """
    asked = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StopError(number)
        if asked > 2:
            os._exit(128 + number)
        if sys.stderr is not None:  # closed at the start: 2 may be any file's number by now
            with suppress(OSError, ValueError):  # a closed terminal sends SIGHUP, more than once
                os.write(sys.stderr.fileno(), b"tqhw: cleaning up; once more ends it at once\n")

    before = {number: signal.signal(number, stop) for number in _heeded()}
    try:
        yield
    finally:
        if not asked:
            _restore(before)


@contextmanager
def held() -> Iterator[None]:
    """Keeps these signals waiting until the block ends; processes that are started in the block never see Ctrl-C.

    A terminal sends it to all processes of a command; the one that reads the keyboard ends the others.
    """
    # Blocking it in this thread is not enough: the system gives the signal to any other thread that takes it, and
    # Python then calls the handler in the main thread.
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in _heeded()}
    try:
        with _blocked():
            yield
    finally:
        _restore(before)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def noted() -> Iterator[list[int]]:
    """Gives a list that names the signal which came in the block, for the block to end where its work is whole.

    A second one is handled at once, as before. What was noted is raised again after the block.
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if came:
            _restore(before)
            signal.raise_signal(number)
        came.append(number)

    before = {number: signal.signal(number, note) for number in _heeded()}
    try:
        yield came
    finally:
        _restore(before)
    if came:
        signal.raise_signal(came[0])


def _heeded() -> list[int]:
    """The signals that may be handled here: in the main thread, those that nobody wants ignored."""
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]


def _restore(before: dict[int, signal._HANDLER]) -> None:
    for number, handler in before.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def _blocked() -> Iterator[None]:
    """Processes inherit what the thread that starts them blocks: Ctrl-C, not what ends them one by one."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
