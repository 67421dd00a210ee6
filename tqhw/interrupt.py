"""Ctrl-C while something must not be cut in two, or in processes that it is not meant for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held() -> Iterator[None]:
    """Keeps Ctrl-C waiting until the block ends; processes that are started in the block never see it.

    A terminal sends it to all processes of a command; the one that reads the keyboard ends the others.
    """
    if threading.current_thread() is not threading.main_thread():
        with _blocked():
            yield
        return
    # Blocking it in this thread is not enough: the system gives the signal to any other thread that takes it, and
    # Python then calls the handler here.
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        with _blocked():
            yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _blocked() -> Iterator[None]:
    """Processes inherit what the thread that starts them blocks."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
