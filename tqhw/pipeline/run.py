"""The main job: an experiment in, tables, figures and results.json out."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqhw.system.packaged import packaged

if TYPE_CHECKING:
    from tqhw.backends import Backend, Settings
    from tqhw.experiment import Experiment
    from tqhw.pipeline.hardware import Evaluated
    from tqhw.pipeline.kept_subject import Subject
    from tqhw.pipeline.measured import Pending
    from tqhw.pipeline.results_folder import OutputFolder
    from tqhw.results import Results
    from tqhw.system.progress import Watcher
    from tqhw.workload import Workload


def run(
    experiment: Experiment,
    out: str | Path | None = None,
    *,
    watch: Watcher | None = None,
    jobs: int = 1,
    cache: bool = True,
    strict: bool = False,
    trust: bool = False,
    command: Sequence[str] = (),
) -> Results:
    """Runs an experiment; with ``out``, the results folder is written too.

    ``watch`` is told of the stages (see :mod:`tqhw.system.progress`). ``jobs`` above 1: so many processes search
    mappings and, beside them, train; a script that asks for them needs ``if __name__ == "__main__"``. ``cache`` lets
    searches use and keep answers of earlier runs; so with networks and figures. Neither changes a number. ``strict``
    refuses attributes of the architecture that nothing reads. ``trust`` has a model factory called even if it does not
    declare to give a model. Raises TqhwError for whatever is wrong with the experiment, the model, the architecture or
    the folder; results of an earlier run then stay as they are.
    """
    from tqhw.backends import Search, backend
    from tqhw.pipeline import hardware, kept_subject
    from tqhw.pipeline.assemble import assemble
    from tqhw.pipeline.results_folder import OutputFolder
    from tqhw.system.progress import unwatched

    started = time.perf_counter()
    watch = watch or unwatched
    engine = backend(experiment.backend, backend_settings(experiment, out))
    engine.versions()  # an engine that cannot run says so before anything else
    if out is not None:
        _check_figures()
    search = Search(experiment.search.objective, jobs=jobs, cache=cache)
    with nullcontext() if out is None else OutputFolder(out) as folder:
        _check_joined(experiment)
        made = partial(_subject, experiment, trust)
        about = kept_subject.kept(experiment, made) if cache else made()
        workload = about.workload
        for note in workload.notes:
            logging.getLogger("tqhw").warning(note)
        with _measuring(experiment, folder.kept if folder else None, jobs) as pending:
            source = None if experiment.energy is None else experiment.energy.source
            kept = folder.kept(source) if folder and cache and source in ("accelergy", "hwcomponents") else None
            evaluated = hardware.evaluate(experiment, workload, engine, search, watch, strict, about.scales, kept)
            measured = pending.rows(watch)
        results = assemble(
            experiment,
            workload,
            evaluated,
            measured,
            about.scales,
            (*about.notes, *pending.notes),
            about.switching,
        )
        results = replace(results, provenance=_provenance(experiment, engine, evaluated, command, started))
        if folder is not None:
            _write(results, folder, workload, evaluated, watch, cache)
    return results


def _subject(experiment: Experiment, trust: bool) -> Subject:
    from tqhw.pipeline.subject import subject  # loads PyTorch

    return subject(experiment, trust)


def _check_figures() -> None:
    from tqhw.report import figures

    figures.check()


def _check_joined(experiment: Experiment) -> None:
    from tqhw.pipeline.measured import measures

    if measures(experiment):
        from tqhw.pipeline import accuracy  # loads PyTorch

        accuracy.check_joined(experiment)


def _measuring(
    experiment: Experiment, kept: Callable[[str], Path] | None, jobs: int
) -> AbstractContextManager[Pending]:
    from tqhw.pipeline.measured import Known, measures, not_measured

    if not measures(experiment):
        return nullcontext(Known(not_measured(experiment)))
    from tqhw.pipeline import accuracy  # loads PyTorch

    return accuracy.measuring(experiment, kept, jobs)


def backend_settings(experiment: Experiment, out: str | Path | None) -> Settings:
    """What the experiment says to its backend; finished layers are kept below ``out``."""
    from tqhw.backends import Settings

    return Settings(
        timeloop=experiment.timeloop,
        container=experiment.container,
        folder=None if out is None else Path(out) / "kept" / "timeloop",
    )


def _write(
    results: Results,
    folder: OutputFolder,
    workload: Workload,
    evaluated: tuple[Evaluated, ...],
    watch: Watcher,
    cache: bool,
) -> None:
    from tqhw import report
    from tqhw.pipeline import artifacts

    with folder.staging() as staged, watch("writing", 2) as tick:
        artifacts.write(staged, workload, evaluated)
        tick()
        report.write(results, staged, cache=cache)
        tick()


def _provenance(
    experiment: Experiment,
    engine: Backend,
    evaluated: tuple[Evaluated, ...],
    command: Sequence[str],
    started: float,
) -> dict[str, Any]:
    sources = dict.fromkeys(r.target.table_source for one in evaluated for r in one.renderings.values())
    return {
        "versions": {
            "python": platform.python_version(),
            "torch": version("torch"),
            **engine.versions(),
        },
        "backend": engine.name,
        "table_source": list(sources),
        "seed": experiment.seed,
        "command": list(command),
        "platform": platform.platform(),
        "warnings": _warnings(evaluated),
        "wall_seconds": round(time.perf_counter() - started, 1),
    }


def _warnings(evaluated: tuple[Evaluated, ...]) -> list[str]:
    searches = {text for one in evaluated for found in one.found.values() for text in found.warnings}
    files = {text for one in evaluated for rendering in one.renderings.values() for text in rendering.warnings}
    return [*sorted(files), *sorted(searches)]


def default_experiment() -> Path:
    """experiments/quickstart.yaml: of the repository, or the copy inside the wheel."""
    return packaged("experiments") / "quickstart.yaml"
