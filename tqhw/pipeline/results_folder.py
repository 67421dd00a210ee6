"""The results folder: what is in it is always whole, and belongs to one run.

A run writes into a hidden folder inside and moves its files to their places when all of them are there; until then
the results of an earlier run stay as they were. While it is at work no other run may have the folder.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from tqhw.errors import TqhwError
from tqhw.system import locks, signals
from tqhw.system.files import is_file
from tqhw.system.json_files import checked, read_json

MANIFEST, RESULTS, PAGE, KEPT = "files.json", "results.json", "report.html", "kept"
LAST = (RESULTS, MANIFEST)  # their presence says that everything else is there
_STAGING, _LOCK = ".writing-", ".lock"


class OutputFolder:
    """A folder for results. Raises TqhwError, before any work is done, where it cannot be one.

    As a context it is this run's alone; entering raises TqhwError where another run is at work in it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._new = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = tempfile.TemporaryDirectory(dir=self.path, prefix=_STAGING)
        except FileExistsError:
            raise TqhwError("is a file, not a folder", place=str(path), lever="choose another --out") from None
        except OSError as error:
            raise _cannot_be_written(error, path) from None
        self._held: int | None = None
        probe.cleanup()
        ours = (RESULTS, MANIFEST, KEPT)
        if (self.path / PAGE).exists() and not any((self.path / name).exists() for name in ours):
            raise TqhwError(
                f"holds a {PAGE} that no run wrote", place=str(path), lever="choose another --out, or move it away"
            )

    def __enter__(self) -> OutputFolder:
        try:
            self._held = locks.claim(self.path / _LOCK, self.path, "run", "--out")
        except OSError as error:
            raise _cannot_be_written(error, self.path) from None
        self._sweep()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """A run that fails before anything is kept leaves no empty folders of its own behind."""
        if self._held is not None:
            locks.release(self.path / _LOCK, self._held)
        if kind is not None:
            for folder in self._new:
                with suppress(OSError):
                    folder.rmdir()  # refuses where something is inside

    def kept(self, name: str) -> Path:
        """Where long work, finished on its own, is kept for the next run."""
        return self.path / KEPT / name

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder to write the results into; they take their places when the block ends without an error."""
        self._sweep()
        staged = Path(tempfile.mkdtemp(dir=self.path, prefix=_STAGING))
        try:
            yield staged
            with signals.held():
                self._publish(staged)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _sweep(self) -> None:
        """Removes what a run left that was killed while it wrote."""
        for left in self.path.glob(f"{_STAGING}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _publish(self, staged: Path) -> None:
        new = sorted(str(file.relative_to(staged)) for file in staged.rglob("*") if file.is_file())
        (staged / MANIFEST).write_text(json.dumps(new, indent=1) + "\n", encoding="utf-8")
        old = self._manifest()
        try:
            for name in (*(n for n in new if n not in LAST), *(n for n in LAST if n in new or n == MANIFEST)):
                target = self.path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                (staged / name).replace(target)
            for name in sorted(set(old) - set(new)):
                (self.path / name).unlink(missing_ok=True)
                self._remove_empty((self.path / name).parent)
        except OSError as error:
            raise _cannot_be_written(error, error.filename) from None

    def _manifest(self) -> list[str]:
        """The files of the run before; only names inside the folder count."""
        path = self.path / MANIFEST
        try:
            listed = checked(list[str], read_json(path), str(path))
        except TqhwError:
            return []
        root = self.path.resolve()
        return [n for n in listed if is_file(self.path / n) and (self.path / n).resolve().is_relative_to(root)]

    def _remove_empty(self, folder: Path) -> None:
        while folder != self.path and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


def written(path: str | Path) -> datetime | None:
    """When the results that stand in a folder were written; None where there are none."""
    try:
        return datetime.fromtimestamp((Path(path) / RESULTS).stat().st_mtime)
    except OSError:
        return None


def _cannot_be_written(error: OSError, place: str | Path) -> TqhwError:
    return TqhwError(f"cannot be written: {error.strerror}", place=str(place), lever="choose another --out")
