"""Run folders: one per run, kept when it fails, found again when it is done."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqhw.backends.timeloop.process import StoppedError
from tqhw.errors import TqhwError
from tqhw.spec.yamlio import write_text

DONE = "done.json"


def run_key(text: str, versions: dict[str, str]) -> str:
    """Hash of everything that a run's outcome depends on: its whole input and the programs."""
    identity = json.dumps([text, versions], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


class RunFolders:
    """Where runs are made: below ``root`` by their key and found again, or in passing without a root."""

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

    def finish(self, folder: Path, seconds: float) -> None:
        """Marks a run as done; the mark is written last, and whole or not at all."""
        write_text(folder / DONE, json.dumps({"seconds": round(seconds, 3)}) + "\n")

    @contextmanager
    def open(self, key: str, name: str) -> Iterator[Path]:
        """An empty folder for a run. Without a root it is removed when the run succeeds, and kept when it fails."""
        try:
            if self.root is not None:
                self._make_root(self.root)
                folder = self.root / key
                if folder.exists():
                    shutil.rmtree(folder)  # what a run left that was killed
                folder.mkdir()
            else:
                folder = Path(tempfile.mkdtemp(prefix=f"tqhw-{name}-"))
        except OSError as error:
            raise TqhwError(
                f"a run folder cannot be made: {error.strerror}",
                place=str(error.filename or self.root),
                lever="free some space, or set TMPDIR or another folder",
            ) from None
        try:
            yield folder
        except StoppedError:
            shutil.rmtree(folder, ignore_errors=True)  # nothing is wrong with the run
            raise
        if self.root is None:
            shutil.rmtree(folder, ignore_errors=True)


def write_input(folder: Path, text: str) -> Path:
    """The run's input file."""
    path = folder / "input.yaml"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise TqhwError(message, place=str(path), lever="free some space, or choose another folder") from None
    return path
