"""What a search minimizes: one row per objective, in a registry; or a :class:`Tradeoff` of two, whose front it finds.

Bounds hold for every product of powers of energy and cycles, so a new objective is one :class:`Objective`: added to
:data:`OBJECTIVES`, offered by a package (entry points ``tqhw.objectives``), or handed to ``search`` as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
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

    @property
    def unit(self) -> str:
        """What its values are in: pJ, cycles, or powers of these."""
        powers = (("pJ", self.energy_power), ("cycles", self.delay_power))
        return " ".join(name if power == 1 else f"{name}^{power}" for name, power in powers if power)

    def value(self, energy_pj: Number, cycles: Number) -> Number:
        """The objective of one mapping, or of an array of them."""
        return reduce(mul, [energy_pj] * self.energy_power + [cycles] * self.delay_power)


_OWN = {row.name: row for row in (Objective("energy", 1, 0), Objective("edp", 1, 1), Objective("latency", 0, 1))}
OBJECTIVES: Registry[Objective] = Registry("objective", "tqhw.objectives", _OWN)


def objective_of(given: str | Objective, place: str = "search") -> Objective:
    """An objective by name, or as it is. Raises TqhwError for a name that nobody has given to one."""
    return given if isinstance(given, Objective) else OBJECTIVES.named(given, place)


@dataclass(frozen=True)
class Tradeoff:
    """Objectives of which none is to be had without giving of another: their Pareto front is looked for.

    All objectives grow with energy and cycles. So two of them decide, and one that weighs energy against cycles as
    another does, or in between two, would add nothing; it is refused.
    """

    objectives: tuple[Objective, ...]

    def __post_init__(self) -> None:
        names = [one.name for one in self.objectives]
        if len(names) < 2:
            raise _useless(names, "a front is of two objectives", "name another one, or search for one objective alone")
        for name in names:
            if names.count(name) > 1:
                raise _useless(names, f"{name} is named twice", f"name {name} once")
        ordered = sorted(self.objectives, key=_steepness)
        for one, other in pairwise(ordered):
            if _steepness(one) == _steepness(other):
                why = f"{one.name} and {other.name} put all mappings in one order: the best in one is the best in both"
                raise _useless(names, why, f"leave {other.name} out")
        if len(names) > 2:
            ends = [name for name in names if name in (ordered[0].name, ordered[-1].name)]
            why = f"{ordered[1].name} adds nothing to a front of {' and '.join(ends)}: it grows with both of them"
            raise _useless(names, why, f"give {','.join(ends)}")

    @property
    def name(self) -> str:
        return ",".join(one.name for one in self.objectives)

    @property
    def key(self) -> str:
        """A part of the mapping cache's keys."""
        return f"front of {', '.join(one.key for one in self.objectives)}"


def _steepness(objective: Objective) -> float:
    """How much cycles weigh, from 0 to 1."""
    return objective.delay_power / (objective.energy_power + objective.delay_power)


def _useless(names: Sequence[str], why: str, lever: str) -> TqhwError:
    return TqhwError(why, place=f"objective {','.join(names)}", lever=lever)


Goal = Objective | Tradeoff
"""What a search is for."""


def one_objective(given: str | Goal, who: str, lever: str) -> Objective:
    """The objective, for ``who`` finds no fronts. Raises TqhwError for several; ``lever`` ends it."""
    goal = goal_of(given)
    if isinstance(goal, Tradeoff):
        raise TqhwError(
            f"{who} finds one best mapping, not a front",
            place=f"objective {goal.name}",
            lever=f"give one of {', '.join(one.name for one in goal.objectives)}, or {lever}",
        )
    return goal


def goal_of(given: str | Goal, place: str = "search") -> Goal:
    """One objective, or several by names with commas between. Raises TqhwError for what no search can be for."""
    goal: object = given
    if isinstance(goal, Objective | Tradeoff):
        return goal
    if not isinstance(goal, str):
        lever = "give a name, two with a comma between, or an Objective"
        raise TqhwError(f"{goal!r} is no objective", place=place, lever=lever)
    names = [name.strip() for name in goal.split(",")]
    found = tuple(objective_of(name, place) for name in names)
    return found[0] if len(found) == 1 else Tradeoff(found)
