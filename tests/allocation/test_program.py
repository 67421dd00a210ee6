"""The integer program against every allocation there is, and what no budget allows."""

from __future__ import annotations

import itertools
import random

import pytest

from tqhw.allocation.front import front
from tqhw.allocation.program import Choices, solve
from tqhw.errors import TqhwError


def drawn(seed: int, layers: int = 5, bits: tuple[int, ...] = (2, 4, 8), falling: bool = False) -> Choices:
    """Energies that grow with the width, and losses that need not fall with it, unless ``falling``."""
    given = random.Random(seed)
    energies = tuple(tuple(sorted(given.uniform(1, 9) for _ in bits)) for _ in range(layers))
    losses = tuple(tuple(given.uniform(-0.1, 1) for _ in bits) for _ in range(layers))
    if falling:
        losses = tuple(tuple(sorted(row, reverse=True)) for row in losses)
    return Choices(tuple(f"layer{i}" for i in range(layers)), bits, energies, losses, fixed_mj=given.uniform(0, 3))


@pytest.mark.parametrize("seed", range(12))
def test_no_allocation_within_the_budget_loses_less_or_costs_less(seed: int) -> None:
    choices = drawn(seed)
    every = list(itertools.product(choices.bits, repeat=len(choices.names)))
    for share in (0.0, 0.2, 0.5, 0.9, 1.0):
        budget = choices.least_mj + share * (choices.most_mj - choices.least_mj)
        found = solve(choices, budget)
        within = [one for one in every if choices.energy_mj(one) <= budget * (1 + 1e-9)]
        best = min(within, key=lambda one: (choices.loss(one), choices.energy_mj(one)))
        assert choices.loss(found) == pytest.approx(choices.loss(best), abs=1e-8)
        assert choices.energy_mj(found) == pytest.approx(choices.energy_mj(best), rel=1e-8)


@pytest.mark.parametrize("energy", [1e-8, 1e-5, 1e3])
@pytest.mark.parametrize("loss", [1e-6, 1e3])
def test_it_is_exact_for_numbers_of_any_size(energy: float, loss: float) -> None:
    """The solver's own tolerances are absolute: a small layer's nanojoules would be lost in them."""
    for seed in range(3):
        plain = drawn(seed)
        energies = tuple(tuple(energy * one for one in row) for row in plain.energies_mj)
        losses = tuple(tuple(loss * one for one in row) for row in plain.losses)
        choices = Choices(plain.names, plain.bits, energies, losses, energy * plain.fixed_mj)
        every = list(itertools.product(choices.bits, repeat=len(choices.names)))
        for share in (0.3, 0.6):
            budget = choices.least_mj + share * (choices.most_mj - choices.least_mj)
            best = min((one for one in every if choices.energy_mj(one) <= budget), key=choices.loss)
            assert solve(choices, budget) == best


def test_layers_whose_widths_cost_and_lose_the_same() -> None:
    alike = Choices(("a", "b"), (2, 8), ((1.0, 1.0), (2.0, 2.0)), ((0.0, 0.0), (0.0, 0.0)))
    assert alike.energy_mj(solve(alike, 3.0)) == 3.0


@pytest.mark.parametrize("seed", range(4))
def test_the_front_is_all_of_what_nothing_beats(seed: int) -> None:
    """With a budget for the energy of every allocation there is, the points are those that none costs and loses less
    than."""
    choices = drawn(seed, layers=3)
    every = list(itertools.product(choices.bits, repeat=3))
    told = {one: (choices.energy_mj(one), choices.loss(one)) for one in every}
    unbeaten = {
        one
        for one, (energy, loss) in told.items()
        if not any((e < energy and x <= loss) or (e <= energy and x < loss) for e, x in told.values())
    }
    assert {*front(choices, 2, [energy for energy, _ in told.values()])} == unbeaten


def test_of_equal_losses_the_cheaper_one() -> None:
    choices = Choices(("a", "b"), (2, 8), ((1.0, 5.0), (1.0, 5.0)), ((0.0, 0.0), (0.3, 0.0)))
    assert solve(choices, 10.0) == (2, 8)


def test_a_budget_below_the_least() -> None:
    choices = drawn(1)
    assert choices.energy_mj(solve(choices, choices.least_mj)) == pytest.approx(choices.least_mj)
    for budget in (choices.least_mj * 0.99, 0.0, -1.0, float("nan")):
        with pytest.raises(TqhwError) as caught:
            solve(choices, budget)
        least = f"{choices.least_mj:.6g}"
        assert str(caught.value) == (
            f"budget: no allocation costs {budget:.6g} mJ or less: with the narrowest width of every layer one "
            f"inference costs {least} mJ (give {least} or more, or let `bits` go lower than 2)"
        )


def test_the_front_is_made_of_distinct_points_by_energy() -> None:
    choices = drawn(3, falling=True)
    found = front(choices, 9)
    energies = [choices.energy_mj(one) for one in found]
    assert energies == sorted(energies)
    assert len({*found}) == len(found) > 3
    assert found == front(choices, 9)
    for bits in choices.bits:  # a point for what each uniform precision costs, that loses no more
        even = (bits,) * 5
        affordable = [one for one in found if choices.energy_mj(one) <= choices.energy_mj(even) * (1 + 1e-9)]
        assert min(map(choices.loss, affordable)) <= choices.loss(even) + 1e-8


def test_budgets_of_ones_own() -> None:
    choices = drawn(4)
    budgets = [choices.most_mj, choices.least_mj]
    assert front(choices, 9, budgets) == [solve(choices, budget) for budget in reversed(budgets)]
