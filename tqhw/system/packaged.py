"""What comes with tqhw: folders, inside the installed package or beside it in a checkout, and its own code."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tqhw.version import LOADED_AT

_PACKAGE = Path(__file__).resolve().parents[1]


def packaged(name: str, package: Path = _PACKAGE) -> Path:
    """The folder of that name, such as ``arch`` or ``experiments``."""
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name


@cache
def code_digest(*packages: str) -> str:
    """SHA-256 of tqhw's own sources and of the versions of Python and of ``packages``: what their answers depend on."""
    found = hashlib.sha256(repr([platform.python_version(), *map(_version, packages)]).encode())
    for file in _sources():
        found.update(file.read_bytes())
    return found.hexdigest()


def runs_as_read() -> bool:
    """Whether :func:`code_digest` is that of what runs: no source was changed since this process loaded tqhw."""
    stats = [file.stat() for file in _sources()]
    return all(max(found.st_mtime, found.st_ctime) < LOADED_AT for found in stats)


def _sources() -> list[Path]:
    """All of tqhw's; an editor's lock on one, a link that leads nowhere, is none."""
    return sorted(file for file in _PACKAGE.rglob("*.py") if file.is_file())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
