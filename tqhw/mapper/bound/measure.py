"""What bounds are measured by: an objective, or for a front how far below what is known a mapping could lie.

A front's *staircase* holds the mappings found that nothing found dominates. The measure of (energy, cycles) is the
largest v for which some step of it, times v, is no worse in both: 1 or more where a step dominates the pair. It grows
with energy and cycles, so that of two lower bounds is a lower bound. docs/mapper.md, "Fronts".
"""

from __future__ import annotations

import numpy as np

from tqhw.engine.jit import part
from tqhw.engine.model import Floats
from tqhw.mapper.bound.relaxation import Relaxation

FRONT, ENERGY = 0, 1  # the codes of no objective but a front, and of energy alone
ROUNDED = 1e-12  # relative: sums of floats in another order


@part
def whole_cycles(cycles: float) -> float:
    """Cycles are whole: a bound on them is rounded up, but not for what a sum's order adds."""
    return float(np.ceil(cycles * (1.0 - ROUNDED)))


@part
def objective_of(objective: int, energy_pj: float, cycles: float) -> float:
    """The objective of a code: the power of energy, and that of cycles times 8."""
    if objective == ENERGY:
        return energy_pj
    cycles = whole_cycles(cycles)
    energy_pj = max(energy_pj, 0.0)  # where more may be cut than a mapping costs
    value = 1.0
    for _ in range(objective & 7):
        value *= energy_pj
    for _ in range(objective >> 3):
        value *= cycles
    return value


@part
def times_above(stair_pj: float, energy_pj: float) -> float:
    """How many times a step's energy is contained in another; a step that costs nothing is below all that costs."""
    if stair_pj > 0.0:
        return energy_pj / stair_pj
    return np.inf if energy_pj >= stair_pj else -np.inf


@part
def stair_measure(stairs: Floats, energy_pj: float, cycles: float) -> float:
    """The largest v so that a step [energy, cycles] of ``stairs`` times v is no worse in both; 0 without steps.

    ``stairs`` [F, 2]: cycles rise, energies fall.
    """
    low, high = 0, stairs.shape[0]
    while low < high:  # the first step whose energy is contained at least as often as its cycles are
        middle = (low + high) // 2
        if times_above(stairs[middle, 0], energy_pj) >= cycles / stairs[middle, 1]:
            high = middle
        else:
            low = middle + 1
    best = cycles / stairs[low, 1] if low < stairs.shape[0] else 0.0
    if low > 0:
        best = max(best, times_above(stairs[low - 1, 0], energy_pj))
    return best


@part
def measured(bound: Relaxation, energy_pj: float, cycles: float) -> float:
    """The objective of (energy, cycles), or its measure on the staircase of a front, at least: without what is cut."""
    energy_pj -= bound.prices.cut_pj[0]
    if bound.objective == FRONT:
        cycles = max(whole_cycles(cycles), bound.least_cycles)
        return stair_measure(bound.stairs, max(energy_pj, bound.least_pj), cycles)
    return objective_of(bound.objective, energy_pj, cycles)


def most_cycles(objective: int, stairs: Floats, limit: float, least_pj: float) -> float:
    """The cycles from which on a mapping that costs ``least_pj`` at least measures ``limit`` or more; inf: none do."""
    if objective == FRONT:
        steps = stairs[least_pj >= limit * stairs[:, 0], 1]
        return limit * float(steps.min(initial=np.inf)) * (1.0 + ROUNDED)
    energy_power, delay_power = objective & 7, objective >> 3
    if least_pj <= 0.0 and energy_power > 0:
        return np.inf
    return float((limit / least_pj**energy_power) ** (1.0 / delay_power)) * (1.0 + ROUNDED)
