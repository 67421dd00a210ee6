"""How many numbers of a KV cache a call makes: the others are there from earlier calls, or are an empty buffer's.

A cache grows by joining (``cat``), turns over where a window cuts off the oldest tokens, is a buffer that is written in
places, or a state that is computed anew. Only how many numbers are new is followed, not which, so that it works on the
meta device, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from tqhw.quant.identity import identity
from tqhw.workload.sources import tensors_in
from tqhw.workload.views import Views

_EMPTY = frozenset(
    f"aten.{name}{end}"
    for name in ("zeros", "ones", "empty", "full", "new_zeros", "new_ones", "new_empty", "new_full")
    for end in ("", "_like")
) | {"aten.empty_strided", "aten.new_empty_strided"}
_MOVES = frozenset(
    f"aten.{name}"
    for name in (
        *("view", "_unsafe_view", "reshape", "transpose", "t", "permute", "alias", "detach", "clone", "_to_copy"),
        *("slice", "select", "unsqueeze", "squeeze", "split", "split_with_sizes", "unbind", "roll", "index_select"),
        *("contiguous", "expand", "as_strided", "constant_pad_nd"),
        *("index", "gather", "flip"),
    )
)
_JOINS = frozenset({"aten.cat", "aten.stack"})
_WRITES = {
    "aten.copy": "src",
    "aten.index_copy": "source",
    "aten.index_put": "values",
    "aten._index_put_impl": "values",
    "aten.scatter": "src",
    "aten.slice_scatter": "src",
    "aten.select_scatter": "src",
}
"""What writes a tensor in places, and the argument that holds the numbers."""


@dataclass(frozen=True)
class NewWords:
    """New numbers: ``joined`` to the old ones, or ``put`` in the place of some."""

    joined: int = 0
    put: int = 0

    @property
    def words(self) -> int:
        return self.joined + self.put


class CacheWrites:
    """Of every tensor that holds numbers of an earlier call, or room for them, how many are new."""

    def __init__(self, views: Views | None = None) -> None:
        self._new = WeakTensorKeyDictionary()
        self._views = views or Views()

    def keep(self, tensor: Tensor) -> None:
        """Notes that ``tensor`` is there from an earlier call."""
        self._new[tensor] = NewWords()

    def of(self, tensor: Tensor) -> NewWords:
        """All of a tensor's numbers, unless it is known to hold others."""
        found = self._known(tensor)
        return NewWords(put=tensor.numel()) if found is None else found

    def total(self, tensors: Iterable[Tensor]) -> NewWords:
        """Of several together."""
        found = [self.of(tensor) for tensor in tensors]
        return NewWords(sum(one.joined for one in found), sum(one.put for one in found))

    def derive(self, operator: str, given: dict[str, Any], result: Any) -> None:
        """Follows a call. ``operator``: its name without overload, without the ``_`` of in-place forms."""
        if operator in _EMPTY:
            for tensor in tensors_in(result):
                self._new[tensor] = NewWords()
        elif operator in _JOINS:
            self._join(list(tensors_in(list(given.values()))), result)
        elif operator in _WRITES:
            self._put(operator, given, result)
        else:
            self._pass_on(operator, given, result)

    def _join(self, parts: list[Tensor], result: Tensor) -> None:
        known = [self._known(part) for part in parts]
        if any(known):
            fresh = sum(part.numel() for part, new in zip(parts, known, strict=True) if new is None)
            old = [new for new in known if new is not None]
            self._new[result] = NewWords(fresh + sum(new.joined for new in old), sum(new.put for new in old))

    def _put(self, operator: str, given: dict[str, Any], result: Tensor) -> None:
        target, source = given.get("self"), given.get(_WRITES[operator])
        if not isinstance(target, Tensor) or not isinstance(source, Tensor):
            return
        words = self.of(source).words
        if operator == "aten.copy" and self._known(source) is None:  # it may be repeated
            words = target.numel()
        if result is not target:
            self._add(result, self._known(target), words)
            return
        self._write(target, words)

    def _write(self, target: Tensor, words: int) -> None:
        """New numbers in ``target``, which are those of everything that it is a view of, too, by whatever object."""
        places = {identity(shown) for shown in self._views.of(target)}
        for tensor in list(self._new.keys()):  # type: ignore[no-untyped-call]
            if identity(tensor) in places:
                self._add(tensor, self._known(tensor), words)

    def _add(self, tensor: Tensor, known: NewWords | None, words: int) -> None:
        if known is not None:
            self._new[tensor] = NewWords(known.joined, min(known.put + words, tensor.numel() - known.joined))

    def _pass_on(self, operator: str, given: dict[str, Any], result: Any) -> None:
        first = given.get("self")
        if not isinstance(first, Tensor):
            return
        known = self._known(first)
        for tensor in tensors_in(result):
            size = tensor.numel()
            if tensor is first:
                if operator not in _MOVES:  # computed in place
                    self._write(tensor, size)
            elif operator in _MOVES and known is not None:
                joined = min(known.joined, size)
                self._new[tensor] = NewWords(joined, min(known.put, size - joined))

    def _known(self, tensor: Tensor) -> NewWords | None:
        found: NewWords | None = self._new.get(tensor)  # type: ignore[no-untyped-call]
        return found
