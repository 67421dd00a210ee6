"""What a last pass may lack: by how much less than their share of padded bounds mappings with remainders are counted.

A dimension of B iterations is padded to S. Of a loop of f iterations around a tile of t, the last pass makes
(B - 1) / t mod f + 1, its remainder. Where that is 1, the loop is not there in the last pass. docs/mapper.md,
"Remainders", has the argument of both shares.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tqhw.engine.model import Bools, Floats, Ints
from tqhw.mapper.space.factors import divisors
from tqhw.mapper.space.mapspace import Mapspace


def most_wide(space: Mapspace) -> tuple[int, ...]:
    """[D] The widest factor of a dimension that a spatial slot allows."""
    n_dims = len(space.problem.bounds)
    return tuple(max([s.factors[d][-1] for s in space.slots if s.spatial], default=1) for d in range(n_dims))


def missing_loops(size: int, bound: int) -> Iterator[tuple[int, int]]:
    """(tile inside, tile around) of all loops that are not there in the last pass, of several."""
    for around in divisors(size):
        for inside in divisors(around):
            if inside < around < bound and (bound - 1) // inside % (around // inside) == 0:
                yield inside, around


def walked_share(tile: Ints, sizes: Ints, bounds: Ints, widest: tuple[int, ...]) -> Floats:
    """[N] The share of a tile's visits that is counted at least where units have a remainder of 1.

    Timeloop walks the first element of a unit and counts it for the mean of those in use. In a last pass of one element
    that is short, too, the few and the short come together, which their means do not know. The mean of the units in use
    is no less than the share of the padded iterations that there are, and nor is then what is counted of all.
    """
    share = np.ones(len(tile))
    for d, (size, bound) in enumerate(zip(sizes.tolist(), bounds.tolist(), strict=True)):
        short = [t for t, u in missing_loops(size, bound) if u // t <= widest[d] and bound % t]
        if short:
            share[tile[:, d] <= max(short)] *= bound / size
    return share


def run_share(tile: Ints, sizes: Ints, bounds: Ints, relevant: Bools) -> Floats:
    """[S, N] The share of a tile's visits outside of last passes in which a loop that moves it is missing.

    In these the tile stays over all that is irrelevant up to the next loop.
    """
    share = np.ones((len(relevant), len(tile)))
    for d, (size, bound) in enumerate(zip(sizes.tolist(), bounds.tolist(), strict=True)):
        missing = list(missing_loops(size, bound))
        for t in divisors(size) if missing else ():
            last = max((-(-((bound - 1) % u + 1) // t) for inside, u in missing if inside % t == 0), default=0)
            share[np.ix_(relevant[:, d], tile[:, d] == t)] *= 1.0 - last / -(-bound // t)
    return share
