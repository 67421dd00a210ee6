"""Precisions over time: the amortised cost of a switch, and the cost of a schedule."""

from __future__ import annotations

from collections.abc import Iterable

from tqhw.options import ScheduleStep
from tqhw.results import AmortisedRow, ScheduleRow
from tqhw.scenario.methods import METHODS
from tqhw.scenario.network import Network
from tqhw.scenario.states import INITIAL, STEADY, SWITCHING, best_run
from tqhw.scenario.ways import Options

PJ_PER_MJ = 1e9


def merged(steps: Iterable[ScheduleStep]) -> tuple[ScheduleStep, ...]:
    """Steps at the same precision in a row as one step: there is no switch between them."""
    result: list[ScheduleStep] = []
    for step in steps:
        if result and result[-1].bits == step.bits:
            result[-1] = ScheduleStep(step.bits, result[-1].inferences + step.inferences)
        else:
            result.append(step)
    return tuple(result)


def amortised(
    methods: tuple[str, ...],
    bits: tuple[int, ...],
    counts: tuple[int, ...],
    network: Network,
    options: Options,
) -> tuple[AmortisedRow, ...]:
    """The mean cost of an inference when every switch is followed by ``counts`` inferences."""
    rows = []
    for method in methods:
        for b in bits:
            for count in counts:
                found = best_run(method, b, SWITCHING, count, network, options)
                energy = found.cost.total_pj / count / PJ_PER_MJ
                rows.append(AmortisedRow(method, b, count, energy, found.cost.dram_bits / count, found.way))
    return tuple(rows)


def follow(method: str, steps: tuple[ScheduleStep, ...], network: Network, options: Options) -> tuple[ScheduleRow, ...]:
    """The schedule step by step: it begins with an initial loading, and every change of bits is a switch.

    A method may choose another way in every step, as it suits the inferences that follow.
    """
    rows: list[ScheduleRow] = []
    total = 0.0
    for number, step in enumerate(merged(steps), start=1):
        state = INITIAL if number == 1 else SWITCHING if METHODS.named(method).switches else STEADY
        found = best_run(method, step.bits, state, step.inferences, network, options)
        energy = found.cost.total_pj / PJ_PER_MJ
        total += energy
        told = (state, energy, found.cost.dram_bits, total, found.way)
        rows.append(ScheduleRow(method, number, step.bits, step.inferences, *told))
    return tuple(rows)
