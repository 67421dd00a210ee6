"""Which files a specification may read: those in the folders it was given, and in folders that were allowed."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tqhw.errors import TqhwError


@dataclass(frozen=True)
class Folders:
    """``allowed``: real paths; a file is read only inside one of them."""

    allowed: tuple[Path, ...]

    @classmethod
    def of(cls, folders: Iterable[str | Path]) -> Folders:
        return cls(tuple(dict.fromkeys(Path(folder).resolve() for folder in folders)))

    def check(self, path: str | Path, place: str) -> Path:
        """The real path, where it is allowed. Raises TqhwError for what leaves the folders."""
        real = Path(path).resolve()
        if not any(real.is_relative_to(folder) for folder in self.allowed):
            raise TqhwError(
                f"'{path}' is outside the given folders",
                place=place,
                lever="allow its folder with --allow FOLDER, if you trust it",
            )
        return real

    def hits(self, pattern: str, search: Iterable[Path], place: str) -> list[Path]:
        """All files that a name or pattern finds in the folders of ``search``, in their order, each once.

        Raises TqhwError where there is none.
        """
        found: list[Path] = []
        for base in _bases(pattern, search):
            text = os.path.normpath(Path(glob.escape(str(base))) / pattern if base else pattern)
            found += [self.check(hit, place) for hit in sorted(glob.glob(text))]  # noqa: PTH207 - it may be absolute
        if not found:
            raise self._missing(pattern, search, place)
        return list(dict.fromkeys(found))

    def first(self, name: str, search: Iterable[Path], place: str) -> Path:
        """The first file or folder of that very name. Raises TqhwError where there is none."""
        for base in _bases(name, search):
            path = Path(os.path.normpath(base / name if base else name))
            if path.exists():
                return self.check(path, place)
        raise self._missing(name, search, place)

    def _missing(self, name: str, search: Iterable[Path], place: str) -> TqhwError:
        looked = ", ".join(str(folder) for folder in search)
        return TqhwError(f"there is no '{name}'", place=place, lever=f"looked in {looked}; add_to_path() adds a folder")


def _bases(name: str, search: Iterable[Path]) -> list[Path | None]:
    return [None] if Path(name).is_absolute() else [*search]
