"""Random mappings of a problem on any hardware, for checks against another engine."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tqhw.errors import TqhwError
from tqhw.spec import Hardware, Level, LevelMapping, Loops, Mapping, Problem


def prime_factors(number: int) -> list[int]:
    """2*2*3 of 12."""
    found, prime = [], 2
    while number > 1:
        while number % prime == 0:
            found.append(prime)
            number //= prime
        prime += 1
    return found


def random_mappings(problem: Problem, hardware: Hardware, seed: int) -> Iterator[Mapping]:
    """Endless; the same seed gives the same mappings.

    Every prime factor of every dimension goes to a random level, mostly within capacity and fan-out. What a level
    keeps follows its constraints where they say so; loops do not: these are cases for a model, not for a mapper.
    """
    rng = random.Random(seed)
    while True:
        yield _mapping(problem, hardware, rng)


def _mapping(problem: Problem, hardware: Hardware, rng: random.Random) -> Mapping:
    dimensions = problem.shape.dimensions
    temporal = [dict.fromkeys(dimensions, 1) for _ in hardware.levels]
    spatial = [dict.fromkeys(dimensions, 1) for _ in hardware.levels]
    storages = [i for i, level in enumerate(hardware.levels) if level.kind == "storage"]
    if not storages:
        raise TqhwError("there is no storage level to map to", place=hardware.name)
    fanouts = [i for i, level in enumerate(hardware.levels) if level.fanout > 1]
    keep = {i: _keep(hardware.levels[i], problem, rng) for i in storages}
    for name in problem.shape.data_space_names:
        if not any(name in kept for kept in keep.values()):
            keep[storages[-1]] = (*keep[storages[-1]], name)
    inner, parallel = rng.choice((0.2, 0.5, 0.8)), rng.choice((0.0, 0.5, 0.9))
    room = {i: hardware.levels[i].fanout for i in fanouts}
    factors = [(d, p) for d in dimensions for p in prime_factors(problem.bounds[d])]
    rng.shuffle(factors)
    for dimension, prime in factors:
        fitting = [i for i in fanouts if room[i] >= prime]
        if fitting and rng.random() < parallel:
            level = rng.choice(fitting)
            room[level] //= prime
            spatial[level][dimension] *= prime
            continue
        # Inner levels fill fast, so most loops go far out.
        level = rng.choice(storages) if rng.random() < inner else storages[-1]
        temporal[level][dimension] *= prime
    return Mapping(
        tuple(
            LevelMapping(
                level.name,
                keep.get(i, ()),
                tuple(name for name in problem.shape.data_space_names if name not in keep.get(i, ())),
                Loops(temporal[i], _order(dimensions, rng)),
                _spatial(spatial[i], level, dimensions, rng) if level.fanout > 1 else None,
            )
            for i, level in enumerate(hardware.levels)
        )
    )


def _keep(level: Level, problem: Problem, rng: random.Random) -> tuple[str, ...]:
    kept = level.constraints.kept(problem.shape.data_space_names, f"constraints of {level.name}")
    return tuple(name for name, said in kept.items() if (rng.random() < 0.7 if said is None else said))


def _order(dimensions: tuple[str, ...], rng: random.Random) -> tuple[str, ...]:
    return tuple(rng.sample(dimensions, len(dimensions)))


def _spatial(factors: dict[str, int], level: Level, dimensions: tuple[str, ...], rng: random.Random) -> Loops:
    """As many loops along X as fit there, the others along Y."""
    order = _order(dimensions, rng)
    split, columns = 0, 1
    while split < len(order) and columns * factors[order[split]] <= level.fanoutX:
        columns *= factors[order[split]]
        split += 1
    return Loops(factors, order, split)
