"""Typed sections and lists: which keys they know, what they take, how two of them are joined, how texts are evaluated.

This is what the front end's ``common/nodes.py`` does, told as tables: a subclass of :class:`Section` or :class:`Items`
lists its ``fields``. A text is evaluated where it stands in parentheses, where its key's type does not take it, and
everywhere in a section that is ``evaluated`` (attributes and variables).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeVar, cast

from tqhw.errors import TqhwError, unknown
from tqhw.frontend.expressions import evaluate, is_bare
from tqhw.spec.yamlio import Map, Quoted

BARE_WORDS = "bare words"
"""In a scope, which no expression can name: a list that takes a line on every word that is read as a text."""

REQUIRED: Any = type("Required", (), {"__repr__": lambda _: "REQUIRED"})()
_N = TypeVar("_N", bound="Node")


@dataclass(frozen=True)
class Key:
    """One key of a section, or what the items of a list are.

    ``kinds``: classes, words and None that are taken, nothing given: anything. ``convert``: makes the value of what
    the file gives. ``part``: the name may be a part of the given one, which becomes ``name`` unless ``keep_name``.
    """

    kinds: tuple[Any, ...] = ()
    default: Any = REQUIRED
    convert: Callable[[Any, str], Any] | None = None
    part: bool = False
    keep_name: bool = False

    def cast(self, value: Any, place: str) -> Any:
        """``value`` as the section keeps it: a nested section where the key has one."""
        if self.convert is not None:
            return self.convert(value, place)
        if len(self.kinds) == 1 and isinstance(self.kinds[0], type) and issubclass(self.kinds[0], Node):
            made: Callable[[Any, str], Any] = self.kinds[0]
            return value if value is None or isinstance(value, self.kinds[0]) else made(value, place)
        return value

    def takes(self, value: Any) -> bool:
        if not self.kinds or _same(value, self.default):
            return True
        return any(
            (isinstance(kind, str) and str(value) == kind)
            or (isinstance(kind, type) and isinstance(value, kind))
            or (kind is None and value is None)
            for kind in self.kinds
        )

    def takes_default(self, value: Any) -> bool:
        """Whether ``value`` is what the key has where nothing is given."""
        return _same(value, self.default) or (is_empty(value) and is_empty(self.default))

    def check(self, value: Any, name: str, place: str) -> None:
        """Raises TqhwError for a value of another type."""
        if self.takes(value):
            return
        raise TqhwError(f"'{name}' is {_shown(value)}, {_wanted(self.kinds)}", place=place, lever=_lever(self, value))


_IGNORED = Key(default=None, part=True, keep_name=True)


@cache
def _known(cls: Any) -> dict[str, Key]:
    found: dict[str, Key] = {"ignore": _IGNORED}
    for parent in reversed(cls.__mro__):
        found.update(vars(parent).get("fields", {}))
    return found


class Node:
    """What :class:`Section` and :class:`Items` share."""

    fields: ClassVar[dict[str, Key]] = {}
    evaluated: ClassVar[bool] = False
    tag: str | None = None
    place: str = ""

    @classmethod
    def known(cls) -> dict[str, Key]:
        """The keys of the class and its parents; names that contain ``ignore`` come first."""
        return _known(cast(Hashable, cls))

    @classmethod
    def title(cls) -> str:
        """``StorageAttributes`` -> ``storage attributes``, ``ParallelNode`` -> ``parallel``."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cls.__name__.removesuffix("Node")).lower()

    def pairs(self) -> list[tuple[Any, Any]]:
        raise NotImplementedError

    def put(self, index: Any, value: Any) -> None:
        raise NotImplementedError

    def key_of(self, index: Any) -> Key | None:
        raise NotImplementedError

    def place_of(self, index: Any) -> str:
        raise NotImplementedError

    def check(self) -> None:
        """Raises TqhwError for a key or an item that the class does not know."""
        raise NotImplementedError

    def is_empty(self) -> bool:
        return len(self) == 0  # type: ignore[arg-type]

    def public(self) -> Mapping[str, Any]:
        """What an expression can reach by a dotted name."""
        raise NotImplementedError

    def below(self, kind: type[_N]) -> Iterator[_N]:
        """All nodes of a kind below this one, the nearest first."""
        children = [value for _, value in self.pairs() if isinstance(value, Node)]
        yield from (child for child in children if isinstance(child, kind))
        for child in children:
            yield from child.below(kind)

    def evaluate(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """Evaluates the texts here and below, in their order; returns ``names`` with those of this section."""
        scope = {**names, "parent_node": self}
        for index, value in self.pairs():
            key, place = self.key_of(index), self.place_of(index)
            if isinstance(value, Node):
                value.evaluate(scope)
            elif isinstance(value, str):
                value = self._text(value, key, scope, place)
                self.put(index, value if key is None else key.cast(value, place))
            if key is not None and not isinstance(value, str):
                key.check(self[index], str(index), place)  # type: ignore[index]
            self.after(index, scope)
        return scope

    def _text(self, text: str, key: Key | None, scope: Mapping[str, Any], place: str) -> Any:
        if isinstance(text, Quoted):
            return text
        if self.evaluated and BARE_WORDS in scope and is_bare(text, scope):
            scope[BARE_WORDS].append(f"{place}: '{text}' names nothing and is taken as a text; quote it for Timeloop")
            return Quoted(text)
        bracketed = text.startswith("(") and text.endswith(")")
        if self.evaluated or bracketed or (key is not None and not key.takes(text)):
            return evaluate(text, scope, place)
        return text

    def after(self, index: Any, scope: dict[str, Any]) -> None:
        """Called when one value is evaluated; ``scope`` is what the next one sees."""

    def check_all(self) -> None:
        self.check()
        for _, value in self.pairs():
            if isinstance(value, Node):
                value.check_all()

    def clean(self) -> None:
        """Takes out what is empty, here and below."""
        for index, value in reversed(self.pairs()):
            if isinstance(value, Node):
                value.clean()
            if is_empty(value):
                del self[index]  # type: ignore[attr-defined]


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
            raise TqhwError(f"a mapping is expected here, found {_shown(part)}", place=place)
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
            elif theirs is not None and not is_empty(theirs) and not _equal(mine, theirs):
                self[name] = joined(mine, theirs, name, other.lines.get(name) or place)
        self.lines = {**other.lines, **self.lines}
        return self

    def after(self, index: Any, scope: dict[str, Any]) -> None:
        scope[index] = self[index]

    def check(self) -> None:
        if self.open or len(self.known()) == 1:
            return
        for name, value in self.items():
            key = self.key_of(name)
            if key is None:
                known = [n for n in self.known() if n not in ("", "ignore")]
                raise unknown("key", str(name), known, self.place_of(name))
            key.check(value, str(name), self.place_of(name))


class Items(list[Any], Node):
    """A list; ``fields`` holds what its items are by their tag, ``""`` for those without."""

    def __init__(self, given: Any = None, place: str = "") -> None:
        super().__init__()
        self.place = place
        if not isinstance(given, list | None):
            raise TqhwError(f"a list is expected here, found {_shown(given)}", place=place, lever=f"write [{given}]")
        for item in given or []:
            key = self._key_of(item)
            self.append(item if key is None else key.cast(item, _place(item, place)))

    def pairs(self) -> list[tuple[Any, Any]]:
        return list(enumerate(self))

    def put(self, index: Any, value: Any) -> None:
        self[index] = value

    def key_of(self, index: Any) -> Key | None:
        return self._key_of(self[index])

    def _key_of(self, item: Any) -> Key | None:
        return self.known().get(getattr(item, "tag", None) or "")

    def place_of(self, index: Any) -> str:
        return _place(self[index], self.place)

    def public(self) -> Mapping[str, Any]:
        return {"count": self.count, "index": self.index}

    def check(self) -> None:
        if len(self.known()) == 1:
            return
        for item in self:
            key = self._key_of(item)
            if key is None:
                raise self.unknown_item(item)
            key.check(item, str(item)[:60], _place(item, self.place))

    def unknown_item(self, item: Any) -> TqhwError:
        tag = getattr(item, "tag", None)
        known = ", ".join(name for name in self.known() if name.startswith("!"))
        what = f"unknown tag '{tag}'" if tag else f"{_shown(item)} has no tag"
        return TqhwError(what, place=_place(item, self.place), lever=f"known: {known}" if known else None)


class GrowingItems(Items):
    """A list that is appended to where two meet."""

    def combine(self, other: GrowingItems, place: str) -> GrowingItems:
        self.extend(other)
        return self


def is_empty(value: Any) -> bool:
    """None, and what has no items."""
    if value is None:
        return True
    if isinstance(value, Node):
        return value.is_empty()
    return hasattr(value, "__len__") and len(value) == 0


def joined(mine: Any, theirs: Any, name: str, place: str) -> Any:
    """Two values that one key has got. Raises TqhwError where they contradict each other."""
    if mine is REQUIRED or is_empty(mine):
        return theirs
    if theirs is REQUIRED or is_empty(theirs) or _equal(mine, theirs):
        return mine
    if type(mine) is type(theirs) and hasattr(mine, "combine"):
        return mine.combine(theirs, place)
    if "ignore" in name:
        return theirs
    if isinstance(mine, Node) != isinstance(theirs, Node):
        raise TqhwError(
            f"'{name}' is given twice, once under another name that stands before it",
            place=place,
            lever=f"put `{name}:` first",
        )
    raise TqhwError(f"'{name}' is given twice: {_shown(mine)} and {_shown(theirs)}", place=place, lever="keep one")


def _equal(mine: Any, theirs: Any) -> bool:
    return bool(mine == theirs)


def _same(value: Any, default: Any) -> bool:
    return default is not REQUIRED and _equal(value, default)


def _place(item: Any, otherwise: str) -> str:
    if isinstance(item, Map) and item.source:
        return item.place()
    return getattr(item, "place", "") or otherwise if isinstance(item, Node) else otherwise


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Node):
        return str(list(value)) if isinstance(value, Items) else f"a {value.title()}"
    return repr(str(value)[:60]) if isinstance(value, str) else str(value)[:60]


_WORDS = {
    "int": "a whole number",
    "float": "a number with a point",
    "Number": "a number",
    "str": "a text",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping",
}


def _wanted(kinds: tuple[Any, ...]) -> str:
    names = [kind if isinstance(kind, str) else "nothing" if kind is None else _kind(kind) for kind in kinds]
    return f"it must be {' or '.join(names)}"


def _kind(kind: type) -> str:
    title = kind.title() if issubclass(kind, Node) else kind.__name__
    return _WORDS.get(kind.__name__, f"a {title}")


def _lever(key: Key, value: Any) -> str | None:
    if isinstance(value, float) and int in key.kinds:
        return "write int(...), or // in place of /"
    return None
