"""What ``tqhw map`` tells of a front: its points, where better ones may be, the mapping that was chosen, a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqhw.cli.answer import bound_text
from tqhw.cli.common import console
from tqhw.errors import TqhwError
from tqhw.objectives import Goal, Tradeoff

if TYPE_CHECKING:
    from tqhw.backends import Found, FrontPoint, MappingFront

FORMATS = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class FrontOptions:
    """What of a front is told. Raises TqhwError where there is none, no such point, or a picture of no known kind."""

    goal: Goal
    point: int
    figure: Path | None

    def __post_init__(self) -> None:
        if self.figure is not None and self.figure.suffix not in FORMATS:
            raise TqhwError(
                f"a picture cannot be written as '{self.figure.name}'",
                place="--figure",
                lever=f"end it in {', '.join(FORMATS)}",
            )
        for option, given in (("--point", self.point != 1), ("--figure", self.figure is not None)):
            if given and not isinstance(self.goal, Tradeoff):
                raise TqhwError(
                    f"the search for {self.goal.name} has one answer, not a front",
                    place=option,
                    lever="give two objectives, such as --objective energy,latency",
                )
        if self.point < 1:
            raise TqhwError(
                f"points are numbered from 1, there is no point {self.point}",
                place="--point",
                lever="give 1 for the best in the first objective",
            )

    def chosen(self, found: Found) -> Found | FrontPoint:
        """The mapping that is told in full. Raises TqhwError where the front has no such point."""
        if found.front is None:
            return found
        number, (first, second) = len(found.front.points), found.front.tradeoff.objectives
        if self.point > number:
            ends = f"give a number from 1, best in {first.name}, to {number}, best in {second.name}"
            raise TqhwError(
                f"the front has {number} point{'s' if number > 1 else ''}, there is no point {self.point}",
                place="--point",
                lever=ends if number > 1 else "leave the option out",
            )
        return found.front.points[self.point - 1]

    def told(self, found: Found, dimensions: tuple[str, ...]) -> dict[str, Any]:
        """The front as JSON types; nothing of a search for one objective."""
        from tqhw.spec import directives

        if found.front is None:
            return {}
        front = found.front
        names = [one.name for one in front.tradeoff.objectives]
        points = [
            {
                "energy_pj": point.stats.energy_pj,
                "cycles": point.stats.cycles,
                **dict(zip(names, values, strict=True)),
                **({} if point.whole is None else {"whole": vars(point.whole)}),
                **({} if point.padded is None else {"padded": dict(point.padded)}),
                "mapping": directives(point.mapping, dimensions),
            }
            for point, values in zip(front.points, front.values(), strict=True)
        ]
        region = [dict(zip(names, corner, strict=True)) for corner in front.open_region()]
        least = dict(zip(names, front.least, strict=True))
        return {"objectives": names, "point": self.point, "front": points, "least": least, "open_region": region}

    def show(self, found: Found) -> None:
        """Prints the points, and where better ones may be."""
        from rich.table import Table

        if found.front is None:
            return
        front, screen = found.front, console()
        table = Table("point", *(f"{one.name} ({one.unit})" for one in front.tradeoff.objectives), "utilization")
        for number, (point, values) in enumerate(zip(front.points, front.values(), strict=True), 1):
            table.add_row(str(number), *(_figure(value) for value in values), f"{point.stats.utilization:.1%}")
        screen.print(table)
        screen.print(summary(front), highlight=False, soft_wrap=True)
        for corner in front.open_region():
            named = zip(front.tradeoff.objectives, corner, strict=True)
            bounds = " and ".join(f"{one.name} {bound_text(one, value)}" for one, value in named)
            screen.print(f"  at or above {bounds}", highlight=False, soft_wrap=True)

    def drawn(self, found: Found) -> dict[str | Path, bytes]:
        """The picture that was asked for, by its file."""
        if self.figure is None or found.front is None:
            return {}  # before matplotlib is imported
        from tqhw.report.front_figure import front_files

        front = found.front
        names = [one.name for one in front.tradeoff.objectives]
        files = front_files(names, front.values(), front.open_region())
        written = {".svg": files.svg.encode(), ".png": files.png, ".pdf": files.pdf}
        return {self.figure: written[self.figure.suffix]}


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.1f}"


def summary(front: MappingFront) -> str:
    """One line for people."""
    names = [one.name for one in front.tradeoff.objectives]
    both, number = " and ".join(names), len(front.points)
    if front.proved and number == 1:
        return f"one mapping is best in {both}, proved: the front is this point"
    if front.proved:
        return f"{number} mappings: no other one is better than any of them in both {both}, proved"
    found = f"{number} mapping{'s' if number > 1 else ''} so far."
    bound = f"Every mapping has at least {front.share:.1%} of the energy and of the cycles of one of them"
    return f"{found} {bound}; better ones may be:"
