"""Run folders: one per run, kept when it fails, found again when it is done."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tqhw.errors import TqhwError
from tqhw.spec.yamlio import write_text
from tqhw.system import files, locks
from tqhw.system.programs import StoppedError

DONE, LOCK = "done.json", "lock"


def run_key(text: str, versions: dict[str, str]) -> str:
    """Hash of everything that a run's outcome depends on: its whole input and the programs."""
    identity = json.dumps([text, versions], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


class RunFolders:
    """Where runs are made: below ``root``, kept by their key and found again, or in passing without a root."""

    def __init__(self, root: Path | None) -> None:
        self.root = root

    def _make_root(self, root: Path) -> None:
        try:
            root.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise TqhwError("is a file, not a folder", place=str(root), lever="choose another folder") from None
        except OSError as error:
            message = f"run folders cannot be made here: {error.strerror}"
            raise TqhwError(message, place=str(root), lever="choose another folder") from None

    def finished(self, key: str) -> tuple[Path, float] | None:
        """The folder of a finished run, and the seconds it took."""
        if self.root is None:
            return None
        folder = self.root / key
        try:
            return folder, float(json.loads((folder / DONE).read_text(encoding="utf-8"))["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # never started, or killed in between: it runs again

    def discard(self, key: str) -> None:
        """Forgets a finished run: it is made again."""
        if self.root is not None:
            shutil.rmtree(self.root / key, ignore_errors=True)

    def finish(self, folder: Path, seconds: float) -> None:
        """Marks a run as done, last and whole or not at all; below a root it gets its place now."""
        write_text(folder / DONE, json.dumps({"seconds": round(seconds, 3)}) + "\n")
        if self.root is None:
            return
        place = self.root / folder.name.partition(".")[0]
        shutil.rmtree(place, ignore_errors=True)
        try:
            folder.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # then another run has just come to the same end
                raise _cannot_be_made(error, place) from None
            shutil.rmtree(folder, ignore_errors=True)
        (place / LOCK).unlink(missing_ok=True)  # in its place it is not swept

    @contextmanager
    def open(self, key: str, name: str) -> Iterator[Path]:
        """An empty folder for a run, which no other run shares.

        Without a root it is removed when the run succeeds, and kept when it fails; below a root :meth:`finish` keeps
        it under its key, and what a run left that failed or was killed goes when the same run is started again.
        """
        try:
            if self.root is not None:
                self._make_root(self.root)
                self._sweep(self.root, key)
            folder = Path(tempfile.mkdtemp(prefix=f"tqhw-{name}-", dir=self.root))
            held = hold(folder)
            if self.root is not None:
                # Under its key only now that it is held: another run with the same key would sweep it away.
                folder = folder.rename(self.root / f"{key}.{folder.name.rpartition('-')[2]}")
        except OSError as error:
            raise _cannot_be_made(error, self.root or Path(tempfile.gettempdir())) from None
        try:
            yield folder
        except StoppedError:
            shutil.rmtree(folder, ignore_errors=True)  # nothing is wrong with the run
            raise
        finally:
            if held is not None:
                os.close(held)
        if self.root is None:
            shutil.rmtree(folder, ignore_errors=True)

    def _sweep(self, root: Path, key: str) -> None:
        for left in root.glob(f"{key}.*"):
            with contextlib.suppress(FileNotFoundError):  # another run may sweep, too
                held = hold(left)
                if held is not None:  # else a run is at work in it
                    shutil.rmtree(left, ignore_errors=True)
                    os.close(held)


def hold(folder: Path) -> int | None:
    """Holds a run's folder as long as this process lives, by the file number to be closed; None where another does."""
    return locks.hold(folder / LOCK)


def _cannot_be_made(error: OSError, place: Path) -> TqhwError:
    return TqhwError(
        f"a run folder cannot be made: {error.strerror}",
        place=str(error.filename or place),
        lever="free some space, or set TMPDIR or another folder",
    )


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder that is gone afterwards, whatever happens. Raises TqhwError where it cannot be made."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(files.scratch(f"tqhw-{name}-scratch-"))
        except OSError as error:
            raise _cannot_be_made(error, Path(tempfile.gettempdir())) from None
        yield folder


def write_input(folder: Path, text: str, name: str = "input.yaml") -> Path:
    """The run's input file, in a folder that is made where it is missing."""
    path = folder / name
    try:
        folder.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise TqhwError(message, place=str(path), lever="free some space, or choose another folder") from None
    return path
