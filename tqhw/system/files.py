"""Reading and writing files so that a failure is one clear message and never half a file."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from tqhw.errors import TqhwError
from tqhw.system import locks

_FRESH_S = 1.0  # what is younger may not have its lock yet


def exists(path: str | Path) -> bool:
    """Whether something is there; a path that is too long, or holds a zero byte, leads to nothing."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def is_file(path: str | Path) -> bool:
    """Whether a file is there, as :func:`exists`."""
    return exists(path) and Path(path).is_file()


def read_text(path: str | Path) -> str:
    """The text of a file, or a TqhwError that says why it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TqhwError("no such file", place=str(path)) from None
    except UnicodeDecodeError:
        raise TqhwError("not a text file in UTF-8", place=str(path)) from None
    except ValueError:  # a path with a zero byte
        raise TqhwError("no path", place=repr(str(path))) from None
    except OSError as error:
        raise TqhwError(f"cannot be read: {error.strerror}", place=str(path)) from None


def content_digest(path: str | Path) -> str | None:
    """SHA-256 of a file, or of a folder's files and their names; None where nothing is there.

    Raises TqhwError where it is there and cannot be read.
    """
    if not exists(path):
        return None
    place = Path(path)
    try:
        files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
        found = hashlib.sha256()
        for file in files:
            stat = file.stat()
            known = _file_digest(str(file.resolve()), stat.st_size, stat.st_mtime_ns)
            found.update(f"{file.relative_to(place).as_posix()} {known}\n".encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise TqhwError(f"cannot be read: {error.strerror}", place=str(error.filename or path)) from None
    return found.hexdigest()


@lru_cache(maxsize=100_000)
def _file_digest(path: str, size: int, changed: int) -> str:
    """Of a file that is read again when its size or its time has changed."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sweep(folder: Path, prefix: str) -> None:
    """Takes away temporary files and folders of that prefix which a killed process left: nobody holds their locks."""
    try:
        found = [path for path in folder.iterdir() if path.name.startswith(prefix)]
    except OSError:
        return
    for left in found:
        with suppress(OSError):  # not ours, or gone
            if time.time() - left.lstat().st_mtime < _FRESH_S or left.is_symlink():
                continue
            held = os.open(left, os.O_RDONLY)
            try:
                if locks.is_free(held):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            finally:
                os.close(held)


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A folder among the system's temporary ones that is gone afterwards; after a SIGKILL, with the next one."""
    sweep(Path(tempfile.gettempdir()), prefix)
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        held = os.open(name, os.O_RDONLY)
        try:
            locks.is_free(held)
            yield Path(name)
        finally:
            os.close(held)


def write_text(path: str | Path, text: str) -> None:
    """Writes a file whole or not at all: under a temporary name first, then renamed."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes a file whole or not at all: under a temporary name first, then renamed."""
    write_together({path: content})


def write_together(contents: Mapping[str | Path, bytes]) -> None:
    """Writes files all of them whole, or none: all under temporary names first, then renamed."""
    temporary: dict[Path, Path] = {}
    target = Path()
    try:
        for target, content in ((Path(path), content) for path, content in contents.items()):
            target.parent.mkdir(parents=True, exist_ok=True)
            prefix = f".{target.name}."
            sweep(target.parent, prefix)
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=prefix)
            temporary[target] = Path(name)
            with os.fdopen(handle, "wb") as stream:
                locks.is_free(handle)
                stream.write(content)
            umask = os.umask(0)
            os.umask(umask)
            temporary[target].chmod(0o666 & ~umask)
        for target, made in temporary.items():
            made.replace(target)
    except OSError as error:
        raise _unwritable(str(target), str(error.strerror)) from None
    finally:
        for made in temporary.values():
            made.unlink(missing_ok=True)


def is_read(path: str | Path, inputs: Iterable[str]) -> bool:
    """Whether a file is one of the ``inputs``, which may be patterns."""
    hits = (hit for given in inputs for hit in (given, *glob.glob(given)))  # noqa: PTH207 - it may be absolute
    return Path(path).resolve() in {Path(hit).resolve() for hit in hits}


def check_destinations(given: Mapping[str, str | Path | None], inputs: Iterable[str] = ()) -> None:
    """Raises TqhwError where a file to be written, by the option that names it, would be refused, before long work.

    So are those that are read: one of the ``inputs``. Nothing is made. None, and ``-`` for standard output, are no
    files.
    """
    taken: dict[Path, str] = {}
    for option, path in given.items():
        if path is None or str(path) == "-":
            continue
        target = Path(path)
        there = next(parent for parent in (target.absolute(), *target.absolute().parents) if os.path.lexists(parent))
        if there == target.absolute() and there.is_dir():
            raise _unwritable(f"{option} {path}", "it is a folder")
        folder = there.parent if there == target.absolute() else there
        if not folder.is_dir():
            raise _unwritable(f"{option} {path}", f"{folder} is no folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _unwritable(f"{option} {path}", f"{folder} may not be written to")
        if is_read(target, inputs):
            raise _unwritable(f"{option} {path}", f"{target} is read, too")
        if (other := taken.setdefault(target.resolve(), option)) != option:
            raise TqhwError(f"{other} names the same file", place=f"{option} {path}", lever="give each one of its own")


def _unwritable(place: str, why: str) -> TqhwError:
    return TqhwError(f"cannot be written: {why}", place=place, lever="choose another place")
