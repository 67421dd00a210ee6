"""What sections and lists of a specification share: the keys they know, and how their texts are evaluated.

A text is evaluated where it stands in parentheses, where its key's type does not take it, and everywhere in a section
that is ``evaluated`` (attributes and variables).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeVar, cast

from tqhw.errors import TqhwError
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
        raise TqhwError(f"'{name}' is {shown(value)}, {_wanted(self.kinds)}", place=place, lever=_lever(self, value))


_IGNORED = Key(default=None, part=True, keep_name=True)


@cache
def _known(cls: Any) -> dict[str, Key]:
    found: dict[str, Key] = {"ignore": _IGNORED}
    for parent in reversed(cls.__mro__):
        found.update(vars(parent).get("fields", {}))
    return found


class Node(ABC):
    """A section or a list."""

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

    @abstractmethod
    def pairs(self) -> list[tuple[Any, Any]]:
        """Every index (a name, or a number) with its value."""

    @abstractmethod
    def put(self, index: Any, value: Any) -> None:
        """Sets one value."""

    @abstractmethod
    def key_of(self, index: Any) -> Key | None:
        """The key that the value at ``index`` is of; None where the class knows none."""

    @abstractmethod
    def place_of(self, index: Any) -> str:
        """File and line of it."""

    @abstractmethod
    def shown(self) -> str:
        """In a message."""

    @abstractmethod
    def check(self) -> None:
        """Raises TqhwError for a key or an item that the class does not know."""

    def is_empty(self) -> bool:
        return len(self) == 0  # type: ignore[arg-type]

    @abstractmethod
    def public(self) -> Mapping[str, Any]:
        """What an expression can reach by a dotted name."""

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

    def after(self, index: Any, scope: dict[str, Any]) -> None:  # noqa: B027 - lists have nothing to add
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
    if theirs is REQUIRED or is_empty(theirs) or equal(mine, theirs):
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
    raise TqhwError(f"'{name}' is given twice: {shown(mine)} and {shown(theirs)}", place=place, lever="keep one")


def equal(mine: Any, theirs: Any) -> bool:
    """As a truth value, whatever ``==`` gives."""
    return bool(mine == theirs)


def _same(value: Any, default: Any) -> bool:
    return default is not REQUIRED and equal(value, default)


def item_place(item: Any, otherwise: str) -> str:
    """Where a value stands, as far as it knows."""
    if isinstance(item, Map) and item.source:
        return item.place()
    return getattr(item, "place", "") or otherwise if isinstance(item, Node) else otherwise


def shown(value: Any) -> str:
    """A value in a message."""
    if value is None:
        return "nothing"
    if isinstance(value, Node):
        return value.shown()
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
