"""``tqhw run``: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tqhw.cli.common import Trust, console, guarded, say, tell_hints
from tqhw.system.processors import processors


@guarded
def run(
    experiment: Annotated[
        Path | None, typer.Argument(help="An experiment file; without one, experiments/quickstart.yaml.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Results folder; without one, results/NAME.")] = None,
    backend: Annotated[str | None, typer.Option(help="Engine; goes before the experiment's own.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Changes a key, e.g. scenario.layout=packed.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes that search and train; without it, one per processor.")
    ] = None,
    trust: Trust = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Searches, builds and draws everything anew.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuses attributes that nothing reads.")] = False,
    keys: Annotated[bool, typer.Option("--keys", help="Lists every key of an experiment and stops.")] = False,
) -> None:
    """Runs an experiment: accuracies, energy, traffic, storage.

    Prints them as tables, and writes a results folder.
    """
    from tqhw import report
    from tqhw.experiment import keys_table, load
    from tqhw.pipeline.results_folder import written
    from tqhw.pipeline.run import default_experiment
    from tqhw.pipeline.run import run as run_experiment
    from tqhw.system.progress import bars, saying

    if keys:
        sys.stdout.write(keys_table())
        return
    changes = [*(settings or []), *([f"backend={backend}"] if backend is not None else [])]
    chosen = load(experiment or default_experiment(), changes)
    folder = out or Path("results") / chosen.name
    watch = bars(console(stderr=True))
    earlier = written(folder)
    if earlier is not None:
        told = f"{folder} holds results of {earlier:%Y-%m-%d %H:%M}, which this run replaces when it is done"
        text = f"{told}; another --out keeps them"
        watch = saying(watch, lambda: console().print(text, highlight=False, markup=False, soft_wrap=True))
    results = run_experiment(
        chosen,
        folder,
        watch=watch,
        jobs=jobs or processors(),
        cache=not no_cache,
        strict=strict,
        trust=trust,
        command=sys.argv,
    )
    for warning in results.provenance["warnings"]:
        say(warning)
    screen = console()
    for table in report.tables(results):
        screen.print(table)
    for ratio in (ratio for ratio in results.summary if ratio.quantity == "switching_weights"):
        screen.print(ratio.note, highlight=False, markup=False, soft_wrap=True)
    screen.print(f"Everything is in {folder}: start with report.html", highlight=False)
    tell_hints(experiment or default_experiment(), changes)
