"""Standard output, which compiled code may write to where nobody asked it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def silent_stdout() -> Iterator[None]:
    """Nothing that is written to standard output inside arrives there, by C's printf either.

    It is the whole process's, other threads' too: keep the block short. Without a standard output nothing is done.
    """
    sys.stdout.flush()
    _flush_c()
    try:
        kept = os.dup(1)
    except OSError:  # it is closed
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        _flush_c()
        os.dup2(kept, 1)
        os.close(kept)


def _flush_c() -> None:
    with suppress(OSError, AttributeError, TypeError):  # TypeError: a system whose C library is found otherwise
        ctypes.CDLL(None).fflush(None)
