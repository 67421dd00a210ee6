"""Allocations for a range of energies: those between the cheapest and the dearest, and of the uniform precisions."""

from __future__ import annotations

from collections.abc import Sequence

from tqhw.allocation.program import Choices, solve


def front(choices: Choices, points: int, budgets_mj: Sequence[float] = ()) -> list[tuple[int, ...]]:
    """Distinct allocations, cheapest first: one for each of ``budgets_mj``; without these for ``points`` energies,
    evenly spaced from the least to the most, and for that of every uniform precision.

    Raises TqhwError for a budget that no allocation meets.
    """
    budgets = list(budgets_mj)
    if not budgets:
        step = (choices.most_mj - choices.least_mj) / max(1, points - 1)
        budgets = [choices.least_mj + step * number for number in range(points)]
        budgets += [choices.energy_mj([bits] * len(choices.names)) for bits in choices.bits]
    found = dict.fromkeys(solve(choices, budget) for budget in sorted(budgets))
    return sorted(found, key=lambda bits: (choices.energy_mj(bits), bits))
