"""``tqhw compare``: results side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tqhw.cli.common import Trust, console, guarded
from tqhw.errors import TqhwError

if TYPE_CHECKING:
    from tqhw.results import Results


@guarded
def compare(
    results: Annotated[
        list[str], typer.Argument(metavar="RESULTS...", help="Results folders, or points of sweeps: FOLDER#NUMBER.")
    ],
    everything: Annotated[bool, typer.Option("--all", help="Shows numbers that are alike, too.")] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Shows parts and layers below the totals, as page and CSV do.")
    ] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Writes every number to a CSV file.")] = None,
    page: Annotated[Path | None, typer.Option("--page", help="Writes the tables as an HTML page.")] = None,
    trust: Trust = False,
) -> None:
    """Says what differs between runs or points of sweeps.

    In the inputs, and in the totals of energy, traffic, cycles, area, storage and accuracy, with ratios.
    """
    from tqhw import comparison
    from tqhw.system.files import write_text

    if len({*results}) != len(results):
        raise TqhwError("one of them is named twice", place="RESULTS", lever="name each once")
    sides = [comparison.Side(name, _read(name, trust)) for name in results]
    tables = comparison.totals(sides, everything)
    if details:
        tables += comparison.tables(sides, everything)[1:]
    if csv is not None:
        write_text(csv, comparison.csv_text(sides))
    if page is not None:
        comparison.write_page(sides, page, everything)
    for table in tables:
        console().print(table.terminal())


def _read(name: str, trust: bool) -> Results:
    from tqhw import report, sweep

    folder, sign, number = name.rpartition("#")
    if sign and not Path(name).is_dir():
        if not number.isdecimal() or len(number) > 18:
            raise TqhwError(f"'{number}' is no number of a point", place=name, lever="such as results/sweep#17")
        return sweep.read_point(folder, int(number), trust=trust)
    if sweep.is_sweep(name):
        raise TqhwError("is a sweep of many points", place=name, lever=f"name one of them, such as '{name}#0'")
    return report.load(name)
