"""The allocation with the least added loss that an energy allows, and of those the one with the least energy.

A multiple-choice knapsack: every layer takes one of the widths, the added losses are summed (which assumes that layers
do not interact), and the energies are. HiGHS solves it to proved optimality, through scipy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tqhw.errors import TqhwError
from tqhw.system.streams import silent_stdout

_TOLERANCE = 1e-9
"""Relative: sums of floating-point numbers meet a bound up to this."""
_RANGE = 1e4
"""Of the numbers that the solver is given: far above its tolerances, and far below where sums lose digits."""


@dataclass(frozen=True)
class Choices:
    """``energies_mj`` and ``losses``: one row per layer in the order of ``names``, one column per width of ``bits``.

    ``fixed_mj``: what everything costs that has no choice.
    """

    names: tuple[str, ...]
    bits: tuple[int, ...]
    energies_mj: tuple[tuple[float, ...], ...]
    losses: tuple[tuple[float, ...], ...]
    fixed_mj: float = 0.0

    @property
    def least_mj(self) -> float:
        """The energy of the cheapest allocation."""
        return self.fixed_mj + sum(map(min, self.energies_mj))

    @property
    def most_mj(self) -> float:
        """The energy of the dearest one."""
        return self.fixed_mj + sum(map(max, self.energies_mj))

    def energy_mj(self, bits: Sequence[int]) -> float:
        """Of an allocation."""
        rows = zip(self.energies_mj, bits, strict=True)
        return self.fixed_mj + sum(row[self.bits.index(b)] for row, b in rows)

    def loss(self, bits: Sequence[int]) -> float:
        """What an allocation adds to the loss, if layers do not interact: a prediction, not a measurement."""
        return sum(row[self.bits.index(b)] for row, b in zip(self.losses, bits, strict=True))


def solve(choices: Choices, budget_mj: float) -> tuple[int, ...]:
    """The bits of every layer. Raises TqhwError for a budget below the cheapest allocation."""
    if not budget_mj >= choices.least_mj * (1 - _TOLERANCE):
        raise TqhwError(
            f"no allocation costs {budget_mj:.6g} mJ or less: with the narrowest width of every layer one inference "
            f"costs {choices.least_mj:.6g} mJ",
            place="budget",
            lever=f"give {choices.least_mj:.6g} or more, or let `bits` go lower than {min(choices.bits)}",
        )
    energies, losses = _Scaled.of(choices.energies_mj), _Scaled.of(choices.losses)
    room = energies.bound((budget_mj - choices.fixed_mj) * (1 + _TOLERANCE))
    taken = _least(losses.rows, [(energies.rows, room)])
    if taken is None:  # pragma: no cover - the cheapest allocation is always there
        raise TqhwError("the integer program was not solved", place="allocation")
    lowest = float((losses.rows * taken).sum())
    cheaper = _least(energies.rows, [(energies.rows, room), (losses.rows, lowest + _TOLERANCE * _RANGE)])
    if cheaper is not None:  # within the solver's tolerances there may be nothing left
        taken = cheaper
    return tuple(choices.bits[int(column)] for column in taken.argmax(axis=1))


@dataclass(frozen=True)
class _Scaled:
    """Numbers of layers by width, less the least of their layer, so that the largest is ``_RANGE``.

    The solver's tolerances are absolute, and as they stand nothing would be seen of millionths of a mJ.
    """

    rows: np.ndarray
    least: float
    unit: float

    @classmethod
    def of(cls, given: Sequence[Sequence[float]]) -> _Scaled:
        numbers = np.asarray(given, float)
        least = numbers.min(axis=1, keepdims=True)
        unit = float((numbers - least).max()) / _RANGE or 1.0
        return cls((numbers - least) / unit, float(least.sum()), unit)

    def bound(self, total: float) -> float:
        """A bound of the sum of the numbers as they stood, for the sum of ``rows``."""
        return (total - self.least) / self.unit


def _least(cost: np.ndarray, bounds: Sequence[tuple[np.ndarray, float]]) -> np.ndarray | None:
    """One choice per row with the least summed cost, as ones and zeros; every bounded sum stays below its bound.

    None where there is no such choice.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    rows, columns = cost.shape
    one_each = np.kron(np.eye(rows), np.ones(columns))
    limits = [LinearConstraint(weights.reshape(1, -1), -np.inf, bound) for weights, bound in bounds]
    with silent_stdout():  # some releases of HiGHS print a line of their own
        found = milp(
            cost.reshape(-1),
            integrality=np.ones(cost.size),
            bounds=Bounds(0, 1),
            constraints=[LinearConstraint(one_each, 1, 1), *limits],
            options={"mip_rel_gap": 0.0},
        )
    return None if found.x is None else np.round(found.x.reshape(rows, columns))
