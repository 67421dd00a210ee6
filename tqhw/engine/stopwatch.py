"""Seconds of work, without those in which a thread waited for kernels to be compiled, or loaded from disk.

What a search takes is then the same figure the first time on a machine as at any other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class _Compiling(threading.local):
    """What one thread has waited so far."""

    seconds = 0.0
    now = False


_COMPILING = _Compiling()


@contextmanager
def compiling() -> Iterator[None]:
    """The block's time is not on the stopwatches of this thread. Blocks may stand inside of one another."""
    if _COMPILING.now:
        yield
        return
    _COMPILING.now = True
    begin = time.perf_counter()
    try:
        yield
    finally:
        _COMPILING.seconds += time.perf_counter() - begin
        _COMPILING.now = False


def compiling_s() -> float:
    """What this thread has waited for kernels so far, in seconds: of use as a difference."""
    return _COMPILING.seconds


class Stopwatch:
    """Runs from when it is made, in the thread that made it."""

    def __init__(self) -> None:
        self._begin = time.perf_counter() - _COMPILING.seconds

    def seconds(self) -> float:
        """Wall-clock seconds so far, but for those spent on compiling."""
        return time.perf_counter() - _COMPILING.seconds - self._begin
