"""Multicast tables: how many accesses of a level serve m children at once (#multicast).

A row is (m, groups) -> accesses, where ``groups`` is the number of groups of m children that a visit serves. Rows
stand in ascending order of (m, groups), as Timeloop keeps them: sums over a table are made in that order.
Anchors (#...) are those of docs/timeloop-model.md.
"""

from __future__ import annotations

import numpy as np

from tqhw.engine.jit import part
from tqhw.engine.model import Ints
from tqhw.engine.plan import Records, records

MAX_ROWS = 256  # distinct (m, groups) of one network; a mesh of n has at most sqrt(2 n) distinct m per visit


def make_table(n_levels: int) -> Records:
    """Empty rows [L, MAX_ROWS], for one data space at a time."""
    return records((n_levels, MAX_ROWS), multicast=np.int64, groups=np.int64, accesses=np.float64)


@part
def add_row(rows: Records, n: int, m: int, groups: int, accesses: float) -> int:
    """Adds accesses to the row (m, groups) of ``rows[:n]``; new number of rows, beyond MAX_ROWS where they do not fit.

    ``rows`` are those of one level.
    """
    if n > MAX_ROWS:
        return n
    at = 0
    while at < n and (rows[at].multicast < m or (rows[at].multicast == m and rows[at].groups < groups)):
        at += 1
    if at < n and rows[at].multicast == m and rows[at].groups == groups:
        rows[at].accesses += accesses
        return n
    if n == MAX_ROWS:
        return n + 1
    for i in range(n, at, -1):
        rows[i].multicast = rows[i - 1].multicast
        rows[i].groups = rows[i - 1].groups
        rows[i].accesses = rows[i - 1].accesses
    rows[at].multicast = m
    rows[at].groups = groups
    rows[at].accesses = accesses
    return n + 1


@part
def add_groups(rows: Records, n: int, sizes: Ints, n_groups: int, words: float) -> int:
    """Adds ``words`` accesses for every group; ``sizes`` (ascending) are the groups' numbers of members."""
    i = 0
    while i < n_groups:
        j = i
        while j < n_groups and sizes[j] == sizes[i]:
            j += 1
        n = add_row(rows, n, sizes[i], j - i, (j - i) * words)
        i = j
    return n
