"""What stands beside what where sides run at different precisions: the same bits, and the lowest and the highest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

V = TypeVar("V")
ROLES: dict[str, Callable[..., Any]] = {"lowest precision": min, "highest precision": max}


def roles(sides: Sequence[Collection[V]], text: Callable[[V], str]) -> list[dict[V, list[str]]]:
    """For every side, what its values are called in the rows of a comparison, ``text`` being a value's own name.

    Where the lowest of all sides is not the same, it has a name of its own, ``lowest precision (2 / 3 bits)``, under
    which the lowest of every side stand beside each other; and so has the highest. Where these are the same, as of
    sides with one value each, they stand beside each other once, as ``precision (2 / 3 bits)``.

    >>> roles([[2, 4, 8], [3, 8]], lambda bits: f"{bits} bits")[1]
    {3: ['3 bits', 'lowest precision (2 bits / 3 bits)'], 8: ['8 bits']}
    >>> roles([[2], [3]], lambda bits: f"{bits} bits")[1]
    {3: ['3 bits', 'precision (2 bits / 3 bits)']}
    """
    called: list[dict[V, list[str]]] = [{value: [text(value)] for value in values} for values in sides]
    picked: dict[tuple[V | None, ...], list[str]] = {}
    for role, pick in ROLES.items():
        picked.setdefault(tuple(pick(values) if values else None for values in sides), []).append(role)
    for chosen, of in picked.items():
        if len({*chosen} - {None}) > 1:
            role = of[0] if len(of) == 1 else "precision"
            name = f"{role} ({' / '.join('-' if value is None else text(value) for value in chosen)})"
            for names, value in zip(called, chosen, strict=True):
                if value is not None:
                    names[value].append(name)
    return called
