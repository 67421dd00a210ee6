"""Where a tensor comes from: the model's input, or parameters and constants alone.

A matrix product does not say which factor is the weight. A tensor that no input went into is one, whatever was
computed with it before (quantized, transposed, sliced, merged from two factors); anything else is an activation.
Random numbers that the model draws count as an input where they meet a weight: they are not the same every time.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from tqhw.quant.identity import storage_of
from tqhw.workload.views import Views

INPUT = "<input>"  # no parameter can have this name: the source of everything that depends on the input
RANDOM = "<random>"  # likewise, of what was drawn during the run
_FROM_INPUT = frozenset({INPUT})
_PLAIN = (torch.Tensor, torch.nn.Parameter)
# Operators that pick parts of their first tensor by the values of another.
_PICKS = frozenset({"aten.index", "aten.index_select", "aten.gather", "aten.take"})
_ZEROS = frozenset({"aten.zeros", "aten.zeros_like", "aten.new_zeros"})
# Operators that give the numbers of their tensors on: seen otherwise, cut, joined, of another type.
_MOVES = frozenset(
    f"aten.{name}"
    for name in (
        *("cat", "stack", "view", "_unsafe_view", "reshape", "expand", "repeat", "transpose", "t", "permute", "alias"),
        *("slice", "select", "unsqueeze", "squeeze", "index", "index_select", "clone", "copy", "copy_", "_to_copy"),
        *("detach", "index_copy", "index_copy_", "index_put", "index_put_", "slice_scatter", "split", "contiguous"),
        *("unbind", "chunk", "mul"),  # torch's attention scales keys before the product
    )
)


@dataclass(frozen=True)
class Span:
    """What a named tensor covers of its storage: from the element ``first`` to ``last``."""

    name: str
    first: int
    last: int
    layout: Hashable


class Origins:
    """The names of the parameters and buffers that each tensor of a running model was computed from."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._computed = WeakTensorKeyDictionary()
        self._picked = WeakTensorKeyDictionary()
        self._cached = WeakTensorKeyDictionary()
        self._zeros = WeakTensorKeyDictionary()
        self.views = Views()
        # By memory rather than by object: `weight.data` and views of a weight are other objects. One storage may
        # hold many parameters (flattened ones, parts of a fused matrix).
        self._stored: dict[Hashable, list[Span]] = {}
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            self._stored.setdefault(storage_of(tensor), []).append(_span(name, tensor))

    def of(self, tensor: torch.Tensor) -> frozenset[str]:
        """The names that ``tensor`` depends on; empty for a constant, {INPUT} where the input went into it."""
        found = self._noted(tensor)
        whole = self.views.whole(tensor)
        if whole is not None:  # what was written into a tensor later on shows in its older views
            base = self._noted(whole)
            found = base if found is None else found | (base or frozenset())
        if found is None:  # of a wrapper, what is inside was computed, and nothing computed the wrapper
            inner = [self._noted(part) for part in inside(tensor)]
            computed = [sources for sources in inner if sources is not None]
            found = frozenset().union(*computed) if computed else self._named(tensor)
        return _FROM_INPUT if INPUT in found else found

    def _noted(self, tensor: torch.Tensor) -> frozenset[str] | None:
        noted: frozenset[str] | None = self._computed.get(tensor)  # type: ignore[no-untyped-call]
        return noted

    def _named(self, tensor: torch.Tensor) -> frozenset[str]:
        """The parameters in the memory that ``tensor`` shows: those that are it, that hold it, that it touches."""
        spans = self._stored.get(storage_of(tensor), [])
        if not spans:
            return frozenset()
        own = _span("", tensor)
        same = [span for span in spans if span.layout == own.layout]
        holding = [span for span in spans if span.first <= own.first and own.last <= span.last]
        tightest = min((span.last - span.first for span in holding), default=0)
        within = [span for span in holding if span.last - span.first == tightest]
        touched = [span for span in spans if span.first <= own.last and own.first <= span.last]
        return frozenset(span.name for span in (same[:1] or within or touched))

    def depends_on_input(self, tensor: torch.Tensor) -> bool:
        return INPUT in self.of(tensor)

    def picked(self, tensor: torch.Tensor) -> frozenset[str]:
        """The parameters whose parts ``tensor`` is, where the input only chose among them; empty otherwise."""
        found: frozenset[str] = self._picked.get(tensor, frozenset())  # type: ignore[no-untyped-call]
        return found

    def is_cached(self, tensor: torch.Tensor) -> bool:
        """Whether ``tensor`` is the KV cache, whole or in part, or was joined from it."""
        return tensor in self._cached

    def is_zero(self, tensor: torch.Tensor) -> bool:
        """Whether ``tensor`` is zeros that the run made: a first state, multiplied like every later one."""
        return tensor in self._zeros

    def mark_cached(self, tensor: torch.Tensor) -> None:
        self.mark_input(tensor)
        self._cached[tensor] = True

    def mark_input(self, tensor: torch.Tensor) -> None:
        self._computed[tensor] = _FROM_INPUT

    def derive(self, arguments: object, results: object, operator: str = "", random: bool = False) -> None:
        """Notes that ``results`` (and what they are views of) were computed from ``arguments``.

        ``operator``: what computed them; ``random``: it drew random numbers.
        """
        given = list(tensors_in(arguments))
        self.views.note(given, tensors_in(results))
        sources: frozenset[str] = frozenset({RANDOM} if random else ())
        for tensor in given:
            sources |= self.of(tensor)
        sources = _FROM_INPUT if INPUT in sources else sources
        cached = operator in _MOVES and any(map(self.is_cached, given))
        picked = self._picks(operator, given) if INPUT in sources else frozenset()
        zero = operator in _ZEROS or (operator in _MOVES and bool(given) and all(map(self.is_zero, given)))
        objects = {id(tensor) for tensor in given}
        for tensor in tensors_in(results):
            self._computed[tensor] = sources
            for part in inside(tensor):
                self._computed[part] = sources
            if cached:
                self._cached[tensor] = True
            if zero:
                self._zeros[tensor] = True
            elif id(tensor) in objects:  # written in place
                for written in (*self.views.of(tensor), tensor._base):
                    if written is not None:
                        self._zeros.pop(written, None)  # type: ignore[no-untyped-call]
            if picked:
                self._picked[tensor] = picked
            whole = self.views.whole(tensor) if id(tensor) in objects else None
            if whole is not None:  # written in place, through a view
                self._computed[whole] = sources | self.of(whole)

    def _picks(self, operator: str, given: list[torch.Tensor]) -> frozenset[str]:
        if not given:
            return frozenset()
        if operator in _PICKS:
            sources = self.of(given[0])
            return frozenset() if INPUT in sources else sources
        return self.picked(given[0]) if len(given) == 1 else frozenset()  # seen, turned, of another type


