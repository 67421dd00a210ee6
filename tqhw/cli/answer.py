"""What ``tqhw map`` and ``evaluate`` print of an answer: counts and energies by level, the areas, the totals last."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tqhw.cli.common import console
from tqhw.objectives import Goal, Objective

if TYPE_CHECKING:
    from rich.table import Table

    from tqhw.spec import Invalid, Stats

_FORMATS = {
    "area_um2": ",.0f",
    "proved_optimal": "",
    "evaluated": ",",
    "seconds": ".2f",
    "lower_bound": "",
    "gap": ".2%",
}

_ROUNDING = 1e-12  # a bound is a sum of floats; of one that is whole but for these, the next cycle is not meant


def show_refusal(found: Invalid, text: str) -> None:
    """Why there is no answer, under ``text``."""
    screen = console()
    screen.print(text, highlight=False)
    for reason in found.reasons:
        screen.print(f"  {reason.message}", highlight=False, soft_wrap=True)


def bound_text(objective: Objective, bound: float) -> str:
    """A lower bound with its unit; no mapping takes a part of a cycle, so that of cycles is a whole number."""
    whole = not objective.energy_power and objective.delay_power == 1
    return f"{math.ceil(bound - min(bound * _ROUNDING, 0.5)):,} cycles" if whole else f"{bound:,.1f} {objective.unit}"


def show(stats: Stats, more: Mapping[str, Any], mapping: str | None = None, objective: Goal | None = None) -> None:
    """The tables, the mapping, and at the end, where it is still in sight, what it all comes to.

    ``objective``: of a search, what its lower bound bounds.
    """
    screen = console()
    screen.print(_levels(stats))
    if more.get("areas_um2"):
        screen.print(_areas(more["areas_um2"]))
    else:
        screen.print("area: not known, no ART says it", highlight=False)
    if mapping is not None:
        screen.print(mapping, highlight=False)
    leakage = sum(level.leakage_pj for level in stats.levels.values())
    screen.print(
        f"{stats.energy_pj:,.1f} pJ (leakage {leakage:,.1f}), {stats.cycles:,} cycles, "
        f"{stats.computes:,} computes, utilization {stats.utilization:.1%}",
        highlight=False,
    )
    if isinstance(objective, Objective) and more.get("lower_bound") is not None:
        more = {**more, "lower_bound": bound_text(objective, more["lower_bound"])}
    for key, form in _FORMATS.items():
        if more.get(key) is not None:
            screen.print(f"{key}: {more[key]:{form}}", highlight=False)


def _levels(stats: Stats) -> Table:
    from rich.table import Table

    table = Table("level", "data space", "instances", "tile words", "reads", "fills", "updates", "pJ")
    for name, level in stats.levels.items():
        if level.kind == "compute":
            table.add_row(name, "", str(level.instances), "", "", "", "", f"{level.energy_pj:,.1f}")
        for space, found in level.dataspaces.items():
            counts = (found.utilized_instances, found.tile_words, found.reads, found.fills, found.updates)
            table.add_row(name, space, *(f"{count:,}" for count in counts), f"{found.energy_pj:,.1f}")
    return table


def _areas(areas: Mapping[str, float]) -> Table:
    from rich.table import Table

    table = Table("component", "um^2")
    for name, area in areas.items():
        table.add_row(name, f"{area:,.0f}")
    return table
