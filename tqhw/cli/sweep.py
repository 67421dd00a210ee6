"""``tqhw sweep``: many runs at once, and what is kept of them."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tqhw.cli.common import NO, Trust, console, guarded, say
from tqhw.errors import TqhwError
from tqhw.system.processors import processors


class _RunByDefault(TyperGroup):
    """``tqhw sweep FILE`` is ``tqhw sweep run FILE``."""

    default = "run"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [self.default, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="sweep",
    cls=_RunByDefault,
    help="Many runs at once. `tqhw sweep SWEEP.yaml` runs them; the other commands show what they gave.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Folder = Annotated[Path, typer.Argument(help="The folder of a sweep.")]


@app.command("run")
@guarded
def run(
    sweep: Annotated[Path, typer.Argument(help="A sweep file.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the results; without it, results/NAME.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes of this machine; without it, one per processor.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS|FILE", help="A Dask scheduler, by its address or its file.")
    ] = None,
    training: Annotated[
        list[str] | None,
        typer.Option("--train-on", metavar="NAME=AMOUNT", help="What a worker must offer for a training, e.g. GPU=1."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Changes a key of the experiment.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Runs more than 10,000 points without asking.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Searches every mapping anew.")] = False,
    reports: Annotated[bool, typer.Option(help="Write reports of points on the fronts.")] = True,
    trust: Trust = False,
) -> None:
    """Runs a sweep, or goes on with one, and writes its page."""
    from tqhw import sweep as room
    from tqhw.system.progress import bars

    if jobs is not None and scheduler is not None:
        raise TqhwError("both are given", place="--jobs, --scheduler", lever="the scheduler has workers of its own")
    points = room.load(sweep, settings or [])
    points.check_size(yes)
    folder = out or Path("results") / points.given.name
    asked = _resources(training or [])

    watch = bars(console(stderr=True))
    with ExitStack() as stack:
        if scheduler is None:
            start: Any = lambda: room.local(jobs or processors(), asked)  # noqa: E731
        else:  # one that cannot be reached says so before anything is planned
            there = stack.enter_context(room.connected(scheduler, asked))
            start = lambda: nullcontext(there)  # noqa: E731
        counts = room.run(
            points, folder, start, watch=watch, cache=not no_cache, trust=trust, keep_trainings=scheduler is None
        )
    room.write_page(folder, watch, reports, trust)
    room.export(folder, folder / "points.csv")
    fronts = folder / "fronts.csv"
    if room.has_fronts(folder) or fronts.exists():
        room.export(folder, fronts, fronts=True)
    screen = console()
    screen.print(f"{counts.get(room.DONE, 0)} points are done, {counts.get(room.IMPOSSIBLE, 0)} are impossible")
    screen.print(f"Everything is in {folder}: start with sweep.html", highlight=False)
    if not counts.get(room.DONE):
        say(f"no point has results; the first says: {room.first_reason(folder)}")
        raise typer.Exit(NO)


def _resources(given: list[str]) -> dict[str, float]:
    found = {}
    for item in given:
        name, _, amount = item.partition("=")
        try:
            found[name] = float(amount or 1)
        except ValueError:
            found[name] = -1.0
        if not name or not 0 < found[name] < 1e6:
            raise TqhwError(f"'{item}' is not name=amount", place="--train-on", lever="for example --train-on GPU=1")
    return found


@app.command("status")
@guarded
def status(folder: Folder) -> None:
    """Says how far a sweep is, also while it runs."""
    from tqhw import sweep as room

    screen = console()
    for line in room.status(folder):
        screen.print(line, highlight=False)


@app.command("export")
@guarded
def export(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", help="A file that ends in .csv or .parquet.")],
    fronts: Annotated[
        bool, typer.Option("--fronts", help="The networks' fronts instead, of searches for energy,latency.")
    ] = False,
) -> None:
    """Writes the outcomes of a sweep as one table.

    A row for every point, method, precision and state.
    """
    from tqhw import sweep as room

    rows = room.export(folder, out, fronts)
    console().print(f"{rows} rows are in {out}", highlight=False)


@app.command("report")
@guarded
def report(
    folder: Folder,
    points: Annotated[list[int], typer.Argument(help="Numbers of points.")],
    trust: Trust = False,
    figures: Annotated[bool, typer.Option(help="Draw the figures too.")] = True,
) -> None:
    """Writes the whole report of points, from what is kept.

    It is in FOLDER/points/NUMBER/report.html.
    """
    from tqhw import sweep as room

    for number in points:
        place = room.write_report(folder, number, trust=trust, figures=figures)
        console().print(f"point {number}: {place}", highlight=False)
    room.write_page(folder, reports=False)