def part_of_storage(tensor: torch.Tensor) -> Hashable:
    """Equal for tensors that hold the same numbers of one memory, in whichever order of their axes."""
    return storage_of(tensor), _span("", tensor).layout


def _span(name: str, tensor: torch.Tensor) -> Span:
    if tensor.layout is not torch.strided:
        return Span(name, 0, 0, id(tensor))
    first = int(tensor.storage_offset())
    shape, stride = tuple(tensor.shape), tuple(tensor.stride())
    last = first + sum((size - 1) * step for size, step in zip(shape, stride, strict=True) if size)
    # The order of the axes is how a tensor is looked at, not what it holds.
    axes = tuple(sorted((step, size) for size, step in zip(shape, stride, strict=True) if size != 1))
    return Span(name, first, last, (first, axes, tensor.numel()))


def inside(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tensors that a wrapper of another library keeps, such as codes and their scale; of plain ones none."""
    flatten = None if type(tensor) in _PLAIN else getattr(tensor, "__tensor_flatten__", None)
    for name in flatten()[0] if flatten is not None else ():
        part = getattr(tensor, name, None)
        if isinstance(part, torch.Tensor):
            yield part


def tensors_in(value: object) -> Iterator[torch.Tensor]:
    """The tensors in nested tuples, lists and dictionaries, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)


def tensors_inside(value: object, seen: set[int] | None = None) -> Iterator[torch.Tensor]:
    """The tensors in nested containers and in the attributes of objects, such as a graph with its edges, each once.

    Parameters and what modules hold are a model's own, and are passed over.
    """
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, torch.nn.Module | torch.nn.Parameter | type):
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
        return
    parts: Iterable[object] = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    elif hasattr(value, "__dict__"):
        parts = vars(value).values()
    for part in list(parts):
        yield from tensors_inside(part, seen)
