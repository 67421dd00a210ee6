"""Kernels of this module, called as Python: figures by hand."""

from __future__ import annotations

import pytest

from tests.mapper.tables import Small, small
from tqhw.mapper.bound.lower_bound import look_outside, objective_of, share_of
from tqhw.objectives import OBJECTIVES, Objective


def outside(case: Small, *loops: tuple[str, int, int]):
    """Temporal loops, innermost first: dimension, bound, step."""
    out = case.search.out
    for i, (name, bound, step) in enumerate(loops):
        out.dim[i], out.bound[i], out.step[i] = case.space.problem.shape.dimensions.index(name), bound, step
    look_outside(case.search.tables, 0, len(loops), out)
    return out


def test_temporal_reuse_is_the_product_of_loops_before_the_first_that_is_relevant() -> None:
    case = small("two_level", C=4, M=6, P=5)
    out = outside(case, ("M", 3, 1), ("P", 5, 1), ("C", 4, 1))
    reuse = dict(zip(case.space.problem.shape.data_space_names, out.reuse.tolist(), strict=True))
    assert reuse == {"Weights": 1.0, "Inputs": 3.0, "Outputs": 1.0}
    assert [share_of(out, s, 0.0) for s in range(3)] == [1 / r for r in out.reuse]


@pytest.mark.parametrize(
    ("loops", "full", "slide"),
    [
        # P slides 4 times of 5, and every return fetches all.
        ([("P", 5, 1)], 1 / 5, 4 / 5),
        ([("P", 5, 1), ("C", 4, 1)], 1 / 5, 4 / 5),
        # R inside P: the return of P moves by a step of P less one of R. By 3 - 1: neither 0 nor R's own step.
        ([("R", 3, 1), ("P", 2, 3)], 1 / 3, 2 / 3),
        # By 2 - 1, R's own step: it slides.
        ([("R", 3, 1), ("P", 2, 2)], 1 / 3 - 0.5 / 3, 2 / 3 + 0.5 / 3),
        # By 1 - 1: it fetches nothing.
        ([("R", 3, 1), ("P", 2, 1)], 1 / 3 - 0.5 / 3, 2 / 3),
    ],
)
def test_shares_of_full_and_of_sliding_visits(loops, full: float, slide: float) -> None:
    case = small("two_level", C=4, P=10, R=3)
    out = outside(case, *loops)
    inputs = case.space.problem.shape.data_space_names.index("Inputs")
    assert out.full[inputs] == pytest.approx(full)
    assert out.slide[inputs] == pytest.approx(slide)
    # A tile of 4 words that moves by one fetches a quarter of itself per step.
    assert share_of(out, inputs, 4.0) == pytest.approx(full + slide / 4)


@pytest.mark.parametrize("objective", [*OBJECTIVES.values(), Objective("ed2p", 1, 2), Objective("e3", 3, 0)])
def test_the_kernels_value_is_that_of_the_objective(objective: Objective) -> None:
    assert objective_of(objective.code, 3.7, 11.0) == objective.value(3.7, 11.0)
