"""What a search raises that found nothing, or less than nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tqhw.errors import TqhwError
from tqhw.mapper.result import NoMappingError

if TYPE_CHECKING:
    from tqhw.engine import Model
    from tqhw.mapper.branch.incumbent import Clock
    from tqhw.mapper.space.mapspace import Mapspace


def without_mapping(space: Mapspace, model: Model, proved: bool, clock: Clock) -> TqhwError:
    """What a search that found nothing raises; what is left of its time goes into the diagnosis."""
    from tqhw.mapper.diagnosis import diagnose

    if proved:
        return NoMappingError(diagnose(space, model, clock), space.hardware.name)
    return TqhwError(
        f"no mapping of {space.problem.name} found within the budget of {clock.budget_s} s",
        place=space.hardware.name,
        lever="give more seconds, or no budget: only a search to the end tells whether there is one",
    )


def check_credit(space: Mapspace, value: float) -> None:
    """Raises TqhwError where a mapping costs less than nothing."""
    if value < 0.0:
        raise TqhwError(
            f"a mapping of {space.problem.shape.name} costs less than nothing: Outputs leaves words of its box "
            "unwritten, and Timeloop's count credits a first visit of each of them",
            place=space.problem.name,
            lever="give Outputs a projection without holes; `tqhw evaluate` prices single mappings as they are",
        )
