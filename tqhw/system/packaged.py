"""The folders that come with tqhw: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def packaged(name: str, package: Path = _PACKAGE) -> Path:
    """The folder of that name, such as ``arch`` or ``experiments``."""
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name
