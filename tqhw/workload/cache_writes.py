"""How many numbers of a KV cache a call makes: the others are there from earlier calls, or are an empty buffer's.

A cache grows by joining (``cat``), turns over where a window cuts off the oldest tokens, is a buffer that is written in
places, or a state that is computed anew. Only how many numbers are new is followed, not which, so that it works on the
meta device, too. Where a mask chooses, ``where(mask, new, old)`` or ``old * (1 - mask) + new * mask``, those count that
it takes in this run; on the meta device it has no numbers, and all is taken for new.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from tqhw.quant.identity import identity
from tqhw.workload.masks import taken
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
_MASKED = frozenset({"aten.masked_fill", "aten.masked_scatter"})


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
        self._factors = WeakTensorKeyDictionary()  # of products with no number of an earlier call
        self._emptied = WeakTensorKeyDictionary()  # which numbers of an earlier call a mask made 0
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

    def rewritten(self, tensors: Iterable[Tensor]) -> int:
        """Numbers of the tensors that hold none of an earlier call's, as far as can be told."""
        return sum(tensor.numel() for tensor in tensors if self.of(tensor).put == tensor.numel())

    def derive(self, operator: str, given: dict[str, Any], result: Any) -> None:
        """Follows a call. ``operator``: its name without overload, without the ``_`` of in-place forms."""
        if operator in _EMPTY:
            for tensor in tensors_in(result):
                self._new[tensor] = NewWords()
        elif operator in _JOINS:
            self._join(list(tensors_in(list(given.values()))), result)
        elif operator in _WRITES:
            self._put(operator, given, result)
        elif operator == "aten.where":
            self._choose(given, result)
        elif operator in _MASKED:
            self._mask(given["self"], taken(given["mask"], given["self"].shape), result)
        elif operator == "aten.mul":
            self._multiply(given, result)
        elif operator == "aten.add":
            self._sum(given, result)
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

    def _choose(self, given: dict[str, Any], result: Tensor) -> None:
        """``where(mask, one, other)``: what is chosen of an earlier call's numbers is none that is new."""
        one, other = given.get("self"), given.get("other")
        first, second = (self._known(part) if isinstance(part, Tensor) else None for part in (one, other))
        if first and second:
            self._add(result, NewWords(max(first.joined, second.joined), first.put + second.put), 0)
        elif first or second:
            chosen = taken(given["condition"], result.shape)
            self._mask(one if first else other, ~chosen if first and chosen is not None else chosen, result)

    def _mask(self, old: Any, new: Tensor | None, result: Tensor) -> None:
        """``result`` is ``old`` but for elements that are ``new``; for None it is not known which."""
        words = result.numel() if new is None else int(new.sum())
        if result is old:
            self._write(old, words)
        elif new is not None and old.shape == result.shape:
            self._add(result, self._known(old), words)

    def _multiply(self, given: dict[str, Any], result: Tensor) -> None:
        old, mask = self._apart(given)
        if old is None:
            self._factors[result] = tuple(given.values())
            self._pass_on("aten.mul", given, result)
            return
        kept = taken(mask, result.shape)
        emptied = None if kept is None else ~kept
        self._mask(old, emptied, result)
        if emptied is not None:
            self._emptied[result] = emptied

    def _sum(self, given: dict[str, Any], result: Tensor) -> None:
        old, added = self._apart(given)
        if old is None:
            self._pass_on("aten.add", given, result)
            return
        new, emptied = self._nonzero(added, result), self._emptied.get(old)  # type: ignore[no-untyped-call]
        self._mask(old, new if new is None or emptied is None else new & ~emptied, result)

    def _apart(self, given: dict[str, Any]) -> tuple[Tensor | None, Any]:
        """Of two operands the one with an earlier call's numbers, and the other one."""
        one, other = given.get("self"), given.get("other")
        for old, rest in ((one, other), (other, one)):
            if isinstance(old, Tensor) and self._known(old) is not None:
                return old, rest
        return None, None

    def _nonzero(self, product: Any, result: Tensor) -> Tensor | None:
        """Where a product that a mask is a factor of may be something else than 0."""
        factors = self._factors.get(product, ()) if isinstance(product, Tensor) else ()  # type: ignore[no-untyped-call]
        masks = (taken(factor, factor.shape) for factor in factors if isinstance(factor, Tensor))
        mask = next((mask for mask in masks if mask is not None), None)
        return None if mask is None else mask.expand(product.shape).expand(result.shape)

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
