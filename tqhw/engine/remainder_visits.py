"""What a visit of a nest with remainders moves: tiles as boxes of words, and which are new (#remainders, #the-walk).

Anchors (#...) are those of docs/timeloop-model.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqhw.engine.bundle import bundle
from tqhw.engine.jit import part
from tqhw.engine.model import Bools, Floats, Ints
from tqhw.engine.plan import Plan, Records, records
from tqhw.engine.remainder_nest import Rests
from tqhw.engine.table import MAX_ROWS


@bundle
class Visits(NamedTuple):
    """Work arrays of a walk. Stations stand outermost first; K ranks, R of one data space at most, P = 2 R pieces."""

    stations: Records  # [J] kind, index (of a level or loop), phase, phases; visits and words counted per phase
    epochs: Floats  # [J] how many visits one of this station stands for,
    weight: Floats  # [J] and as how many its words count
    phases: Records  # [J, 4] iteration, visits, counted
    at: Ints  # [D] first iteration of the current tile
    waiting: Ints  # [D] loops outside that are not in their last iteration
    last: Ints  # [L, K, 2] lowest and highest word of the tile before,
    is_set: Bools  # [L] if there was one
    move: Ints  # [L, K] the move that is remembered,
    has_move: Bools  # [L, S] if there is one
    pieces: Ints  # [S, P, K, 2] the new words of a visit, as boxes
    n_pieces: Ints  # [S]
    words: Ints  # [S] in these boxes
    before: Ints  # [L, S, P, K, 2] those of a unit's visit before
    n_before: Ints  # [L, S]
    bounds: Ints  # [L, D] iterations of the unit's loops there
    step: Ints  # [K] from one set to another of the same form
    other: Ints  # [E] keys of the elements of the visit before
    rows: Records  # [S, L, MAX_ROWS] multicast tables
    n_rows: Ints  # [L, S]
    link: Floats  # [L, S] words over the links of the level's unit
    box: Ints  # [K, 2] work


def make_visits(plan: Plan) -> Visits:
    """Empty work arrays."""
    n_levels, n_spaces, n_dims, n_ranks = len(plan.levels), len(plan.spaces), len(plan.bounds), len(plan.ranks)
    n_stations = n_levels * (n_dims + 2) + 1
    pieces = 2 * max(1, *(int(s.end_rank - s.first_rank) for s in plan.spaces))
    whole = {"multicast": np.int64, "groups": np.int64}
    return Visits(
        stations=records(n_stations, kind=np.int64, index=np.int64, phase=np.int64, phases=np.int64),
        epochs=np.ones(n_stations + 1),
        weight=np.ones(n_stations + 1),
        phases=records((n_stations, 4), iteration=np.int64, visits=np.int64, counted=np.int64),
        at=np.zeros(n_dims, np.int64),
        waiting=np.zeros(n_dims, np.int64),
        last=np.zeros((n_levels, n_ranks, 2), np.int64),
        is_set=np.zeros(n_levels, np.bool_),
        move=np.zeros((n_levels, n_ranks), np.int64),
        has_move=np.zeros((n_levels, n_spaces), np.bool_),
        pieces=np.zeros((n_spaces, pieces, n_ranks, 2), np.int64),
        n_pieces=np.zeros(n_spaces, np.int64),
        words=np.zeros(n_spaces, np.int64),
        before=np.zeros((n_levels, n_spaces, pieces, n_ranks, 2), np.int64),
        n_before=np.zeros((n_levels, n_spaces), np.int64),
        bounds=np.ones((n_levels, n_dims), np.int64),
        step=np.zeros(n_ranks, np.int64),
        other=np.zeros(int(plan.machine[0].instances), np.int64),
        rows=records((n_spaces, n_levels, MAX_ROWS), **whole, accesses=np.float64),
        n_rows=np.zeros((n_levels, n_spaces), np.int64),
        link=np.zeros((n_levels, n_spaces)),
        box=np.zeros((n_ranks, 2), np.int64),
    )


@part
def cut_boxes(plan: Plan, s: int, i: int, overlaps: bool, visits: Visits) -> None:
    """Writes the pieces of ``visits.box`` outside of the last box, cut rank by rank (#the-walk, ``minus``)."""
    first, end = plan.spaces[s].first_rank, plan.spaces[s].end_rank
    box, last = visits.box, visits.last[i]
    for k in range(first, end):
        overlaps = overlaps and box[k, 0] <= last[k, 1] and last[k, 0] <= box[k, 1]
    visits.n_pieces[s] = 0
    visits.words[s] = 0
    if not overlaps:
        add_piece(first, end, s, box, visits)
        return
    for k in range(first, end):
        low, high = box[k, 0], box[k, 1]
        if low < last[k, 0]:
            box[k, 1] = last[k, 0] - 1
            add_piece(first, end, s, box, visits)
            low = last[k, 0]
        if last[k, 1] < high:
            box[k, 0] = last[k, 1] + 1
            box[k, 1] = high
            add_piece(first, end, s, box, visits)
            high = last[k, 1]
        box[k, 0] = low
        box[k, 1] = high


@part
def add_piece(first: int, end: int, s: int, box: Ints, visits: Visits) -> None:
    """Appends a box to the new words of data space s."""
    n = visits.n_pieces[s]
    words = 1
    for k in range(first, end):
        visits.pieces[s, n, k, 0] = box[k, 0]
        visits.pieces[s, n, k, 1] = box[k, 1]
        words *= box[k, 1] - box[k, 0] + 1
    visits.words[s] += words
    visits.n_pieces[s] = n + 1


@part
def set_box(plan: Plan, s: int, i: int, rests: Rests, visits: Visits) -> None:
    """Writes the words that data space s has in the current tile of level i."""
    for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
        low = 0
        reach = 0
        for t in range(plan.ranks[k].first_term, plan.ranks[k].end_term):
            d, coefficient = plan.terms[t].dimension, plan.terms[t].coefficient
            extent = rests.full[i, d] if visits.waiting[d] > 0 else rests.short[i, d]
            low += coefficient * visits.at[d]
            reach += coefficient * (extent - 1)
        visits.box[k, 0] = low
        visits.box[k, 1] = low + reach


@part
def visit_tile(plan: Plan, i: int, rests: Rests, visits: Visits) -> None:
    """Writes the new words of the current tile of level i, and remembers it.

    A move is that of the centre of the box, to the nearest whole word: sizes differ in the last pass.
    """
    for s in range(visits.n_pieces.shape[0]):
        first, end = plan.spaces[s].first_rank, plan.spaces[s].end_rank
        set_box(plan, s, i, rests, visits)
        zero = True
        same = True
        for k in range(first, end):
            twice = visits.box[k, 0] + visits.box[k, 1] - visits.last[i, k, 0] - visits.last[i, k, 1]
            move = (abs(twice) + 1) // 2 * (1 if twice > 0 else -1)
            visits.step[k] = move
            zero = zero and move == 0
            same = same and move == visits.move[i, k]
        overlaps = visits.is_set[i]
        if overlaps and not zero:
            if not visits.has_move[i, s]:
                visits.has_move[i, s] = True
                for k in range(first, end):
                    visits.move[i, k] = visits.step[k]
            elif not same:
                visits.has_move[i, s] = False
                overlaps = False
        cut_boxes(plan, s, i, overlaps, visits)
        set_box(plan, s, i, rests, visits)
        for k in range(first, end):
            visits.last[i, k, 0] = visits.box[k, 0]
            visits.last[i, k, 1] = visits.box[k, 1]
    visits.is_set[i] = True


@part
def visit_point(plan: Plan, visits: Visits) -> None:
    """The words of one operation: what a unit right above the compute units asks for, moved or not."""
    for s in range(visits.n_pieces.shape[0]):
        for k in range(plan.spaces[s].first_rank, plan.spaces[s].end_rank):
            low = 0
            for t in range(plan.ranks[k].first_term, plan.ranks[k].end_term):
                low += plan.terms[t].coefficient * visits.at[plan.terms[t].dimension]
            visits.box[k, 0] = low
            visits.box[k, 1] = low
        visits.n_pieces[s] = 0
        visits.words[s] = 0
        add_piece(plan.spaces[s].first_rank, plan.spaces[s].end_rank, s, visits.box, visits)
