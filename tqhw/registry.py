"""Things by name: ours, those that were added here and now, and those that an installed package offers.

A package offers one by an entry point: the group is the registry's, the name is the thing's, and what it points to is
the thing, which is imported only when it is asked for. docs/extending.md has an example of each registry.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from tqhw.errors import TqhwError, unknown

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """``kind`` of thing by name; ``group`` of entry points, such as ``tqhw.methods``. Ours come first."""

    def __init__(self, kind: str, group: str, own: Mapping[str, T]) -> None:
        self.kind = kind
        self.group = group
        self._things: dict[str, T] = dict(own)

    def add(self, name: str, thing: T) -> T:
        """Makes ``thing`` known in this process. Raises TqhwError where the name is taken by another one."""
        if name in self and self._things.get(name) is not thing:
            raise TqhwError(
                f"there is a {self.kind} '{name}' already", place=self.group, lever="choose another name for yours"
            )
        self._things[name] = thing
        return thing

    def named(self, name: str, place: str | None = None) -> T:
        """The thing of that name. Raises TqhwError with the nearest known name, and where a package's does not load."""
        if name in self._things:
            return self._things[name]
        offered = self._offered()
        if name not in offered:
            raise unknown(self.kind, name, self, place)
        try:
            thing: T = offered[name].load()
        except Exception as error:
            raise TqhwError(
                f"{self.kind} '{name}' of {offered[name].value} does not load: {error!r}",
                place=f"entry point {self.group}",
                lever="mend or remove the package that offers it",
            ) from error
        self._things[name] = thing
        return thing

    def __getitem__(self, name: str) -> T:
        if name not in self:
            raise KeyError(name)
        return self.named(name)

    def __contains__(self, name: object) -> bool:
        return name in self._things or name in self._offered()

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._things, *sorted(self._offered()))))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _offered(self) -> dict[str, EntryPoint]:
        return _offered(self.group, tuple(sys.path))


@lru_cache(64)
def _offered(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """What packages offer. Looking through all of them takes longer than most of what asks, so it is done once."""
    return {point.name: point for point in entry_points(group=group)}
