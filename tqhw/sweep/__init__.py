"""Sweeps: an experiment with lists, ranges or draws for any of its keys, on Dask, kept in one SQLite file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqhw.sweep.cluster import Cluster, connected, local
    from tqhw.sweep.folder import first_reason, is_sweep, read_point, status, write_report
    from tqhw.sweep.page import write_page
    from tqhw.sweep.points import MANY, Point, Sweep, load
    from tqhw.sweep.runner import run
    from tqhw.sweep.store import DONE, IMPOSSIBLE, WAITING
    from tqhw.sweep.table import export, has_fronts, to_frame

_HOMES = {
    "Cluster": "cluster",
    "DONE": "store",
    "IMPOSSIBLE": "store",
    "MANY": "points",
    "Point": "points",
    "Sweep": "points",
    "WAITING": "store",
    "connected": "cluster",
    "export": "table",
    "first_reason": "folder",
    "has_fronts": "table",
    "is_sweep": "folder",
    "load": "points",
    "local": "cluster",
    "read_point": "folder",
    "run": "runner",
    "status": "folder",
    "to_frame": "table",
    "write_page": "page",
    "write_report": "folder",
}

__all__ = [
    "DONE",
    "IMPOSSIBLE",
    "MANY",
    "WAITING",
    "Cluster",
    "Point",
    "Sweep",
    "connected",
    "export",
    "first_reason",
    "has_fronts",
    "is_sweep",
    "load",
    "local",
    "read_point",
    "run",
    "status",
    "to_frame",
    "write_page",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Loads a module when something of it is asked for: workers that only search do without PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
