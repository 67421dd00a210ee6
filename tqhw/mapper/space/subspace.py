"""A part of a mapspace that is small enough to be searched at once, however large the whole is.

Of every dimension only some divisors are kept: those that a few factorizations over all slots pass through. A mapping
of the part is one of the whole; what bounds the part says nothing of the whole.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

from tqhw.mapper.space.factors import divisors
from tqhw.mapper.space.mapspace import Mapspace

TURNS = 16  # factorizations drawn per dimension, where there is room


def whole(space: Mapspace) -> tuple[tuple[int, ...], ...]:
    """All divisors of every dimension."""
    return tuple(divisors(space.problem.bounds[name]) for name in space.problem.shape.dimensions)


def count_pairs(space: Mapspace, lists: Sequence[Sequence[int]]) -> int:
    """Tiles inside tiles that one sweep over all slots looks at, if tiles are made of these divisors."""
    return sum(math.prod(_count(found, slot.factors[d]) for d, found in enumerate(lists)) for slot in space.slots)


def _count(found: Sequence[int], factors: Sequence[int]) -> int:
    allowed = set(factors)
    return sum(a % b == 0 and a // b in allowed for a in found for b in found)


def narrowed(space: Mapspace, most: int) -> tuple[tuple[int, ...], ...]:
    """Divisors of every dimension with about ``most`` pairs of tiles: the smallest tiles first, then others drawn.

    Every dimension keeps at least one factorization over all slots. The draw has a fixed seed.
    """
    draw = random.Random(0)
    paths = [_paths(space, d, name, draw) for d, name in enumerate(space.problem.shape.dimensions)]
    lists = [tuple(sorted(next(path))) for path in paths]
    for _ in range(TURNS if most else 0):
        for d, path in enumerate(paths):
            wider = [*lists]
            wider[d] = tuple(sorted({*lists[d], *next(path)}))
            if wider != lists and count_pairs(space, wider) <= most:
                lists = wider
    return tuple(lists)


def _paths(space: Mapspace, d: int, name: str, draw: random.Random) -> Iterator[set[int]]:
    """Factorizations of a dimension, as the tiles that they pass through; first the one with the smallest tiles."""
    bound = space.problem.bounds[name]
    reached = [{1}]
    for slot in space.slots:
        reached.append({p * f for p in reached[-1] for f in slot.factors[d] if bound % (p * f) == 0})
    smallest = True
    while True:
        tile, seen = bound, {bound}
        for q in range(len(space.slots) - 1, -1, -1):
            fits = [f for f in space.slots[q].factors[d] if tile % f == 0 and tile // f in reached[q]]
            tile //= fits[-1] if smallest else draw.choice(fits)
            seen.add(tile)
        smallest = False
        yield seen
