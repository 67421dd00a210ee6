"""Locks between processes. The system takes one back when its holder ends, however it ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from tqhw.errors import TqhwError

if sys.platform != "win32":
    import fcntl


def is_free(held: int) -> bool:
    """Whether nobody else holds the lock of an open file or folder; then it is ours until its number is closed."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def hold(path: Path) -> int | None:
    """Holds the lock of a file, which is made where it is missing, until the file number in the answer is closed.

    None where another holds it. Where the system or the disk has no locks everybody gets it. Raises OSError where
    the file cannot be made.
    """
    while True:
        held = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            if sys.platform != "win32":
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            return None
        except OSError:
            return held
        if os.fstat(held).st_nlink:
            return held
        os.close(held)  # the one before has removed it since we opened it


def claim(path: Path, place: Path, who: str, option: str) -> int:
    """:func:`hold`, for work that needs the folder ``place`` for itself, until :func:`release`.

    Raises TqhwError where another ``who`` is at work in it, and where nothing may be written; ``option`` names what to
    choose instead.
    """
    try:
        held = hold(path)
    except OSError as error:
        told = f"cannot be written: {error.strerror}"
        raise TqhwError(told, place=str(place), lever=f"choose another {option}") from None
    if held is None:
        lever = f"wait for its end, or choose another {option}"
        raise TqhwError(f"another {who} is at work in this folder", place=str(place), lever=lever)
    return held


def release(path: Path, held: int) -> None:
    """Gives up what :func:`claim` gave, and removes the file."""
    with suppress(OSError):
        path.unlink()
    os.close(held)
