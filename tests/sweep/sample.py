"""A sweep of a tiny network, and a cluster that is this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqhw.spec import yamlio
from tqhw.sweep.points import Sweep, load
from tqhw.sweep.runner import run
from tqhw.sweep.tasks import SweepTask, TaskOutcome, versions, work
from tqhw.system.progress import unwatched

EXPERIMENT: dict[str, Any] = {
    "name": "tiny",
    "model": {"name": "tests.pipeline.tiny:net", "input": [1, 1, 8, 8]},
    "bits": [2],
    "methods": ["truncquant"],
    "states": ["steady"],
    "quantization": {"first": None, "last": None},
    "spad_models": ["smartbuffer_rf"],
    "search": {"objective": "edp"},
}
GRID = {"bits": [2, 4], "architecture.params.pe_columns": [2, 4]}


def write(folder: Path, **blocks: Any) -> Path:
    """A sweep file."""
    path = folder / "sweep.yaml"
    path.write_text(yamlio.dump({"name": "tiny", "experiment": EXPERIMENT, **(blocks or {"grid": GRID})}))
    return path


def given(folder: Path, **blocks: Any) -> Sweep:
    """The sweep of such a file."""
    return load(write(folder, **blocks))


class Here:
    """Does every task in this process; keeps what it was asked."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: list[SweepTask] = []
        self.stop_after = stop_after

    def outcomes(self, tasks: Iterable[SweepTask]) -> Iterator[tuple[SweepTask, TaskOutcome]]:
        for task in tasks:
            if self.stop_after is not None and len(self.asked) == self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(task)
            yield task, work(versions(), task.kind, task.arguments)

    @contextmanager
    def start(self) -> Iterator[Any]:
        yield self


def done(sweep: Sweep, out: Path, cluster: Here | None = None) -> dict[str, int]:
    """Runs a sweep in this process."""
    return run(sweep, out, (cluster or Here()).start, watch=unwatched)


def content(out: Path) -> dict[str, list[Any]]:
    """Everything in a sweep's file that does not depend on the clock."""
    from tqhw.sweep.store import opened

    with opened(out) as store:
        tables = ("points", "outcomes", "fronts", "searches", "trainings", "meta")
        return {table: sorted(store.read(f"SELECT * FROM {table}"), key=str) for table in tables}
