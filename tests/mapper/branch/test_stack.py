"""Kernels of this module, called as Python."""

from __future__ import annotations

import numpy as np
import pytest

from tqhw.mapper.branch.stack import grown, make_leaves, make_stack, push, sort_children


@pytest.mark.parametrize("n", [0, 1, 2, 7, 40])
def test_children_are_sorted_by_bound_then_larger_tile_then_order(n: int) -> None:
    rng = np.random.default_rng(n)
    stack = make_stack(3, 2, 3, room=64)
    children = [(float(rng.integers(3)), int(rng.integers(3)), int(rng.integers(50))) for _ in range(n)]
    top = 5
    for bound, child, option in children:
        top = push(stack, top, bound, child, option)
    assert top == 5 + n
    sort_children(stack, 5, top)
    found = list(
        zip(stack.bound[5:top].tolist(), stack.child[5:top].tolist(), stack.option[5:top].tolist(), strict=True)
    )
    assert found == sorted(children, key=lambda c: (c[0], -c[1], c[2]))


def test_a_grown_stack_keeps_its_path_and_children() -> None:
    stack = make_stack(2, 2, 3, room=4)
    for i in range(4):
        push(stack, i, float(i), i, i)
    wider = grown(stack)
    assert len(wider.bound) == len(wider.child) == len(wider.option) == 8
    assert wider.bound[:4].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert wider.tile is stack.tile
    assert wider.depth[0] == 2  # the root is not open


def test_leaves_are_mappings_without_loops() -> None:
    leaves = make_leaves(3, 2, 4)
    assert leaves.temporal.shape == leaves.spatial_order.shape == (3, 2, 4)
    assert (leaves.temporal == 1).all()
    assert (leaves.split == 4).all()
