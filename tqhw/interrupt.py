"""Ctrl-C while something must not be cut in two, or in processes that it is not meant for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held() -> Iterator[None]:
    """Keeps Ctrl-C waiting until the block ends; processes that are started in the block never see it.

    A terminal sends it to all processes of a command; the one that reads the keyboard ends the others.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
