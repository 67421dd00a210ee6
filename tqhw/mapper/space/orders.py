"""Loop orders up to what can change a count, and spatial orders with their splits, as tables for the kernels.

Two orders of one level's temporal loops cost the same with any loops inside and outside of them if

* every data space without a halo sees the same loops before the first one relevant to it (its *temporal reuse*), and
* every data space with a halo sees the same sequence up to the first loop that moves its tile without overlap: from
  there on every further loop makes that one fall back, which is a full fetch whichever loop it is.

Of the orders that agree in the second, one that reuses over all loops that another does is never worse. docs/mapper.md
has the proof.

With remainders a loop over a padded dimension may have one iteration in its last pass: it is not there then, and what
is said above must hold of what is left of the order, whichever of such loops are missing. And Timeloop counts the words
of the innermost loop's iteration 1 for another one, which is as large unless the dimension is padded. So orders of one
class also have the same innermost loop, if it is over a padded dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.model import Bools, Ints, Model
from tqhw.mapper.space.mapspace import Mapspace, loop_orders, splits
from tqhw.mapper.space.slots import Slot

MANY = 10_000  # orders, which take well below a second


@bundle
class LoopOrders(NamedTuple):
    """Orders per slot and set of present dimensions (a bit mask): rows start[q, mask] .. start[q, mask] + rows."""

    start: Ints  # [Q, 2**D]
    rows: Ints  # [Q, 2**D]
    inner: Ints  # [Q, 2**D]; bit mask of the dimensions that may stand innermost, 1 where there are no loops
    order: Ints  # [rows, D]; dimensions, innermost first, -1 beyond
    along_x: Ints  # [rows]; loops along X, spatial slots only
    free: Bools  # [Q]; no loop has a given place, or all are units


@dataclass(frozen=True)
class Relevance:
    """What a data space sees of the dimensions: sets of indices (of those with a bound above 1)."""

    relevant: frozenset[int]
    sliding: frozenset[int]  # dimensions of the ranks that sum several of them; empty without a halo
    tangled: bool  # one of those stands in two ranks


def relevances(model: Model) -> tuple[Relevance, ...]:
    """Per data space; a dimension slides if its rank sums two or more dimensions of bound above 1."""
    live = model.bounds > 1
    result = []
    for s in range(len(model.ranks)):
        used = (model.coefficients[s] != 0) & live
        slides = used[used.sum(axis=1) > 1].any(axis=0) if (used.sum(axis=1) > 1).any() else np.zeros_like(live)
        result.append(
            Relevance(
                frozenset(np.flatnonzero(used.any(axis=0)).tolist()),
                frozenset(np.flatnonzero(slides).tolist()),
                bool((slides & (used.sum(axis=0) > 1)).any()),
            )
        )
    return tuple(result)


def _what_is_seen(
    order: Sequence[int], spaces: Sequence[Relevance]
) -> tuple[tuple[object, ...], tuple[frozenset[int], ...]]:
    """(sequences that data spaces with a halo distinguish, runs of the others)."""
    sequences: list[object] = []
    runs: list[frozenset[int]] = []
    for space in spaces:
        if space.sliding:
            seen: list[int] = []
            for d in order:
                seen.append(d)
                if d in space.relevant and d not in space.sliding:
                    break
            sequences.append(tuple(seen))
        else:
            first = next((i for i, d in enumerate(order) if d in space.relevant), len(order))
            runs.append(frozenset(order[:first]))
    return tuple(sequences), tuple(runs)


def _signature(
    order: Sequence[int], spaces: Sequence[Relevance], padded: frozenset[int] = frozenset()
) -> tuple[tuple[object, ...], tuple[frozenset[int], ...]]:
    """The same of all that may be left of an order: loops over ``padded`` dimensions may be missing."""
    sequences: list[object] = [order[0] if order and order[0] in padded else None]
    runs: list[frozenset[int]] = []
    missing = [d for d in order if d in padded]
    for n in range(len(missing) + 1):
        for gone in combinations(sorted(missing), n):
            seen, reused = _what_is_seen([d for d in order if d not in gone], spaces)
            sequences += seen
            runs += reused
    return tuple(sequences), tuple(runs)


def _nothing() -> None:
    """Nobody waits."""


def distinct_orders(
    slot: Slot,
    present: frozenset[int],
    spaces: Sequence[Relevance],
    padded: frozenset[int] = frozenset(),
    check: Callable[[], None] = _nothing,
) -> list[tuple[int, ...]]:
    """One order for every class of :func:`loop_orders` that is not beaten by another; the first of each class.

    ``padded``: dimensions whose loops may have remainders. ``check``: see :func:`build_orders`.
    """
    orders = list(loop_orders(slot, present))
    if len(orders) == 1:
        return orders
    classes: dict[tuple[object, ...], dict[tuple[frozenset[int], ...], tuple[int, ...]]] = {}
    for order in _checked(orders, check):
        sequences, runs = _signature(order, spaces, padded)
        classes.setdefault(sequences, {}).setdefault(runs, order)
    result = []
    for members in classes.values():
        for runs, order in members.items():
            if not any(other != runs and all(a >= b for a, b in zip(other, runs, strict=True)) for other in members):
                result.append(order)
    return result


def _checked(orders: Iterable[tuple[int, ...]], check: Callable[[], None]) -> Iterator[tuple[int, ...]]:
    for number, order in enumerate(orders, 1):
        yield order
        if number % MANY == 0:
            check()


def build_orders(space: Mapspace, model: Model, check: Callable[[], None] = _nothing) -> LoopOrders:
    """The tables of all slots. A slot's masks are those of dimensions that may have a loop of bound above 1 there.

    ``check`` is called between many orders, of which eight loops have 40,320, and may raise.
    """
    spaces = relevances(model)
    n_dims, n_slots = len(model.bounds), len(space.slots)
    actual = model.bounds if space.actual is None else np.array(space.actual)
    padded = frozenset(np.flatnonzero(model.bounds != actual).tolist())
    start = np.zeros((n_slots, 2**n_dims), np.int64)
    count = np.zeros_like(start)
    inner = np.zeros_like(start)
    free = np.zeros(n_slots, np.bool_)
    rows: list[tuple[int, ...]] = []
    along: list[int] = []
    known: dict[object, list[tuple[int, ...]]] = {}  # many levels are constrained alike
    for q, slot in enumerate(space.slots):
        may = [d for d in range(n_dims) if slot.factors[d][-1] > 1]
        free[q] = slot.spatial or not {*slot.prefix, *slot.suffix} & {*may}
        for bits in range(2 ** len(may)):
            present = frozenset(d for i, d in enumerate(may) if bits >> i & 1)
            mask = sum(1 << d for d in present)
            start[q, mask] = len(rows)
            if not slot.spatial:
                alike = (slot.prefix, slot.free, slot.suffix, present)
                if alike not in known:
                    known[alike] = distinct_orders(slot, present, spaces, padded, check)
                rows += known[alike]
                along += [0] * len(known[alike])
            elif _least_product(slot, present) <= slot.fanout[0] * slot.fanout[1]:
                for order in _checked(loop_orders(slot, present), check):
                    for split in splits(slot, present):
                        rows.append(order)
                        along.append(split)
            count[q, mask] = len(rows) - start[q, mask]
            inner[q, mask] = sum({1 << order[0] if order else 1 for order in rows[start[q, mask] :]})
    table = np.full((max(1, len(rows)), n_dims), -1, np.int64)
    for i, order in enumerate(rows):
        table[i, : len(order)] = order
    return LoopOrders(start, count, inner, table, np.array(along or [0], np.int64), free)


def _least_product(slot: Slot, present: frozenset[int]) -> int:
    product = 1
    for d in present:
        product *= next(f for f in slot.factors[d] if f > 1)
    return product
