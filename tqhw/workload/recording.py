"""From what an operator multiplies to an operation of the workload: its weight, its name, and what is left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from tqhw.quant.identity import identity, storage_of
from tqhw.spec import Problem
from tqhw.workload import problems
from tqhw.workload.cache_writes import CacheWrites
from tqhw.workload.experts import rows_per_expert
from tqhw.workload.operations import Convolution, MatrixProduct, Operation, Weight
from tqhw.workload.products import PACKED
from tqhw.workload.sources import INPUT, RANDOM, Origins, part_of_storage
from tqhw.workload.widths import Widths

_PARAMETRIZED = re.compile(r"(^|\.)parametrizations\.(\w+)\.original\d*$")
_WEIGHT_SUFFIX = re.compile(r"(^|\.)weight$")
_COMPILED = re.compile(r"(^|\.)_orig_mod(?=\.|$)")  # the module that torch.compile wraps


@dataclass
class Trace:
    """What a run did. ``norms``: channels of every batch norm that ran, by name.

    ``folded``: multiply-accumulates of constants alone, by place; ``made``: the places among them whose constants are
    made during the run; ``read_out``: those where values of activations left PyTorch; ``idle``: products of no rows;
    ``refused``: the operators of what is ``unsupported``; ``skipped``: what the patterns left out, with its
    multiply-accumulates where they are known; ``notes``: assumptions; ``written``: what is new in a KV cache.
    """

    operations: list[Operation] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    folded: dict[str, int] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    refused: dict[str, None] = field(default_factory=dict)
    read_out: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    norms: dict[str, int] = field(default_factory=dict)
    written: CacheWrites = field(default_factory=CacheWrites)


class Recorder:
    """Knows where in the model the run is, and writes down what is computed there."""

    def __init__(self, model: nn.Module, sources: Origins, skip: tuple[str, ...], routing: tuple[int, ...] | None):
        self.trace = Trace(written=CacheWrites(sources.views))
        self.unused = dict.fromkeys(skip)
        self._skip, self._routing, self._sources = skip, routing, sources
        self._root = type(model).__name__
        self._names = {module: _COMPILED.sub("", name).strip(".") for name, module in model.named_modules()}
        self._parameters = dict(model.named_parameters())
        self._computed = dict(_computed_by_hooks(self._names))
        self._open: list[nn.Module] = []
        self.widths = Widths()
        self._factors: tuple[Any, Any] = (None, None)  # those of the product that is on its way
        self._calls = [Counter[str]()]  # operations so far in every open call of a module, by name

    # Where the run is.

    def enter(self, module: nn.Module) -> None:
        self._open.append(module)
        self._calls.append(Counter())

    def leave(self) -> None:
        self._open.pop()
        self._calls.pop()

    @property
    def open(self) -> tuple[nn.Module, ...]:
        """The modules whose forward pass is on its way, outermost first."""
        return tuple(self._open)

    @property
    def place(self) -> str:
        return (self._path(self._open[-1]) if self._open else "") or self._root

    def described(self) -> str:
        """The place, with the class that stands there."""
        return f"{self.place} ({type(self._open[-1]).__name__})" if self._open else self._root

    def name_of(self, module: nn.Module) -> str:
        return self._path(module) or self._root

    def _path(self, module: nn.Module) -> str:
        return self._names.get(module, "")

    # What happens there.

    def refuse(self, what: str, operator: str) -> None:
        module = self._open[-1] if self._open else None
        text = f"{self.place} ({type(module).__name__}: {what})"
        if self._skipped(self.place, operator):
            self.trace.skipped.setdefault(text, 0)
        else:
            _once(self.trace.unsupported, text)
            self.trace.refused.setdefault(operator)

    def read_out(self) -> None:
        _once(self.trace.read_out, self.place)

    def record(self, found: MatrixProduct | Convolution, operator: str) -> None:
        """Writes down a product as an operation, or says where it went."""
        self._factors = (found.left, found.right) if isinstance(found, MatrixProduct) else (found.inputs, found.weight)
        if isinstance(found, MatrixProduct):
            self._product(found, operator)
        else:
            self._convolution(found, operator)

    def _convolution(self, found: Convolution, operator: str) -> None:
        def make(name: str) -> Problem:
            return problems.of_convolution(name, found)

        words = _numel(found.window)
        weight = self._weight_of(found.inputs, found.weight, words)
        if weight is found.inputs and weight is not None:
            # The kernel is the activation: no data space of the problem would be the model's weights.
            self.refuse("convolution of a constant by an activation", operator)
            return
        kind = "transposed" if found.transposed else "convolution"
        if 0 in (*found.window, *found.picture):
            self._idle(kind, weight, words)
        elif self._constant(found.inputs, weight):
            self._fold(make("folded").computes, operator, found.inputs)
        else:
            self._write(kind, operator, weight, words, make, bits=found.bits)

    def _product(self, found: MatrixProduct, operator: str) -> None:
        batch, rows, inner, columns = found.batch, found.rows, found.inner, found.columns
        words = batch * inner * columns
        weight = self._weight_of(found.left, found.right, words, batch * rows * inner, solved=found.solved)
        turned = weight is found.left and weight is not None
        if turned:  # (L R)^T = R^T L^T
            rows, columns = columns, rows
            words = batch * inner * columns
        experts = found.experts
        if weight is None:
            weight, turned, experts = self._picked(found)
            if turned:
                rows, columns = columns, rows
            if weight is not None:
                batch, rows, words = 1, batch * rows, inner * columns
        if 0 in (batch, rows, inner, columns):
            self._idle("matmul", weight, words)
        elif self._constant(found.right if turned else found.left, weight):
            self._fold(batch * rows * inner * columns, operator, found.right if turned else found.left)
        elif experts is not None:
            self._routed(operator, weight, rows, inner, columns, experts)
        else:
            if isinstance(weight, Tensor) and batch > 1 and weight.dim() == 3 and weight.stride(0) == 0:
                batch, rows, words = 1, batch * rows, inner * columns  # one weight for the whole batch

            def make(name: str) -> Problem:
                return problems.product(name, batch=batch, rows=rows, inner=inner, columns=columns)

            kind = "kv_cache" if weight is None and self._reads_cache(found) else "matmul"
            self._write(kind, operator, weight, words, make, bits=found.bits, part=found.part)

    def _reads_cache(self, found: MatrixProduct) -> bool:
        return any(
            isinstance(factor, Tensor) and self._sources.is_cached(factor) for factor in (found.left, found.right)
        )

    def _routed(self, operator: str, weight: Any, rows: int, inner: int, columns: int, experts: int) -> None:
        """One problem for all experts that get equally many rows; the weights of those that get none are stored."""
        name, _ = self._named(weight, experts * inner * columns) if isinstance(weight, Tensor) else (None, ())
        place = name or self.place
        shares = rows_per_expert(rows, experts, self._routing, place)
        how = "as given" if self._routing else "as equally as possible, an assumption"
        _once(self.trace.notes, f"{place}: {rows:,} rows are routed between {experts} experts, {how}")
        busy = sorted({share for share in shares if share}, reverse=True)
        for share in busy:
            count = shares.count(share)

            def make(name: str, share: int = share, count: int = count) -> Problem:
                return problems.product(name, batch=count, rows=share, inner=inner, columns=columns)

            whole = experts * inner * columns
            self._write("matmul", operator, weight, count * inner * columns, make, stored=whole)

    def _write(
        self,
        kind: str,
        operator: str,
        factor: Any,
        words: int,
        make: Callable[[str], Problem],
        *,
        bits: int | None = None,
        stored: int | None = None,
        part: int = 0,
    ) -> None:
        name, parameters = self._named(factor, stored or words) if factor is not None else (None, ())
        name = name or f"{self.place}:{kind}"
        calls = self._calls[-1]
        calls[name] += 1
        numbered = f"{name}_{calls[name]}" if ":" in name and calls[name] > 1 else name
        problem = make(numbered)
        if self._skipped(name, operator):
            self.trace.skipped[name] = self.trace.skipped.get(name, 0) + problem.computes
            return
        weight = None
        if factor is not None:
            sizes = [self._parameters[parameter].numel() for parameter in parameters]
            if stored is None:
                held = [self._parameters[parameter] for parameter in parameters]
                plain = len(held) == 1 and bits is None and held[0].is_floating_point()  # codes may be packed
                stored = min(words, *sizes) if plain else words
            key = (self._key(factor, parameters, (numbered, calls[name])), part)
            weight = Weight(key, words, stored, parameters, bits)
        module = self._open[-1] if self._open else None
        precision = self.widths.precision(module, operator, *self._factors, factor)
        self.trace.operations.append(Operation(problem, weight, precision))

    # Which factor is the weight.

    def _weight_of(
        self, left: Any, right: Any, words: int, left_words: int | None = None, *, solved: bool = False
    ) -> Any:
        """The factor that does not depend on the input; the right one of two constants, None of two activations."""
        if right is PACKED:
            return right
        ranks = [self._rank(factor) for factor in (left, right)]
        if solved:
            ranks[1] = max(ranks)
        if ranks[0] == ranks[1]:
            return right if ranks[1] == 0 else None
        factor, rank, size = (right, ranks[1], words) if ranks[1] < ranks[0] else (left, ranks[0], left_words or words)
        if rank == 0:
            return factor
        # Drawn around parameters, as the weights of a Bayesian layer are; not an activation that noise went into.
        sizes = [self._parameters[name].numel() for name in self._sources.of(factor) if name in self._parameters]
        return factor if size in sizes else None

    def _rank(self, factor: Tensor) -> int:
        """0 for a constant, 1 for what random numbers went into and first states, 2 for what the input went into."""
        sources = self._sources.of(factor)
        if INPUT in sources:
            return 2
        return 1 if RANDOM in sources or self._sources.is_zero(factor) else 0

    def _constant(self, other: Any, weight: Any) -> bool:
        """Whether the factor beside the weight is a constant, too."""
        return weight is not None and isinstance(other, Tensor) and self._rank(other) == 0

    def _picked(self, found: MatrixProduct) -> tuple[Any, bool, int | None]:
        """Stacked weights that the input chose among, row by row: them, whether on the left, and their number."""
        if not isinstance(found.left, Tensor) or not isinstance(found.right, Tensor):
            return None, False, None
        for factor, size, turned in ((found.right, found.columns, False), (found.left, found.rows, True)):
            for name in sorted(self._sources.picked(factor)):
                stack = self._parameters.get(name)
                if stack is not None and stack.dim() == 3 and stack[0].numel() == found.inner * size:
                    return stack, turned, stack.shape[0]
        return None, False, None

    # What it is called.

    def _named(self, factor: Any, words: int) -> tuple[str | None, tuple[str, ...]]:
        """The name of a weighted operation, and the parameters that its weight is made of.

        Of several parameters (a weight and its scale, say) the one with as many numbers as the factor counts;
        the operation is called after it where it is the only one.
        """
        module = self._open[-1] if self._open else None
        path = self._path(module) if module is not None else ""
        if factor is PACKED:
            return self.place, ()
        local = dict(_by_identity(module)) if module is not None else {}
        sources = [name for name in sorted(self._sources.of(factor)) if name in self._parameters]
        candidates = sources or [name for name, p in self._parameters.items() if identity(p) in local]
        parameters = [name for name in candidates if self._parameters[name].numel() == words] or sources
        if len(parameters) != 1:
            return None, tuple(parameters)
        # A parameter with two owners (tied weights) is known to the model by the first, here by the present one.
        inside = local.get(identity(self._parameters[parameters[0]]))
        full = parameters[0] if inside is None else f"{path}.{inside}".removeprefix(".")
        full = _COMPILED.sub("", full).strip(".")
        full = self._computed.get(full, full)
        return _WEIGHT_SUFFIX.sub("", _PARAMETRIZED.sub(r"\1\2", full)) or self._root, tuple(parameters)

    def _key(self, factor: Any, parameters: tuple[str, ...], place: Hashable) -> Hashable:
        """Equal for the same weights, whichever way they are turned."""
        sources = frozenset() if factor is PACKED else self._sources.of(factor)
        # Codes, numbers made on the spot, packed layouts: the place in the model tells them apart.
        if not sources or factor.layout is not torch.strided:
            return place
        storages = {storage_of(self._parameters[name]) for name in parameters}
        if storage_of(factor) in storages:
            return part_of_storage(factor)
        return (sources, factor.storage_offset(), tuple(sorted(factor.shape)))

    # What is left out.

    def _skipped(self, name: str, operator: str) -> bool:
        """Whether a pattern names the operation, a module that it stands in, or the operator."""
        places = [name, operator, *map(self._path, self._open)]
        found = [pattern for pattern in self._skip if any(fnmatchcase(place, pattern) for place in places)]
        for pattern in found:
            self.unused.pop(pattern, None)
        return bool(found)

    def _idle(self, kind: str, weight: Any, words: int) -> None:
        name = self._named(weight, words)[0] if weight is not None else None
        _once(self.trace.idle, name or f"{self.place}:{kind}")

    def _fold(self, macs: int, operator: str, other: Tensor) -> None:
        if self._skipped(self.place, operator):
            return
        self.trace.folded[self.place] = self.trace.folded.get(self.place, 0) + macs
        if not self._sources.of(other):
            _once(self.trace.made, self.place)

    def fold_unknown(self) -> None:
        """An operator without a count rule, on constants alone."""
        self.trace.folded.setdefault(self.place, 0)


def _by_identity(module: nn.Module) -> Iterator[tuple[Hashable, str]]:
    return ((identity(parameter), name) for name, parameter in module.named_parameters())


def _numel(shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel()


def _once(places: list[str], place: str) -> None:
    if place not in places:
        places.append(place)


def _computed_by_hooks(modules: Mapping[nn.Module, str]) -> Iterator[tuple[str, str]]:
    """Parameters that a hook of torch.nn.utils (weight_norm, spectral_norm, prune) makes a tensor of, and that tensor.

    The hook has taken the tensor's own name from the parameters, and gives it anew before each call.
    """
    for module, path in modules.items():
        for hook in module._forward_pre_hooks.values():
            tensor = getattr(hook, "name", None) or getattr(hook, "_tensor_name", None)
            if isinstance(tensor, str) and tensor not in module._parameters:
                whole = f"{path}.{tensor}".lstrip(".")
                yield from ((f"{whole}_{end}", whole) for end in ("v", "g", "orig"))
