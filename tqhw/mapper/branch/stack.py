"""The path of the search, its open children, and the mappings it hands over for pricing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import part
from tqhw.engine.model import Bools, Floats, Ints


@bundle
class Stack(NamedTuple):
    """The path to the current node, and the open children of every node on it. Depth is the slot to decide next."""

    tile: Ints  # [Q + 1] tile outside of the slot
    settled: Floats  # [Q + 1] energy of what is decided
    mark: Floats  # [Q + 1] the words and instances that it is made of, under other weights
    plain: Bools  # [Q + 1] no unit outside shares words along a halo: the energy is exact but for rounding
    first_visits: Floats  # [Q + 1] product of the reduction units outside
    used: Floats  # [Q + 1] instances outside
    leaking: Floats  # [Q + 1] pJ per cycle of the levels decided
    throttled: Floats  # [Q + 1, P] cycles that every port takes for what is decided
    served: Floats  # [Q + 1, S] instances of the level that serves the data space
    multicast: Floats  # [Q + 1, S]
    link: Floats  # [Q + 1, S]
    factors: Ints  # [Q, D] decided
    choice: Ints  # [Q] row of Choices
    begin: Ints  # [Q + 1] open children: next .. end
    next: Ints
    end: Ints
    bound: Floats  # [M] children
    child: Ints  # [M] tile
    option: Ints  # [M] row of Choices
    depth: Ints  # [1]; Q: the root is not open yet
    nodes: Ints  # [1]


@bundle
class Leaves(NamedTuple):
    """Complete mappings, as the engine's batch arrays, with their bounds."""

    temporal: Ints  # [B, L, D]
    temporal_order: Ints
    spatial: Ints
    spatial_order: Ints
    split: Ints  # [B, L]
    bound: Floats  # [B]


def make_stack(n_slots: int, n_dims: int, n_spaces: int, room: int, n_ports: int = 0) -> Stack:
    """A stack with a closed root."""

    def depth() -> Ints:
        return np.zeros(n_slots + 1, np.int64)

    return Stack(
        tile=depth(),
        settled=np.zeros(n_slots + 1),
        mark=np.zeros(n_slots + 1),
        plain=np.ones(n_slots + 1, np.bool_),
        first_visits=np.ones(n_slots + 1),
        used=np.ones(n_slots + 1),
        leaking=np.zeros(n_slots + 1),
        throttled=np.zeros((n_slots + 1, n_ports)),
        served=np.ones((n_slots + 1, n_spaces)),
        multicast=np.ones((n_slots + 1, n_spaces)),
        link=np.ones((n_slots + 1, n_spaces)),
        factors=np.ones((n_slots, n_dims), np.int64),
        choice=np.zeros(n_slots, np.int64),
        begin=depth(),
        next=depth(),
        end=depth(),
        bound=np.zeros(room),
        child=np.zeros(room, np.int64),
        option=np.zeros(room, np.int64),
        depth=np.array([n_slots], np.int64),
        nodes=np.zeros(1, np.int64),
    )


def grown(stack: Stack) -> Stack:
    """The same stack with room for twice as many children."""

    def twice(array: np.ndarray) -> np.ndarray:
        return np.concatenate([array, np.zeros_like(array)])

    return stack._replace(bound=twice(stack.bound), child=twice(stack.child), option=twice(stack.option))


def make_leaves(room: int, n_levels: int, n_dims: int) -> Leaves:
    """Room for so many mappings."""

    def table() -> Ints:
        return np.ones((room, n_levels, n_dims), np.int64)

    return Leaves(table(), table(), table(), table(), np.full((room, n_levels), n_dims, np.int64), np.zeros(room))


@part
def push(stack: Stack, top: int, bound: float, child: int, option: int) -> int:
    stack.bound[top] = bound
    stack.child[top] = child
    stack.option[top] = option
    return top + 1


@part
def before(stack: Stack, i: int, j: int) -> bool:
    """Children in the order of their bounds, then tiles, then options: the same on every machine."""
    if stack.bound[i] != stack.bound[j]:
        return bool(stack.bound[i] < stack.bound[j])
    if stack.child[i] != stack.child[j]:
        return bool(stack.child[i] > stack.child[j])
    return bool(stack.option[i] < stack.option[j])


@part
def swap(stack: Stack, i: int, j: int) -> None:
    stack.bound[i], stack.bound[j] = stack.bound[j], stack.bound[i]
    stack.child[i], stack.child[j] = stack.child[j], stack.child[i]
    stack.option[i], stack.option[j] = stack.option[j], stack.option[i]


@part
def sort_children(stack: Stack, begin: int, end: int) -> None:
    """Heap sort in place."""
    n = end - begin
    for root in range(n // 2 - 1, -1, -1):
        sift(stack, begin, root, n)
    for last in range(n - 1, 0, -1):
        swap(stack, begin, begin + last)
        sift(stack, begin, 0, last)


@part
def sift(stack: Stack, begin: int, root: int, n: int) -> None:
    while True:
        child = 2 * root + 1
        if child >= n:
            return
        if child + 1 < n and before(stack, begin + child, begin + child + 1):
            child += 1
        if not before(stack, begin + root, begin + child):
            return
        swap(stack, begin + root, begin + child)
        root = child
