"""Precisions over time: the amortised cost of a switch, and the cost of a schedule."""

from __future__ import annotations

from collections.abc import Iterable

from tqhw.options import Step
from tqhw.results import AmortisedRow, ScheduleRow
from tqhw.scenario.methods import Options
from tqhw.scenario.network import Network
from tqhw.scenario.states import INITIAL, STEADY, SWITCHING, best_run

PJ_PER_MJ = 1e9


def merged(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Steps at the same precision in a row as one step: there is no switch between them."""
    result: list[Step] = []
    for step in steps:
        if result and result[-1].bits == step.bits:
            result[-1] = Step(step.bits, result[-1].inferences + step.inferences)
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
                cost = best_run(method, b, SWITCHING, count, network, options).cost
                energy = cost.total_pj / count / PJ_PER_MJ
                rows.append(AmortisedRow(method, b, count, energy, cost.dram_bits / count))
    return tuple(rows)


def follow(method: str, steps: tuple[Step, ...], network: Network, options: Options) -> tuple[ScheduleRow, ...]:
    """The schedule step by step: it begins with an initial loading, and every change of bits is a switch.

    any_precision may choose another way in every step, as it suits the inferences that follow.
    """
    rows: list[ScheduleRow] = []
    total = 0.0
    for number, step in enumerate(merged(steps), start=1):
        state = INITIAL if number == 1 else SWITCHING if method != "fixed" else STEADY
        cost = best_run(method, step.bits, state, step.inferences, network, options).cost
        energy = cost.total_pj / PJ_PER_MJ
        total += energy
        rows.append(ScheduleRow(method, number, step.bits, step.inferences, state, energy, cost.dram_bits, total))
    return tuple(rows)
