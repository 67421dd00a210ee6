"""Typed sections and lists: which keys they know, what they take, how two of them are joined.

This is what the front end's ``common/nodes.py`` does, told as tables: a subclass of :class:`Section` or :class:`Items`
lists its ``fields``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from tqhw.errors import TqhwError, unknown
from tqhw.frontend.base import REQUIRED, Key, Node, equal, is_empty, item_place, joined, shown
from tqhw.spec.yamlio import Map


class Section(dict[str, Any], Node):
    """A mapping of known keys. ``open``: others pass."""

    open: ClassVar[bool] = False

    def __init__(self, given: Any = None, place: str = "", **own: Any) -> None:
        super().__init__()
        self.lines: dict[str, str] = {}
        parts = given if isinstance(given, list) else [given]
        first = next((part for part in parts if isinstance(part, Map) and part.source), None)
        self.place = first.place() if first is not None else place
        self.tag = first.tag if first is not None else None
        self.update(own)
        for part in parts:
            if part is not None:
                self._take(part, place)
        for name, key in self.known().items():
            if name not in self and not key.keep_name:
                self[name] = REQUIRED
        for name, key_or_none in [(name, self.key_of(name)) for name in self]:
            self.parse(name, key_or_none)

    def _take(self, part: Any, place: str) -> None:
        if not isinstance(part, dict):
            raise TqhwError(f"a mapping is expected here, found {shown(part)}", place=place)
        for name, value in part.items():
            if isinstance(part, Map):
                self.lines[name] = part.place(name)
            self._refuse_hyphens(name, part)
            self.join(name, value)

    def _refuse_hyphens(self, name: str, part: Mapping[str, Any]) -> None:
        other = name.replace("-", "_")
        if other != name and (other in self.known() or other in part or other in self):
            raise TqhwError(f"'{name}' is written with _ here", place=self.place_of(name), lever=f"write '{other}'")

    def pairs(self) -> list[tuple[Any, Any]]:
        return list(self.items())

    def put(self, index: Any, value: Any) -> None:
        self[index] = value

    def key_of(self, index: Any) -> Key | None:
        known = self.known()
        if index in known:
            return known[index]
        return next((key for name, key in known.items() if key.part and name in index), None)

    def place_of(self, index: Any) -> str:
        return self.lines.get(index, f"{self.place}: {index}" if self.place else str(index))

    def public(self) -> Mapping[str, Any]:
        return {**self, **({"_class": self["class"]} if "class" in self else {})}

    def parse(self, name: str, key: Key | None, given: Any = None) -> None:
        """Makes the value of one key what its type wants, and gives it the key's own name."""
        place = self.place_of(name)
        value = given if given is not None else self.get(name)
        if value is REQUIRED:
            assert key is not None
            if key.default is REQUIRED:
                raise self.missing(name)
            value = copy.deepcopy(key.default)
        if name in ("tag", "parent_node"):
            raise TqhwError(f"'{name}' is reserved by the front end", place=place, lever="name it otherwise")
        if given is None and key is not None:
            del self[name]
        if key is None:
            self[name] = value
            return
        known = name if name in self.known() else next(n for n, k in self.known().items() if k is key)
        self.join(name if key.keep_name else known, key.cast(value, place), name)

    def missing(self, name: str) -> TqhwError:
        """The message for a key that is needed and not there."""
        kind = self.title()
        return TqhwError(f"the {kind} has no '{name}'", place=self.place or kind, lever=f"add `{name}:`")

    def join(self, name: str, value: Any, given_as: str | None = None) -> None:
        """Sets a value, or joins it with the one that is there."""
        self[name] = joined(self[name], value, name, self.place_of(given_as or name)) if name in self else value

    def combine(self, other: Section, place: str) -> Section:
        """Joins another section into this one, key by key."""
        for name in [*self, *(n for n in other if n not in self)]:
            mine, theirs = self.get(name), other.get(name)
            if mine is None or (theirs is not None and is_empty(mine)):
                self[name] = theirs
            elif theirs is not None and not is_empty(theirs) and not equal(mine, theirs):
                self[name] = joined(mine, theirs, name, other.lines.get(name) or place)
        self.lines = {**other.lines, **self.lines}
        return self

    def after(self, index: Any, scope: dict[str, Any]) -> None:
        scope[index] = self[index]

    def shown(self) -> str:
        return f"a {self.title()}"

    def elsewhere(self) -> Mapping[str, Iterable[str]]:
        """Keys of sections that this one may be taken for, by what they are called."""
        return {}

    def check(self) -> None:
        if self.open or len(self.known()) == 1:
            return
        for name, value in self.items():
            key = self.key_of(name)
            if key is None:
                known = [n for n in self.known() if n not in ("", "ignore")]
                raise unknown("key", str(name), known, self.place_of(name), self.elsewhere())
            key.check(value, str(name), self.place_of(name))


class Items(list[Any], Node):
    """A list; ``fields`` holds what its items are by their tag, ``""`` for those without."""

    def __init__(self, given: Any = None, place: str = "") -> None:
        super().__init__()
        self.place = place
        if not isinstance(given, list | None):
            raise TqhwError(f"a list is expected here, found {shown(given)}", place=place, lever=f"write [{given}]")
        for item in given or []:
            key = self._key_of(item)
            self.append(item if key is None else key.cast(item, item_place(item, place)))

    def pairs(self) -> list[tuple[Any, Any]]:
        return list(enumerate(self))

    def put(self, index: Any, value: Any) -> None:
        self[index] = value

    def key_of(self, index: Any) -> Key | None:
        return self._key_of(self[index])

    def _key_of(self, item: Any) -> Key | None:
        return self.known().get(getattr(item, "tag", None) or "")

    def place_of(self, index: Any) -> str:
        return item_place(self[index], self.place)

    def public(self) -> Mapping[str, Any]:
        return {"count": self.count, "index": self.index}

    def shown(self) -> str:
        return str(list(self))

    def check(self) -> None:
        if len(self.known()) == 1:
            return
        for item in self:
            key = self._key_of(item)
            if key is None:
                raise self.unknown_item(item)
            key.check(item, str(item)[:60], item_place(item, self.place))

    def unknown_item(self, item: Any) -> TqhwError:
        tag = getattr(item, "tag", None)
        known = ", ".join(name for name in self.known() if name.startswith("!"))
        what = f"unknown tag '{tag}'" if tag else f"{shown(item)} has no tag"
        return TqhwError(what, place=item_place(item, self.place), lever=f"known: {known}" if known else None)


class GrowingItems(Items):
    """A list that is appended to where two meet."""

    def combine(self, other: GrowingItems, place: str) -> GrowingItems:
        self.extend(other)
        return self
