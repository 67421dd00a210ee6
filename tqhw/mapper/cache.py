"""Mappings that were found before, kept by a hash of everything that the answer depends on.

Whoever takes an answer evaluates it again (:mod:`tqhw.mapper.kept`).
"""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from tqhw.engine import VERSION as ENGINE_VERSION
from tqhw.spec import ERT, Hardware, Problem
from tqhw.system.kept_answers import KeptAnswers, cache_folder, digest

VERSION = "8"  # raise it when the search may answer differently, or keeps its answers in another form


def default_path() -> Path:
    """``mappings.sqlite`` in the user's cache folder."""
    return cache_folder() / "mappings.sqlite"


def plain(value: Any) -> Any:
    """A value as JSON types, in a fixed order: the same text for the same content, wherever it stands."""
    if is_dataclass(value) and not isinstance(value, type):
        told = [f.name for f in fields(value) if f.compare and f.name != "component"]
        return {name: plain(getattr(value, name)) for name in told}
    if isinstance(value, MappingABC):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def problem_digest(problem: Problem) -> str:
    """SHA-256 of what a search reads of a problem."""
    return digest([plain(problem.shape), plain(problem.bounds), plain(problem.coefficients)])


def machine_digest(hardware: Hardware, ert: ERT) -> str:
    """SHA-256 of the levels with their constraints, and of their energies."""
    levels = [level.name for level in hardware.levels if level.kind == "storage"]
    names = [name for name in (*levels, hardware.compute.name) if name in ert.energies]
    return digest(
        {
            "levels": plain(hardware.levels),
            "compute": [hardware.compute.name, hardware.compute.meshX, hardware.compute.meshY],
            "energies": {name: plain(ert.energies[name]) for name in names},
        }
    )


def key_of(problem: str, machine: str, objective: str) -> str:
    """SHA-256 of two digests, the objective, and the versions of engine and search."""
    return digest([problem, machine, objective, ENGINE_VERSION, VERSION])


def cache_key(problem: Problem, hardware: Hardware, ert: ERT, objective: str) -> str:
    """Equal for searches that have the same answer."""
    return key_of(problem_digest(problem), machine_digest(hardware, ert), objective)


class MappingCache(KeptAnswers):
    """A file of answers. Several processes may use it at once."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(default_path() if path is None else path, "mappings", "mapping cache", "searched")
