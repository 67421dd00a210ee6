"""What a search answers, and the form in which answers are kept."""

from __future__ import annotations

from dataclasses import dataclass

from tqhw.errors import TqhwError
from tqhw.spec import Mapping, Reason, Stats


@dataclass(frozen=True)
class SearchResult:
    """The best mapping found and its statistics.

    ``lower_bound`` bounds the objective of every mapping of the space (pJ, pJ*cycles or cycles); ``gap`` is
    (found - lower_bound) / found, 0 where ``proved_optimal``. ``evaluated``: mappings priced by the engine.
    ``seconds`` are those of the search, also where the answer comes from a cache (``cached``).
    """

    mapping: Mapping
    stats: Stats
    objective: str
    proved_optimal: bool
    lower_bound: float
    gap: float
    space_size: int
    evaluated: int
    seconds: float
    cached: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class NoMapping:
    """No mapping of the space fits. ``levers``: constraints of which each, if relaxed alone, would admit one."""

    problem: str
    reasons: tuple[Reason, ...]
    levers: tuple[str, ...]

    @property
    def message(self) -> str:
        """One line for people."""
        why = "; ".join(reason.message for reason in self.reasons)
        return f"no mapping of {self.problem} fits: {why or 'every level fits alone, but not all of them together'}"


class NoMappingError(TqhwError):
    """Raised by a search that has nothing to return; ``diagnosis`` says why."""

    def __init__(self, diagnosis: NoMapping, place: str) -> None:
        lever = f"relax {' or '.join(diagnosis.levers)}" if diagnosis.levers else "enlarge a memory or the array"
        super().__init__(diagnosis.message, place=place, lever=lever)
        self.diagnosis = diagnosis


Answer = SearchResult | NoMapping
