"""Every mapping of a small mapspace, priced by the engine: what the search must equal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from tqhw.engine import Batch, Model, build_model, run_batch
from tqhw.mapper.branch.uneven import choices, with_remainders
from tqhw.mapper.space.mapspace import Mapspace, loop_orders, splits
from tqhw.spec import ERT, Hardware, Problem

CHUNK = 20_000


def factorizations(number: int, lists: Sequence[Sequence[int]]) -> Iterator[tuple[int, ...]]:
    """All ways to write ``number`` as a product with one factor out of every list."""
    if not lists:
        if number == 1:
            yield ()
        return
    for factor in lists[0]:
        if number % factor == 0:
            for rest in factorizations(number // factor, lists[1:]):
                yield (factor, *rest)


def slot_variants(space: Mapspace, q: int, factors: np.ndarray) -> list[tuple[tuple[int, ...], int]]:
    """Orders, and loops along X, that the constraints and the fan-out allow for a slot's factors."""
    slot = space.slots[q]
    present = frozenset(int(d) for d in np.flatnonzero(factors > 1))
    found = []
    for order in loop_orders(slot, present):
        for along in splits(slot, present) if slot.spatial else (0,):
            x = np.prod([factors[d] for d in order[:along]], initial=1)
            y = np.prod([factors[d] for d in order[along:]], initial=1)
            if not slot.spatial or (x <= slot.fanout[0] and y <= slot.fanout[1]):
                found.append((order, along))
    return found


def mappings(space: Mapspace) -> Iterator[tuple[np.ndarray, ...]]:
    """All mappings as rows of the engine's batch arrays."""
    dims, n_levels = space.problem.shape.dimensions, len(space.hardware.levels)
    n_dims = len(dims)
    per_dimension = [
        list(factorizations(space.problem.bounds[name], [slot.factors[d] for slot in space.slots]))
        for d, name in enumerate(dims)
    ]
    masks = [np.array(mask) for mask in space.masks()]
    least_utilization = max(level.constraints.min_utilization for level in space.hardware.levels)
    for combination in itertools.product(*per_dimension):
        factors = np.array(combination).T
        utilization = 1.0
        for row, slot in zip(factors, space.slots, strict=True):
            if slot.spatial:
                utilization *= float(row.prod()) / (slot.fanout[0] * slot.fanout[1])
        if utilization < least_utilization:
            continue
        for variant in itertools.product(*(slot_variants(space, q, factors[q]) for q in range(len(space.slots)))):
            temporal = np.ones((n_levels, n_dims), np.int64)
            spatial = temporal.copy()
            temporal_order = np.tile(np.arange(n_dims), (n_levels, 1))
            spatial_order = temporal_order.copy()
            split = np.full(n_levels, n_dims)
            for slot, row, (order, along) in zip(space.slots, factors, variant, strict=True):
                full = [*order, *(d for d in range(n_dims) if d not in order)]
                if slot.spatial:
                    spatial[slot.level], spatial_order[slot.level], split[slot.level] = row, full, along
                else:
                    temporal[slot.level], temporal_order[slot.level] = row, full
            for mask in masks:
                yield temporal, temporal_order, spatial, spatial_order, split, mask


def all_costs(space: Mapspace, model: Model, most: int = 200_000) -> tuple[np.ndarray, np.ndarray] | None:
    """(pJ, cycles) of all mappings that fit, one after the other; None for more than ``most`` mappings."""
    energies, cycles, number = [np.zeros(0)], [np.zeros(0, np.int64)], 0
    source = mappings(space)
    while rows := list(itertools.islice(source, CHUNK)):
        number += len(rows)
        if number > most:
            return None
        counts = run_batch(model, Batch(*(np.array(column) for column in zip(*rows, strict=True))))
        energies.append(counts.energy_pj[counts.rule == 0])
        cycles.append(counts.cycles[counts.rule == 0])
    return np.concatenate(energies), np.concatenate(cycles)


def costs_of_all(
    problem: Problem, hardware: Hardware, ert: ERT, way: str, most: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """(pJ, cycles) of all mappings of all sizes that fit, priced one by one; None for more than ``most`` mappings."""
    model, number = build_model(problem, hardware, ert), 0
    energies, delays = [np.zeros(0)], [np.zeros(0, np.int64)]
    for choice in choices(problem, hardware, ert, way):
        source = mappings(choice.space)
        while rows := list(itertools.islice(source, CHUNK)):
            number += len(rows)
            if number > most:
                return None
            batch = Batch(*(np.array(column) for column in zip(*rows, strict=True)))
            if choice.space.actual is None:
                counts, fits = run_batch(choice.model, batch), np.ones(len(batch), np.bool_)
                energy, cycles = counts.energy_pj, counts.cycles
            else:
                levels = [(slot.level, slot.spatial) for slot in choice.space.slots]
                uneven, fits = with_remainders(batch, levels, model.bounds)
                counts = run_batch(model, uneven)
                energy, cycles = counts.whole_pj, counts.whole_cycles
            fits = fits & (counts.rule == 0)
            energies.append(energy[fits])
            delays.append(cycles[fits])
    return np.concatenate(energies), np.concatenate(delays)


def front_of_costs(energies: np.ndarray, cycles: np.ndarray) -> list[tuple[float, int]]:
    """The (pJ, cycles) that no other ones are below, by cycles; of energies that differ by rounding, one."""
    found: list[tuple[float, int]] = []
    for i in np.lexsort((energies, cycles)):
        if not found or energies[i] < found[-1][0] * (1 - 1e-11):
            found.append((float(energies[i]), int(cycles[i])))
    return found


def best_of_all(space: Mapspace, model: Model, objective: str, most: int = 200_000) -> tuple[float, int] | None:
    """(least objective over all mappings, how many there are); None for more than ``most`` of them."""
    least, number = np.inf, 0
    source = mappings(space)
    while rows := list(itertools.islice(source, CHUNK)):
        number += len(rows)
        if number > most:
            return None
        counts = run_batch(model, Batch(*(np.array(column) for column in zip(*rows, strict=True))))
        cost = {
            "energy": counts.energy_pj,
            "edp": counts.energy_pj * counts.cycles,
            "latency": counts.cycles.astype(float),
        }[objective]
        least = min(least, float(np.where(counts.rule == 0, cost, np.inf).min()))
    return least, number
