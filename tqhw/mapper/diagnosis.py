"""Why no mapping fits: the smallest demand of every level against its bound, and which constraint is in the way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from tqhw.engine import Model
from tqhw.engine.evaluation import tile_demand
from tqhw.errors import TqhwError
from tqhw.mapper.branch.incumbent import Clock
from tqhw.mapper.branch.solve import solve
from tqhw.mapper.result import NoMapping
from tqhw.mapper.space.arrays import tile_words
from tqhw.mapper.space.mapspace import Mapspace, build_mapspace, loop_orders, most_units, splits
from tqhw.mapper.space.slots import Slot
from tqhw.spec import Constraints, Hardware, LoopConstraint, Reason

TRY_S = 5.0  # per constraint that is relaxed to see whether a mapping appears


def diagnose(space: Mapspace, model: Model, clock: Clock | None = None) -> NoMapping:
    """Smallest demands that exceed a bound, and the constraints whose removal helps, as far as the time shows it."""
    reasons = (*_capacities(space, model), *_fanouts(space))
    clock = Clock(None) if clock is None else clock
    tries = list(_relaxations(space.hardware))
    levers = []
    for number, (name, relaxed) in enumerate(tries):
        if clock.over:
            break
        if _admits(space, model, relaxed, clock.part(1.0 / (len(tries) - number), TRY_S)):
            levers.append(name)
    return NoMapping(space.problem.name, reasons, tuple(levers))


def _least_inside(space: Mapspace, level: int) -> list[int]:
    """Per dimension, the least iterations that a tile of ``level`` can span."""
    least = []
    for d, name in enumerate(space.problem.shape.dimensions):
        bound = space.problem.bounds[name]
        inside, outside = ({1}, {1})
        for slot in space.slots:
            reached = inside if slot.level <= level else outside
            longer = {p * f for p in reached for f in slot.factors[d] if bound % (p * f) == 0}
            if slot.level <= level:
                inside = longer
            else:
                outside = longer
        least.append(min((p for p in inside if bound // p in outside), default=bound))
    return least


def _capacities(space: Mapspace, model: Model) -> Iterator[Reason]:
    for i, level in enumerate(space.hardware.levels):
        if model.capacity[i] < 0 or level.kind != "storage":
            continue
        words = tile_words(model, _least_inside(space, i))
        kept = [bool(k) for k in space.keep[i]]  # a free data space may pass the level by
        demand, bound, unit = tile_demand(level, [w if k else 0 for w, k in zip(words, kept, strict=True)])
        if bound is not None and demand > bound:
            names = [n for n, k in zip(space.problem.shape.data_space_names, kept, strict=True) if k]
            message = (
                f"{level.name}: the smallest tile of {', '.join(names)} has {demand} {unit}, the capacity is {bound}"
            )
            yield Reason(level.name, "capacity", demand, bound, message)


def _fanouts(space: Mapspace) -> Iterator[Reason]:
    most = 1
    for slot in space.slots:
        if not slot.spatial:
            continue
        demand = math.prod(factors[0] for factors in slot.factors)
        fanout = slot.fanout[0] * slot.fanout[1]
        most *= most_units(slot)
        name = slot.name(space.hardware)
        if demand > fanout:
            message = f"{name}: the spatial factors multiply to at least {demand}, the fan-out is {fanout}"
            yield Reason(name, "fanout", demand, fanout, message)
        elif over := _axis(slot):
            axis, demand, there = over
            message = f"{name}: the spatial constraint puts at least {demand} units along {axis}, there are {there}"
            yield Reason(name, "fanout", demand, there, message)
    if space.least_used > 1:
        name = space.hardware.compute.name
        message = f"{name}: at least {space.least_used} units must be used, the factors allow at most {most}"
        yield Reason(name, "fanout", space.least_used, most, message)


def _axis(slot: Slot) -> tuple[str, int, int] | None:
    """The axis that the least factors of a fan-out overflow in every order: its name, the demand, what is there."""
    least = [factors[0] for factors in slot.factors]
    present = frozenset(d for d, factor in enumerate(least) if factor > 1)
    nearest: tuple[float, str, int, int] | None = None
    for order in loop_orders(slot, present):
        for split in splits(slot, present):
            columns = math.prod(least[d] for d in order[:split])
            rows = math.prod(least[d] for d in order[split:])
            over = max(
                (columns / slot.fanout[0], "X (columns)", columns, slot.fanout[0]),
                (rows / slot.fanout[1], "Y (rows)", rows, slot.fanout[1]),
            )
            if over[0] <= 1:
                return None
            nearest = over if nearest is None else min(nearest, over)
    return None if nearest is None else nearest[1:]


def _relaxations(hardware: Hardware) -> Iterator[tuple[str, Hardware]]:
    """The hardware with one constraint of one level dropped."""
    free = LoopConstraint()
    for i, level in enumerate(hardware.levels):
        given = level.constraints
        dropped: list[tuple[str, Constraints]] = []
        if level.kind == "storage" and given.temporal != free:
            dropped.append(("the temporal constraint", replace(given, temporal=free)))
        if level.fanout > 1 and given.spatial != free:
            dropped.append(("the spatial constraint", replace(given, spatial=free)))
        if given.min_utilization:
            dropped.append(("the least utilization", replace(given, min_utilization=0.0)))
        if level.kind == "storage" and (given.keep or given.bypass or given.bypass_all_but or given.keep_all_but):
            kept = replace(given, keep=(), bypass=(), bypass_all_but=None, keep_all_but=None)
            dropped.append(("what is kept", kept))
        for what, constraints in dropped:
            levels = list(hardware.levels)
            levels[i] = replace(level, constraints=constraints)
            yield f"{what} of {level.node}", replace(hardware, levels=tuple(levels))


def _admits(space: Mapspace, model: Model, hardware: Hardware, clock: Clock) -> bool:
    try:
        relaxed = build_mapspace(space.problem, hardware)
    except TqhwError:
        return False  # what is left contradicts itself
    return solve(relaxed, model, "energy", clock, first=True).batch is not None
