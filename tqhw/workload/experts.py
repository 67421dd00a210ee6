"""Rows of a product that are routed between experts: how many each of them gets is an assumption, and it is stated."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tqhw.errors import TqhwError

_PLACE = "routing"
_LEVER = "give one weight per expert, as in 3,1,0,0; without it all experts get alike"


def check_routing(weights: Sequence[object]) -> tuple[int, ...]:
    """``weights`` as whole numbers from 0 up, not all 0. Raises :class:`TqhwError` otherwise."""
    for position, weight in enumerate(weights, start=1):
        if isinstance(weight, bool) or not isinstance(weight, int) or weight < 0:
            raise TqhwError(
                f"{weight!r} is no share of an expert", place=f"{_PLACE}, position {position}", lever=_LEVER
            )
    found = tuple(weight for weight in weights if isinstance(weight, int))
    if not any(found):
        raise TqhwError("no expert gets a row", place=_PLACE, lever=_LEVER)
    return found


def parse_routing(text: str) -> tuple[int, ...]:
    """``"3,1,0,0"`` as a tuple. Raises :class:`TqhwError` for anything but whole numbers from 0 up."""
    words = [word.strip() for word in text.split(",")]
    return check_routing([int(word) if re.fullmatch("[0-9]{1,18}", word) else word for word in words])


def rows_per_expert(rows: int, experts: int, routing: tuple[int, ...] | None, place: str) -> list[int]:
    """``rows`` shared out to ``experts`` in proportion to ``routing``, alike without it; the sum is ``rows``.

    What does not divide goes to the largest remainders, the first of equal ones. Raises :class:`TqhwError` for a
    routing of another number of experts.
    """
    weights = routing or (1,) * experts
    if len(weights) != experts:
        message = f"{len(weights)} shares for {experts} experts"
        raise TqhwError(message, place=f"{_PLACE} at {place}", lever=_LEVER)
    total = sum(weights)
    shares = [rows * weight // total for weight in weights]
    left = sorted(range(experts), key=lambda e: (-(rows * weights[e] % total), e))[: rows - sum(shares)]
    return [share + (expert in left) for expert, share in enumerate(shares)]
