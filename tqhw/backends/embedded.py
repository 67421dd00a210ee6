"""The default backend: packaged tables, our mapper and our engine, in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

from tqhw import energy, engine, mapper
from tqhw.backends.protocol import Design, Found, Job, Search, Target
from tqhw.backends.uneven import told
from tqhw.spec import Invalid, Problem, Reason, Stats
from tqhw.spec import Mapping as LoopMapping
from tqhw.version import __version__


class Embedded:
    """Nothing but Python packages; its counts are Timeloop's (docs/engine.md)."""

    name = "embedded"

    def __init__(self, adder: str = energy.ADDERS[0]) -> None:
        self.adder = adder

    def versions(self) -> Mapping[str, str]:
        return {
            "tqhw": __version__,
            "engine": engine.VERSION,
            "numpy": version("numpy"),
            "numba": version("numba"),
        }

    def target(self, design: Design) -> Target:
        own = energy.own_components(design.components_text, design.name)
        tables = energy.tables(design.architecture, own, operands=design.operands, adder=self.adder)
        notes = tuple(f"{note.component}: {note.text}" for note in tables.notes)
        return Target(design, tables.ert, tables.art, notes, tables.ert.source)

    def targets(self, designs: Sequence[Design], done: Callable[[int], None] | None = None) -> list[Target]:
        found = []
        for number, design in enumerate(designs):
            found.append(self.target(design))
            if done is not None:
                done(number)
        return found

    def evaluate(self, problem: Problem, target: Target, mapping: LoopMapping) -> Stats | Invalid:
        return engine.evaluate(problem, target.hardware, target.ert, mapping)

    def search(
        self, jobs: Sequence[Job], search: Search, done: Callable[[Job], None] | None = None
    ) -> list[Found | Invalid]:
        tasks = [mapper.Task(job.problem, job.target.hardware, job.target.ert, job.way) for job in jobs]

        def tell(position: int, answer: mapper.Answer) -> None:
            if done is not None:
                done(jobs[position])

        answers = mapper.search_many(
            tasks,
            search.objective,
            search.budget_s,
            jobs=search.jobs,
            progress=tell,
            cache=mapper.MappingCache() if search.cache else None,
        )
        return [_found(answer, job) for answer, job in zip(answers, jobs, strict=True)]


def _found(answer: mapper.Answer, job: Job) -> Found | Invalid:
    if isinstance(answer, mapper.SearchResult):
        return Found(
            mapping=answer.mapping,
            stats=answer.stats,
            proved_optimal=answer.proved_optimal,
            evaluated=answer.evaluated,
            seconds=answer.seconds,
            lower_bound=answer.lower_bound,
            gap=answer.gap,
            front=answer.front,
            warnings=(*answer.warnings, *told(answer, job.problem, job.target.hardware)),
            padded=answer.padded,
            whole=answer.whole,
            kept=answer.cached,
        )
    levers = f"; relaxing {' or '.join(answer.levers)} would admit one" if answer.levers else ""
    whole = Reason(job.target.hardware.name, "capacity", 0, 0, f"{answer.message}{levers}")
    return Invalid(answer.reasons or (whole,))
