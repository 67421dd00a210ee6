"""``tqhw allocate``: bits per layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tqhw.cli.common import Trust, console, guarded, tell_hints
from tqhw.system.processors import processors


@guarded
def allocate(
    experiment: Annotated[Path, typer.Argument(help="An experiment file with a training.")],
    out: Annotated[Path | None, typer.Option(help="Folder; without one, results/NAME-allocation.")] = None,
    points: Annotated[int, typer.Option(min=2, help="Energies between the least and the most.")] = 12,
    budgets: Annotated[
        list[float] | None, typer.Option("--budget", metavar="MJ", help="These energies instead, in mJ; repeatable.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Training images that added losses are measured on.")] = 1024,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Changes a key of the experiment.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes that search; without it, one per processor.")
    ] = None,
    trust: Trust = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Searches every mapping anew.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuses attributes that nothing reads.")] = False,
) -> None:
    """Bits per layer: accuracy against energy.

    For each energy the allocation with the least added loss, by an exact integer program; its accuracy is measured.
    """
    from tqhw.allocation.shown import table
    from tqhw.experiment import load
    from tqhw.pipeline.allocation import allocate as allocated
    from tqhw.system.progress import bars

    chosen = load(experiment, settings or [])
    folder = out or Path("results") / f"{chosen.name}-allocation"
    found = allocated(
        chosen,
        folder,
        points=points,
        budgets_mj=budgets or (),
        images=images,
        watch=bars(console(stderr=True)),
        jobs=jobs or processors(),
        cache=not no_cache,
        strict=strict,
        trust=trust,
    )
    screen = console()
    screen.print(table(found).terminal())
    for line in (*found.verdicts(), *found.notes):
        screen.print(line, highlight=False, markup=False, soft_wrap=True)
    dearest = max((one.energy_mj for one in found.switches), default=0.0)
    screen.print(f"A switch between two points costs at most {dearest:.4g} mJ beyond an inference", highlight=False)
    screen.print(f"Everything is in {folder}", highlight=False)
    tell_hints(experiment, settings or [])
