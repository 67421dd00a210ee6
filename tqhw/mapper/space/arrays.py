"""A mapspace as arrays that the kernels read.

Tiles are numbered: per dimension the index of a divisor of its bound, mixed radix. Axes: D dimensions, N tiles,
Q slots (innermost first), S data spaces, R ranks with a halo (two are kept, more are bounded from below), L levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from tqhw.engine import Model
from tqhw.engine.bundle import bundle
from tqhw.engine.model import Bools, Floats, Ints
from tqhw.mapper.space.chains import steps_of
from tqhw.mapper.space.mapspace import Mapspace, most_units
from tqhw.mapper.space.orders import relevances
from tqhw.mapper.space.passes import most_wide, run_share, walked_share

HALO_RANKS = 2
REMEMBERED = 4096


@bundle
class Space(NamedTuple):
    """The same for all keep/bypass choices; what they change is in bound/prices.py."""

    n_divisors: Ints  # [D]
    divisor: Ints  # [D, K]
    radix: Ints  # [D]
    digits: Ints  # [N, D] divisor indices of every tile
    below: Ints  # [Q, D, K, K] indices under a tile's index that the slot's factors allow, times the radix
    n_below: Ints  # [Q, D, K]
    allows: Bools  # [Q, D, K, K] the slot's factors allow the second index under the first
    level: Ints  # [Q]
    spatial: Bools  # [Q]
    fanout: Ints  # [Q, 2]
    relevant: Bools  # [S, D] of bound above 1
    halo: Bools  # [S] some rank sums two dimensions
    tangled: Bools  # [S] and one of these dimensions stands in two ranks: what overlaps is not known
    linked_macs: bool  # a fan-out stands right above the compute units, which ask for words that they had
    links: Bools  # [L, S] neighbours below the level may hand on words
    strict_links: bool  # none are counted on between elements that lie apart along a rank without a halo, or never meet
    linkable: bool  # at most one data space has a halo, so that a point's links can only be its own
    rank: Ints  # [S, D] the halo rank that a dimension moves in, else -1
    coefficient: Ints  # [S, D] its coefficient there
    falls: Ints  # [n] steps that loops outside of a tile can fall back, see space/chains.py; of none where links are
    falls_at: Ints  # [D, K + 1] not strict
    leads: Ints  # [n] and those that one can move the tile ahead
    leads_at: Ints  # [D, K + 1]
    kind: Ints  # [D] dimensions of one kind, from 1, are relevant to the same data spaces, and slide in the same
    n_kinds: int  # with kind 0, no dimension
    words: Floats  # [S, N] by which traffic is counted; with padded bounds, by passes that there are (docs/mapper.md)
    asked: Floats  # [S] the same of an operation
    run: Floats  # [S, N] what last passes leave of traffic at least, whatever the loops outside (passes.py); or 1
    stored: Floats  # [S, N] that lie in a memory
    uneven: bool  # mappings are priced with remainders: what is the same without them need not be
    extent: Floats  # [S, R, N] words along the halo ranks
    iterations: Floats  # [N]
    bounds: Ints  # [D]
    actual: Ints  # [D] without padding
    computes: float
    output: int  # the read-write data space
    copies: Bools  # [D] units over it hold partial copies of the same outputs: it is irrelevant or in a halo
    least_used: int
    most_units: Floats  # [Q + 1] that the spatial slots from here on can use
    tiles: Ints  # [N] 1: rows of the odometer over all tiles, see first_below
    known: Floats  # [M, 9] kernels write: what has been worked out of units lately, see unit_gains.recall


def build_space(space: Mapspace, model: Model, lists: Sequence[Sequence[int]], strict_links: bool = True) -> Space:
    """Tables of a mapspace; tiles are made of the divisors ``lists`` of every dimension, 1 and the bound among them.

    ``strict_links``: as in :class:`Space`; with remainders units change their elements, and they never are.
    """
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
    allows = np.zeros(below.shape, np.bool_)
    for q, slot in enumerate(space.slots):
        for d, found in enumerate(lists):
            for b, above in enumerate(found):
                fits = [a for a, low in enumerate(found) if above % low == 0 and above // low in slot.factors[d]]
                below[q, d, b, : len(fits)] = np.array(fits, np.int64) * radix[d]
                n_below[q, d, b] = len(fits)
                allows[q, d, b, fits] = True
    n_spaces, n_ranks = model.coefficients.shape[:2]
    output = int(np.flatnonzero(model.read_write)[0])
    spans = _spans(model, tile)
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
    relevant = np.array([[d in s.relevant for d in range(n_dims)] for s in sees])
    actual = model.bounds if space.actual is None else np.array(space.actual, np.int64)
    kind = _kinds(relevant, rank >= 0, model.bounds > 1)
    strict_links = strict_links and space.actual is None
    steps = steps_of(model.bounds, lists, np.asarray((rank >= 0).any(axis=0) & strict_links))
    return Space(
        n_divisors=n_divisors,
        divisor=divisor,
        radix=radix,
        digits=index,
        below=below,
        n_below=n_below,
        allows=allows,
        level=np.array([slot.level for slot in space.slots], np.int64),
        spatial=np.array([slot.spatial for slot in space.slots]),
        fanout=np.array([slot.fanout for slot in space.slots], np.int64),
        relevant=relevant,
        halo=np.array([bool(s.sliding) for s in sees]),
        tangled=np.array([s.tangled for s in sees]),
        linked_macs=space.slots[0].spatial and space.slots[0].level == 0,
        links=model.links,
        strict_links=strict_links,
        linkable=sum(bool(s.sliding) for s in sees) <= 1,
        rank=rank,
        coefficient=coefficient,
        falls=steps.falls,
        falls_at=steps.falls_at,
        leads=steps.leads,
        leads_at=steps.leads_at,
        kind=kind,
        n_kinds=int(kind.max(initial=0)) + 1,
        words=_words(spans) * _idle_share(model, tile, space),
        asked=_asked(model, space),
        run=run_share(tile, model.bounds, actual, relevant),
        stored=_words(spans if space.actual is None else _spans(model, np.minimum(tile, np.array(space.actual)))),
        uneven=space.actual is not None,
        extent=extent,
        iterations=tile.prod(axis=1).astype(np.float64),
        bounds=model.bounds,
        actual=actual,
        computes=float(problem.computes),
        output=output,
        copies=np.array([d not in sees[output].relevant or rank[output, d] >= 0 for d in range(n_dims)]),
        least_used=space.least_used,
        most_units=np.array([math.prod(map(most_units, space.slots[q:])) for q in range(n_slots + 1)], np.float64),
        tiles=np.ones(n_tiles, np.int64),
        known=np.zeros((REMEMBERED, 9)),
    )


def _spans(model: Model, tile: Ints) -> Ints:
    """[S, R, N] Words along every rank of tiles [N, D]."""
    return np.asarray(1 + np.einsum("srd,nd->srn", model.coefficients, tile - 1))


def _words(spans: Ints) -> Floats:
    """[S, N] Words of tiles."""
    return np.asarray(spans.prod(axis=1), np.float64)


def _idle_share(model: Model, tile: Ints, space: Mapspace) -> Floats:
    """[S, N] How many times its share of the padded bounds a word's traffic is: over dimensions that do not move it,
    a tile is fetched once a pass, and a short pass is one, too. 1 without padding.
    """
    relevant = (model.coefficients != 0).any(axis=1)
    if space.actual is None:
        return np.ones((len(relevant), len(tile)))
    bounds = np.array(space.actual)
    more = -(-bounds // tile) * tile / bounds
    idle = np.where(relevant[:, None, :], 1.0, more[None]).prod(axis=2)
    walked = walked_share(tile, model.bounds, bounds, most_wide(space))
    return np.asarray(idle * walked * _short_share(model, tile, bounds), np.float64)


def _asked(model: Model, space: Mapspace) -> Floats:
    """[S] Of the words that operations ask for, what is counted at least. Right above the compute units they run on."""
    relevant = (model.coefficients != 0).any(axis=1)
    if space.actual is None:
        return np.ones(len(relevant))
    bounds, tile = np.array(space.actual), np.ones((1, len(model.bounds)), np.int64)
    share = walked_share(tile, model.bounds, bounds, most_wide(space)) * np.ones(len(relevant))
    if space.slots[0].spatial and space.slots[0].level == 0:
        share = share * run_share(tile, model.bounds, bounds, relevant)[:, 0]
    return np.asarray(share, np.float64)


def _short_share(model: Model, tile: Ints, bounds: Ints) -> Floats:
    """[S, N] How much less than its share of a tile's words a short one may have along the dimensions that move it.

    A tile of e iterations has a e + c words along a rank. Where c is below 0, as with a stride wider than the window,
    its passes have a B + c ceil(B / e) words in all, which is less than B / e times the tile's.
    """
    passes = -(-bounds // tile)  # [N, D]
    short = np.where(bounds % tile > 0, bounds % tile, tile)
    share = np.ones((len(model.coefficients), len(tile)))
    for s, ranks in enumerate(model.coefficients):
        for row in ranks:
            members = np.flatnonzero(row)
            for d in members:
                others = [m for m in members if m != d]
                least = np.ones(len(tile))
                for sizes in product((tile, short), repeat=len(others)):
                    window = 1 + sum(row[m] * (size[:, m] - 1) for m, size in zip(others, sizes, strict=True)) - row[d]
                    moved = row[d] * bounds[d] + window * passes[:, d]
                    whole = row[d] * bounds[d] + window * bounds[d] / tile[:, d]
                    least = np.minimum(least, moved / whole)
                share[s] *= least
    return share


def _kinds(relevant: Bools, slides: Bools, live: Bools) -> Ints:
    """[D] Numbers from 1 for equal columns of both, 0 for dimensions of bound 1."""
    seen: dict[tuple[bool, ...], int] = {}
    columns = [(*relevant[:, d], *slides[:, d]) for d in range(len(live))]
    return np.array(
        [seen.setdefault(c, len(seen) + 1) if on else 0 for c, on in zip(columns, live, strict=True)], np.int64
    )


def tile_words(model: Model, iterations: Sequence[int]) -> list[int]:
    """Words per data space of the tile that spans so many iterations per dimension."""
    spans = 1 + model.coefficients @ (np.array(iterations, np.int64) - 1)
    return [int(words) for words in spans.prod(axis=1)]
