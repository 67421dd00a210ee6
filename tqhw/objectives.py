"""What a search minimizes: one row per objective, in a registry.

Bounds hold for every product of powers of energy and cycles, so a new objective is one :class:`Objective`: added to
:data:`OBJECTIVES`, offered by a package (entry points ``tqhw.objectives``), or handed to ``search`` as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import TYPE_CHECKING, TypeVar

from tqhw.errors import TqhwError
from tqhw.registry import Registry

if TYPE_CHECKING:
    import numpy as np

Number = TypeVar("Number", float, "np.ndarray")


@dataclass(frozen=True)
class Objective:
    """``energy ** energy_power * cycles ** delay_power``, energy in pJ. Powers are whole numbers, not both 0."""

    name: str
    energy_power: int
    delay_power: int

    def __post_init__(self) -> None:
        powers = (self.energy_power, self.delay_power)
        if not any(powers) or not all(isinstance(power, int) and 0 <= power < 8 for power in powers):
            raise TqhwError(
                f"an objective of energy ** {powers[0]} * cycles ** {powers[1]} has no best mapping",
                place=f"objective {self.name}",
                lever="give whole powers from 0 to 7, one of them at least 1",
            )

    @property
    def code(self) -> int:
        """The form in which kernels take it, see ``objective_of``."""
        return self.energy_power + 8 * self.delay_power

    @property
    def key(self) -> str:
        """Different for different objectives, whatever their names: a part of the mapping cache's keys."""
        return self.name if _OWN.get(self.name) == self else f"energy^{self.energy_power} delay^{self.delay_power}"

    def value(self, energy_pj: Number, cycles: Number) -> Number:
        """The objective of one mapping, or of an array of them."""
        return reduce(mul, [energy_pj] * self.energy_power + [cycles] * self.delay_power)


_OWN = {row.name: row for row in (Objective("energy", 1, 0), Objective("edp", 1, 1), Objective("latency", 0, 1))}
OBJECTIVES: Registry[Objective] = Registry("objective", "tqhw.objectives", _OWN)


def objective_of(given: str | Objective, place: str = "search") -> Objective:
    """An objective by name, or as it is. Raises TqhwError for a name that nobody has given to one."""
    return given if isinstance(given, Objective) else OBJECTIVES.named(given, place)
