"""A mapspace with one keep/bypass choice, as arrays that the kernels read.

Tiles are numbered: per dimension the index of a divisor of its bound, mixed radix. Axes: D dimensions, N tiles,
Q slots (innermost first), S data spaces, R ranks with a halo (two are kept, more are bounded from below), L levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tqhw.engine import Model
from tqhw.engine.bundle import bundle
from tqhw.engine.model import Bools, Floats, Ints
from tqhw.mapper.space.mapspace import Mapspace, most_units
from tqhw.mapper.space.orders import relevances
from tqhw.objectives import Objective, objective_of

HALO_RANKS = 2


@bundle
class Space(NamedTuple):
    """What does not depend on the keep/bypass choice."""

    n_divisors: Ints  # [D]
    divisor: Ints  # [D, K]
    radix: Ints  # [D]
    digits: Ints  # [N, D] divisor indices of every tile
    below: Ints  # [Q, D, K, K] indices under a tile's index that the slot's factors allow, times the radix
    n_below: Ints  # [Q, D, K]
    level: Ints  # [Q]
    spatial: Bools  # [Q]
    fanout: Ints  # [Q, 2]
    relevant: Bools  # [S, D] of bound above 1
    halo: Bools  # [S] some rank sums two dimensions
    tangled: Bools  # [S] and one of these dimensions stands in two ranks: what overlaps is not known
    linked_macs: bool  # a fan-out stands right above the compute units, which ask for words that they had
    linkable: bool  # at most one data space has a halo, so that a point's links can only be its own
    rank: Ints  # [S, D] the halo rank that a dimension moves in, else -1
    coefficient: Ints  # [S, D] its coefficient there
    words: Floats  # [S, N]
    extent: Floats  # [S, R, N] words along the halo ranks
    iterations: Floats  # [N]
    bounds: Ints  # [D]
    computes: float
    output: int  # the read-write data space
    copies: Bools  # [D] units over it hold partial copies of the same outputs: it is irrelevant or in a halo
    least_used: int
    most_units: Floats  # [Q + 1] that the spatial slots from here on can use


@bundle
class Prices(NamedTuple):
    """Energies of one keep/bypass choice in pJ per word; a child of -1 (row 0) is the compute unit."""

    keep: Bools  # [L, S]
    parent_pj: Floats  # [L + 1, S] at the next keeping level outwards, per word that passes to or from the child
    fill_pj: Floats  # [L, S] at the level itself; 0 where it is the outermost that keeps the data space
    first_pj: Floats  # [L] Outputs: what a word's first visit saves (no read of old partial sums, no fill)
    leak_pj: Floats  # [L] per cycle and used instance
    capacity: Floats  # [L] words, rows where packed; inf: unlimited
    capacity_words: Floats  # [L, S] so many words
    capacity_units: Floats  # [L, S] take so much of it
    more_units: Bools  # [Q + 1, S] spatial slots remain from here to the level that the data space's traffic goes to
    units_left: Bools  # [Q + 1] spatial slots remain outside
    constant_pj: float  # the compute units' energy
    mark: Floats  # [L, S, 4] weights of no meaning per word filled, sent by the parent, first visited; per instance
    rounding_pj: float  # what a mapping costs at most beyond the sum of its words


def build_space(space: Mapspace, model: Model, lists: Sequence[Sequence[int]]) -> Space:
    """Tables of a mapspace; tiles are made of the divisors ``lists`` of every dimension, 1 and the bound among them."""
    problem = space.problem
    n_dims, n_slots = len(model.bounds), len(space.slots)
    widest = max(len(x) for x in lists)
    n_divisors = np.array([len(x) for x in lists], np.int64)
    divisor = np.ones((n_dims, widest), np.int64)
    for d, found in enumerate(lists):
        divisor[d, : len(found)] = found
    radix = np.concatenate([[1], np.cumprod(n_divisors)[:-1]]).astype(np.int64)
    n_tiles = int(np.prod(n_divisors))
    index = np.arange(n_tiles)[:, None] // radix % n_divisors
    tile = divisor[np.arange(n_dims), index]
    below = np.zeros((n_slots, n_dims, widest, widest), np.int64)
    n_below = np.zeros((n_slots, n_dims, widest), np.int64)
    for q, slot in enumerate(space.slots):
        for d, found in enumerate(lists):
            for b, above in enumerate(found):
                fits = [a for a, low in enumerate(found) if above % low == 0 and above // low in slot.factors[d]]
                below[q, d, b, : len(fits)] = np.array(fits, np.int64) * radix[d]
                n_below[q, d, b] = len(fits)
    n_spaces, n_ranks = model.coefficients.shape[:2]
    output = int(np.flatnonzero(model.read_write)[0])
    spans = 1 + np.einsum("srd,nd->srn", model.coefficients, tile - 1)
    sees = relevances(model)
    rank = np.full((n_spaces, n_dims), -1, np.int64)
    coefficient = np.zeros((n_spaces, n_dims), np.int64)
    extent = np.ones((n_spaces, HALO_RANKS, n_tiles))
    for s in range(n_spaces):
        halo = 0
        for r in range(n_ranks):
            members = [d for d in range(n_dims) if model.coefficients[s, r, d] and model.bounds[d] > 1]
            if len(members) > 1:
                rank[s, members] = halo
                coefficient[s, members] = model.coefficients[s, r, members]
                if halo < HALO_RANKS:
                    extent[s, halo] = spans[s, r]
                halo += 1
    return Space(
        n_divisors=n_divisors,
        divisor=divisor,
        radix=radix,
        digits=index,
        below=below,
        n_below=n_below,
        level=np.array([slot.level for slot in space.slots], np.int64),
        spatial=np.array([slot.spatial for slot in space.slots]),
        fanout=np.array([slot.fanout for slot in space.slots], np.int64),
        relevant=np.array([[d in s.relevant for d in range(n_dims)] for s in sees]),
        halo=np.array([bool(s.sliding) for s in sees]),
        tangled=np.array([s.tangled for s in sees]),
        linked_macs=space.slots[0].spatial and space.slots[0].level == 0,
        linkable=sum(bool(s.sliding) for s in sees) <= 1,
        rank=rank,
        coefficient=coefficient,
        words=spans.prod(axis=1).astype(np.float64),
        extent=extent,
        iterations=tile.prod(axis=1).astype(np.float64),
        bounds=model.bounds,
        computes=float(problem.computes),
        output=output,
        copies=np.array([d not in sees[output].relevant or rank[output, d] >= 0 for d in range(n_dims)]),
        least_used=space.least_used,
        most_units=np.array([math.prod(map(most_units, space.slots[q:])) for q in range(n_slots + 1)], np.float64),
    )


def build_prices(space: Mapspace, model: Model, mask: tuple[tuple[bool, ...], ...], energy: bool = True) -> Prices:
    """Energies under one keep/bypass choice; all 0 where the objective does not look at energy."""
    keep = np.array(mask, np.bool_)
    n_levels, n_spaces = keep.shape
    weight = 1.0 if energy else 0.0
    per_word = weight / words_per_access(model)
    read, fill, update = (table[:, None] * per_word for table in (model.read_pj, model.fill_pj, model.update_pj))
    parent_pj = np.zeros((n_levels + 1, n_spaces))
    fill_pj = np.zeros((n_levels, n_spaces))
    first_pj = np.zeros(n_levels)
    more = np.zeros((len(space.slots) + 1, n_spaces), np.bool_)
    for s in range(n_spaces):
        output = bool(model.read_write[s])
        outermost = int(np.flatnonzero(keep[:, s])[-1])
        for child in range(-1, n_levels):
            parents = np.flatnonzero(keep[child + 1 :, s])
            if len(parents):
                k = child + 1 + int(parents[0])
                parent_pj[child + 1, s] = read[k, s] + (update[k, s] if output else 0.0)
        for i in np.flatnonzero(keep[:, s]):
            if i != outermost:
                fill_pj[i, s] = fill[i, s]
            if output:
                first_pj[i] = read[i, s] + fill_pj[i, s]
        for q in range(len(space.slots) + 1):
            at = space.slots[q].level if q < len(space.slots) else n_levels
            ahead = np.flatnonzero(keep[at:, s])
            stop = at + int(ahead[0]) if len(ahead) else -1
            more[q, s] = any(slot.spatial and slot.level <= stop for slot in space.slots[q:])
    return Prices(
        keep=keep,
        parent_pj=parent_pj,
        fill_pj=fill_pj,
        first_pj=first_pj,
        leak_pj=model.leak_pj * weight,
        capacity=np.where(model.capacity < 0, np.inf, model.capacity.astype(np.float64)),
        capacity_words=np.where(model.packed[:, None], model.row_words, 1).astype(np.float64),
        capacity_units=np.where(model.packed[:, None], model.row_count, 1).astype(np.float64),
        more_units=more,
        units_left=np.array([any(s.spatial for s in space.slots[q:]) for q in range(len(space.slots) + 1)]),
        constant_pj=float(problem_pj(model)) * weight,
        mark=np.random.default_rng(0).random((n_levels, n_spaces, 4)) + 0.5,
        rounding_pj=rounding_pj(model, keep, weight, sum(slot.spatial for slot in space.slots)),
    )


def words_per_access(model: Model) -> Floats:
    """[L, S] An access moves a row of words, and at most one of cluster_size instances is charged."""
    return np.asarray(model.row_words * model.cluster_size[:, None] / model.row_count)


def compulsory(space: Mapspace, model: Model, objective: str | Objective) -> float:
    """What every mapping costs at least, whatever it is: its operations, and every word once at the outermost level.

    A rank has at least as many words as its longest dimension is long, since boxes may have holes. Data spaces with a
    dimension in two ranks are not counted. 0 where outputs have a halo or holes, whose first visits may be credited
    with more than they cost.
    """
    least = objective_of(objective)
    cycles = float(np.prod(model.bounds.astype(np.float64))) / math.prod(map(most_units, space.slots))
    live = (model.coefficients != 0) & (model.bounds > 1)
    output = int(np.flatnonzero(model.read_write)[0])
    energy = float(problem_pj(model))
    moved = words_per_access(model)
    for s in range(len(live)):
        if (live[s].sum(axis=0) > 1).any():  # a dimension in two ranks: its words lie on a diagonal of the box
            continue
        if s == output and ((live[s].sum(axis=1) > 1).any() or (model.coefficients[s][live[s]] > 1).any()):
            return least.value(0.0, cycles)
        words = float(np.where(live[s], model.bounds, 1).max(axis=1).prod())
        per_access = model.update_pj if s == output else model.read_pj
        per_word = []
        for i in reversed(range(len(space.keep))):
            if space.keep[i][s] is not False:
                per_word.append(float(per_access[i] / moved[i, s]))
            if space.keep[i][s]:
                break
        energy += words * min(per_word, default=0.0)
    return least.value(energy, cycles)


def rounding_pj(model: Model, keep: Bools, weight: float, n_units: int) -> float:
    """What a mapping costs at most beyond the sum of its words; inf where a bandwidth can stretch its cycles.

    Every count is rounded to a word and then up to an access, and the first visits that are free are rounded down to
    a word once per fan-out (tqhw/engine/flow.py, ``accesses`` and ``partitions``).
    """
    if not np.isinf([model.read_bandwidth, model.write_bandwidth, model.shared_bandwidth]).all():
        return math.inf
    accesses = np.where(model.read_write, 1.5 + n_units, 1.5)
    per_access = np.outer(model.read_pj + model.fill_pj, accesses) + 1.5 * model.update_pj[:, None]
    return float((model.instances[:, None] * per_access * keep).sum()) * weight


def tile_words(model: Model, iterations: Sequence[int]) -> list[int]:
    """Words per data space of the tile that spans so many iterations per dimension."""
    spans = 1 + model.coefficients @ (np.array(iterations, np.int64) - 1)
    return [int(words) for words in spans.prod(axis=1)]


def problem_pj(model: Model) -> float:
    """Energy of the compute units: the same for every mapping."""
    return float(np.prod(model.bounds, dtype=object)) * model.compute_pj
