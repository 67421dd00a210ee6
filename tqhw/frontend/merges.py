"""``<<<``: deep merges of mappings, as Accelergy's ``utils/yaml.py`` does them, and the size of what they make."""

from __future__ import annotations

import copy
from typing import Any

from tqhw.errors import TqhwError
from tqhw.frontend.documents import KeptList, KeptMap
from tqhw.spec.yamlio import MAX_NODES, Map

_MERGES = ("<<<", "<<")  # `<<` as a quoted key only: a plain one was merged when the text was read


def merge_all(tree: Any, source: str) -> Any:
    """``tree`` with every ``<<<`` carried out, in place; refused where it grows beyond a million values.

    A key that stands behind ``<<<`` is put back as it was: a list there replaces the merged one, a mapping, which
    was merged in place, stays merged.
    """
    try:
        merged = _Merger(source).resolve(tree)
        size = _expanded(merged, {})
    except RecursionError:
        raise TqhwError("values are nested too deeply", place=source, lever="flatten them") from None
    if size > MAX_NODES:
        raise TqhwError(f"aliases and includes make more than {MAX_NODES} values", place=source, lever="write fewer")
    return merged


def _expanded(tree: Any, known: dict[int, int]) -> int:
    """How many values ``tree`` holds once aliases are written out, each counted once; ``known``: those so far."""
    if not isinstance(tree, dict | list):
        return 1
    if id(tree) not in known:
        items = tree.values() if isinstance(tree, dict) else tree
        known[id(tree)] = 1 + sum(_expanded(item, known) for item in items)
    return known[id(tree)]


class _Merger:
    def __init__(self, source: str) -> None:
        self.source = source
        self.budget = MAX_NODES
        self.seen: dict[int, Any] = {}  # what was resolved, by identity: an alias leads to the same object

    def spend(self, amount: int, place: str) -> None:
        self.budget -= amount
        if self.budget < 0:
            raise TqhwError(f"merges make more than {MAX_NODES} values", place=place, lever="merge less")

    def resolve(self, tree: Any) -> Any:
        if id(tree) in self.seen:
            return tree
        if isinstance(tree, list | dict):
            self.seen[id(tree)] = tree
        if isinstance(tree, list):
            for index, item in enumerate(tree):
                tree[index] = self.resolve(item)
        elif isinstance(tree, dict):
            found = False
            for key, value in list(tree.items()):
                tree[key] = self.resolve(value)
                if key in _MERGES:
                    place = tree.place(key) if isinstance(tree, Map) else self.source
                    if found:
                        raise TqhwError("<<< and a quoted << in one mapping", place=place, lever="keep one")
                    found = True
                    given = tree.pop(key)
                    self.spend(_size(given, self.budget, place), place)
                    self.merge(tree, copy.deepcopy(given), key == "<<<", place)
        return tree

    def merge(self, into: dict[str, Any], given: Any, deep: bool, place: str) -> None:
        if isinstance(given, list | tuple):
            joined: dict[str, Any] = {}
            for one in given:
                self.merge(joined, one, deep, place)
            given = joined
        if not isinstance(given, dict):
            raise TqhwError(
                f"a mapping is merged by <<<, found {'nothing' if given is None else repr(given)[:60]}",
                place=place,
                lever="merge a mapping, or a list of mappings",
            )
        for key, value in given.items():
            if key not in into:
                into[key] = value
            elif not deep or isinstance(into[key], KeptList | KeptMap):
                continue
            elif isinstance(into[key], dict) and isinstance(value, dict):
                self.merge(into[key], value, deep, place)
            elif isinstance(into[key], list) and isinstance(value, list):
                self.spend(len(into[key]) + len(value), place)
                into[key] = into[key] + value


def _size(tree: Any, limit: int, place: str) -> int:
    """How many values ``tree`` holds once aliases are written out; counts no further than ``limit``."""
    total, stack = 0, [tree]
    while stack:
        one = stack.pop()
        total += 1
        if total > limit:
            raise TqhwError(f"merges make more than {MAX_NODES} values", place=place, lever="merge less")
        if isinstance(one, dict):
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)
    return total
