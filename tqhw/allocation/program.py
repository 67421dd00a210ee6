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
    energies, losses = (np.asarray(rows, float) for rows in (choices.energies_mj, choices.losses))
    room = (budget_mj - choices.fixed_mj) * (1 + _TOLERANCE)
    taken = _least(losses, [(energies, room)])
    lowest = float((losses * taken).sum())
    slack = _TOLERANCE * max(1.0, abs(lowest))
    taken = _least(energies, [(energies, room), (losses, lowest + slack)])
    return tuple(choices.bits[int(column)] for column in taken.argmax(axis=1))


def _least(cost: np.ndarray, bounds: Sequence[tuple[np.ndarray, float]]) -> np.ndarray:
    """One choice per row with the least summed cost, as ones and zeros; every bounded sum stays below its bound."""
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
    if found.x is None:  # pragma: no cover - the cheapest allocation is always there
        raise TqhwError(f"the integer program was not solved: {found.message}", place="allocation")
    taken: np.ndarray = np.round(found.x.reshape(rows, columns))
    return taken
