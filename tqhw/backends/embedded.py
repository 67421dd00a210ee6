"""The default backend: packaged tables, our mapper and our engine, in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

import tqhw
from tqhw import energy, engine, mapper
from tqhw.backends.protocol import Design, Found, Job, Search, Target
from tqhw.spec import Invalid, Problem, Stats, yamlio
from tqhw.spec import Mapping as LoopMapping


class Embedded:
    """Nothing but Python packages; its counts are Timeloop's (docs/engine.md)."""

    name = "embedded"

    def versions(self) -> Mapping[str, str]:
        return {
            "tqhw": tqhw.__version__,
            "engine": engine.VERSION,
            "numpy": version("numpy"),
            "numba": version("numba"),
        }

    def target(self, design: Design) -> Target:
        own = None
        if design.components_text:
            document = yamlio.parse(design.components_text, f"components of {design.name}")
            own = energy.parse_components(document, f"components of {design.name}")
        tables = energy.tables(design.architecture, own)
        notes = tuple(f"{note.component}: {note.text}" for note in tables.notes)
        return Target(design, tables.ert, tables.art, notes, tables.ert.source)

    def evaluate(self, problem: Problem, target: Target, mapping: LoopMapping) -> Stats | Invalid:
        return engine.evaluate(problem, target.hardware, target.ert, mapping)

    def search(
        self, jobs: Sequence[Job], search: Search, done: Callable[[Job], None] | None = None
    ) -> list[Found | Invalid]:
        found: list[Found | Invalid] = []
        for job in jobs:
            result = mapper.search(job.problem, job.target.hardware, job.target.ert, search.objective, search.budget_s)
            found.append(Found(result.mapping, result.stats, result.proved_optimal, result.evaluated, result.seconds))
            if done is not None:
                done(job)
        return found
