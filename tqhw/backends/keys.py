"""What tells whether two searches, or two tables, are one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tqhw import mapper
from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Backend, Design, Job
from tqhw.backends.settings import Settings
from tqhw.objectives import Goal
from tqhw.options import EnergyOptions


def digest(content: Any) -> str:
    """SHA-256 of JSON types."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def search_keys(engine: Backend, jobs: Sequence[Job], objective: Goal, settings: Settings) -> list[str]:
    """Equal for jobs to which the engine has the same answer: what the mapping cache goes by, and the engine."""
    tasks = [mapper.Task(job.problem, job.target.hardware, job.target.ert, job.way) for job in jobs]
    keys = mapper.search_keys(tasks, objective)
    if isinstance(engine, Embedded):
        return keys
    who = _who(engine, settings)
    return [digest([key, who, _design(job.target.design)]) for key, job in zip(keys, jobs, strict=True)]


def table_key(engine: Backend, design: Design, options: EnergyOptions | None, settings: Settings) -> str:
    """Equal for designs that the engine gives the same energies and areas."""
    chosen = None if options is None else asdict(options)
    return digest([_who(engine, settings), _design(design), chosen])


def _who(engine: Backend, settings: Settings) -> list[Any]:
    told = [None if part is None else asdict(part) for part in (settings.timeloop, settings.container)]
    return [engine.name, dict(engine.versions()), *told]


def _design(design: Design) -> list[Any]:
    return [design.name, design.text, design.components_text, repr(design.operands), repr(design.digits)]
