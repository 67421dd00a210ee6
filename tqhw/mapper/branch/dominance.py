"""Contexts of tiles that are explored already: a tile in a context that is no better need not be explored again.

Many ways of choosing the outer loops lead to the same tile, and most of them cost the same or more outside of it. What
the loops outside mean to the inside is a *context*: what they cost, what they leave open for every data space, the
instances outside, and for a data space with a halo the sequence of loops that its tiles slide along. docs/mapper.md,
"Dominance", has the argument why a worse context can be dropped without missing the best mapping.

====  =====================================================================================================
COST  settled energy, pJ
MARK  the words and instances behind it under other weights: equal costs with equal marks are of the same counts
UNITS, FIRST, LEAK  instances outside, those that make partial copies, and what the levels outside leak per cycle
then  per data space reuse and multicast; per data space with a halo the sequence: dimension, bound, the irrelevant
      loops before it and step of every loop, and the irrelevant loops after the last
====  =====================================================================================================
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine import Model
from tqhw.engine.bundle import bundle
from tqhw.engine.jit import part
from tqhw.engine.model import Floats, Ints
from tqhw.mapper.bound.outside import Outside
from tqhw.mapper.bound.prices import Prices
from tqhw.mapper.branch.stack import Stack
from tqhw.mapper.space.arrays import HALO_RANKS, Space

COST, MARK, UNITS, FIRST, LEAK, HEAD = 0, 1, 2, 3, 4, 5
LONGEST = 6  # loops of a sequence; contexts with longer ones are not kept
ROOM = 1 << 18  # contexts; further ones are not kept
FIRST_ROOM = 1 << 10  # of which most searches need no more: memory takes its time to be cleared
SAME = 1e-12  # relative: sums of the same words in another order


@bundle
class Contexts(NamedTuple):
    """The kept contexts of every slot and tile, as linked lists."""

    head: Ints  # [Q, N] row of the newest, counted from 1; 0: none
    next: Ints  # [M] the same for the one before
    rows: Floats  # [M, V]
    number: Ints  # [1] rows kept


def make_contexts(space: Space, model: Model) -> Contexts:
    """An empty table with some room; without any where contexts cannot be compared."""
    n_slots, n_tiles = len(space.level), len(space.digits)
    comparable = (
        not space.linked_macs
        and not space.uneven
        and not space.tangled.any()
        and not (space.halo[space.output] or _has_holes(space, model))
        and space.rank.max(initial=-1) < HALO_RANKS
        and space.least_used <= 1
        and bool((model.cluster_size == 1).all())
    )
    room = FIRST_ROOM if comparable else 0
    width = HEAD + 2 * len(space.relevant) + (4 * LONGEST + 1) * int(space.halo.sum())
    return Contexts(
        np.zeros((n_slots, n_tiles), np.int64), np.zeros(room, np.int64), np.zeros((room, width)), np.zeros(1, np.int64)
    )


def with_room(contexts: Contexts, more: int) -> Contexts:
    """The same contexts with room for so many more, as far as any are kept."""
    room, needed = len(contexts.rows), int(contexts.number[0]) + more
    if room in (0, ROOM) or needed < room:
        return contexts
    added = min(ROOM, max(2 * room, needed + 1)) - room  # the last row is never kept
    rows, following = contexts.rows, contexts.next
    return contexts._replace(
        next=np.concatenate([following, np.zeros(added, np.int64)]),
        rows=np.concatenate([rows, np.zeros((added, rows.shape[1]))]),
    )


def _has_holes(space: Space, model: Model) -> bool:
    """Whether tiles of the outputs have words that nobody writes: what their first visits save is not known then."""
    used = model.coefficients[space.output][:, model.bounds > 1]
    return bool((used > 1).any())


@part
def write_context(space: Space, stack: Stack, q: int, n_loops: int, out: Outside, row: Floats) -> bool:
    """Fills a row for node q, whose loops outside are the first ``n_loops``; False if a sequence is too long."""
    row[COST] = stack.settled[q]
    row[MARK] = stack.mark[q]
    row[UNITS] = stack.used[q]
    row[FIRST] = stack.first_visits[q]
    row[LEAK] = stack.leaking[q]
    n_spaces = space.relevant.shape[0]
    at = HEAD + 2 * n_spaces
    for s in range(n_spaces):
        row[HEAD + 2 * s] = out.reuse[s]
        row[HEAD + 2 * s + 1] = stack.multicast[q, s]
        if not space.halo[s]:
            continue
        end = at + 4 * LONGEST + 1
        for i in range(at, end):
            row[i] = 0.0
        between = 1.0
        for i in range(n_loops):
            d = out.dim[i]
            if not space.relevant[s, d]:
                between *= out.bound[i]
                continue
            if space.rank[s, d] < 0:
                break
            if at == end - 1:
                return False
            row[at] = d + 1.0
            row[at + 1] = out.bound[i]
            row[at + 2] = between
            row[at + 3] = out.step[i]
            between = 1.0
            at += 4
        row[end - 1] = between
        at = end
    return True


@part
def context_dominates(space: Space, a: Floats, b: Floats, rounding_pj: float) -> bool:
    """Whether every mapping inside of context a costs at most what it costs inside of context b."""
    for i in range(HEAD + 2 * space.relevant.shape[0], a.shape[0]):
        if a[i] != b[i]:
            return False
    for s in range(space.relevant.shape[0]):
        reuse, multicast = HEAD + 2 * s, HEAD + 2 * s + 1
        if a[reuse] < b[reuse] or a[multicast] < b[multicast]:
            return False
        if space.halo[s] and a[reuse] != b[reuse]:
            return False  # returns that are free, and links, come less often with a longer run
    if a[UNITS] != b[UNITS] or a[FIRST] != b[FIRST] or a[LEAK] > b[LEAK] * (1.0 + SAME):
        return False
    if a[COST] + rounding_pj <= b[COST]:
        return True
    return bool(abs(a[COST] - b[COST]) <= SAME * abs(b[COST]) and abs(a[MARK] - b[MARK]) <= SAME * b[MARK])


@part
def is_dominated(
    space: Space, prices: Prices, stack: Stack, contexts: Contexts, q: int, n_loops: int, out: Outside
) -> bool:
    """Whether node q stands in a context no better than one that is kept for its tile; keeps it if not."""
    t = stack.tile[q]
    new = contexts.number[0]
    if new + 1 >= contexts.rows.shape[0] or not stack.plain[q]:
        return False
    row = contexts.rows[new]
    if not write_context(space, stack, q, n_loops, out, row):
        return False
    at = contexts.head[q, t]
    while at > 0:
        if context_dominates(space, contexts.rows[at - 1], row, prices.rounding_pj):
            return True
        at = contexts.next[at - 1]
    contexts.next[new] = contexts.head[q, t]
    contexts.head[q, t] = new + 1
    contexts.number[0] = new + 1
    return False


@part
def forget_newest(stack: Stack, contexts: Contexts, q: int) -> None:
    """Takes back what :func:`is_dominated` has kept for node q just before."""
    t = stack.tile[q]
    if contexts.number[0] > 0 and contexts.head[q, t] == contexts.number[0]:
        contexts.head[q, t] = contexts.next[contexts.number[0] - 1]
        contexts.number[0] -= 1
