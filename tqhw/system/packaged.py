"""What comes with tqhw: folders, inside the installed package or beside it in a checkout, and its own code."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def packaged(name: str, package: Path = _PACKAGE) -> Path:
    """The folder of that name, such as ``arch`` or ``experiments``."""
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name


@cache
def code_digest(*packages: str) -> str:
    """SHA-256 of tqhw's own sources and of the versions of Python and of ``packages``: what their answers depend on."""
    found = hashlib.sha256(repr([platform.python_version(), *map(_version, packages)]).encode())
    for file in sorted(_PACKAGE.rglob("*.py")):
        found.update(file.read_bytes())
    return found.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
