"""The front of a network equals that of every choice of a mapping for every layer."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import pytest

from tqhw.scenario.fronts import network_front

LAYERS = [([(3.0, 2), (2.0, 5)], 2), ([(1.5, 4)], 1), ([(0.25, 9), (0.5, 8), (8.0, 1)], 1)]


def enumerated(layers):
    """{(exact energy, cycles)} of all sums that no other one dominates."""
    every = [costs for costs, count in layers for _ in range(count)]
    sums = {
        (sum(Fraction(energy) for energy, _ in chosen), sum(cycles for _, cycles in chosen))
        for chosen in itertools.product(*every)
    }
    return sorted(one for one in sums if not any(o != one and o[0] <= one[0] and o[1] <= one[1] for o in sums))


def test_by_hand() -> None:
    found = network_front(LAYERS)
    assert found.within == 0.0
    assert (found.points[0].energy_pj, found.points[0].cycles) == (5.75, 23)
    assert found.points[0].choices == ((0, 2), (1,), (1, 0, 0))
    assert (found.points[-1].energy_pj, found.points[-1].cycles) == (15.5, 9)
    assert found.points[-1].choices == ((2, 0), (1,), (0, 0, 1))
    assert network_front([]).points[0].choices == ()


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_enumeration_of_all_choices(seed: int) -> None:
    r = random.Random(seed)
    layers = []
    for _ in range(r.randint(1, 4)):
        cycles = sorted(r.sample(range(1, 30), r.randint(1, 4)))
        energies = sorted((r.choice([r.random() * 1e9, r.randint(1, 20) / 10]) for _ in cycles), reverse=True)
        layers.append((list(zip(energies, cycles, strict=True)), r.randint(1, 3)))
    found = network_front(layers, most_points=10**9)
    assert [(point.energy_pj, point.cycles) for point in found.points] == [
        (float(energy), cycles) for energy, cycles in enumerated(layers)
    ]
    for point in found.points:
        assert [sum(counts) for counts in point.choices] == [count for _, count in layers]
        chosen = [
            (Fraction(costs[i][0]), costs[i][1])
            for (costs, _), counts in zip(layers, point.choices, strict=True)
            for i, number in enumerate(counts)
            for _ in range(number)
        ]
        assert float(sum(energy for energy, _ in chosen)) == point.energy_pj
        assert sum(cycles for _, cycles in chosen) == point.cycles


@pytest.mark.parametrize("sums, points", [(10**6, 12), (25, 10**6), (25, 12), (25, 2)])
def test_a_thinned_front_keeps_the_bound_that_it_states(sums: int, points: int) -> None:
    r = random.Random(7)
    energies = [sorted((r.random() * 100 for _ in range(4)), reverse=True) for _ in range(3)]
    layers = [(list(zip(one, sorted(r.sample(range(99), 4)), strict=True)), 2) for one in energies]
    found, truth = network_front(layers, sums, points), enumerated(layers)
    assert len(truth) > 30
    assert len(found.points) <= min(sums, points)
    assert found.within > 0.0
    for energy, cycles in truth:
        near = [one for one in found.points if one.cycles <= cycles]
        assert min(one.energy_pj for one in near) <= float(energy) * (1 + found.within) * (1 + 1e-12)
    assert (found.points[-1].cycles, found.points[-1].energy_pj) == (truth[-1][1], float(truth[-1][0]))
    if sums > len(truth):
        assert found.points[0].energy_pj == float(truth[0][0])
