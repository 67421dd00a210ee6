"""Layers out of any ``nn.Module``, by running it once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from tqhw import quant
from tqhw.errors import TqhwError, nearest
from tqhw.quant import FULL, QuantizedLayer, quantized_layers
from tqhw.quant.identity import identity
from tqhw.quant.layers import plain
from tqhw.quant.tensor import all_finite
from tqhw.workload.examples import Example, Input, examples, first_line, how_to_give
from tqhw.workload.experts import check_routing
from tqhw.workload.generation import Phase, cache_of, cached_tensors, decode_call, prefill_call, words
from tqhw.workload.layers import Cache, Precision, Workload
from tqhw.workload.operations import PLAIN, Operation, merge
from tqhw.workload.recording import Trace
from tqhw.workload.tracing import ForwardError, trace

_SUPPORTED = "supported are convolutions, Linear, recurrent layers, matrix products and attention"
_SKIP = "or leave it out, visibly, with --skip PATTERN"


@dataclass(frozen=True)
class _ModelRun:
    model: nn.Module
    place: str
    example: Example
    trace: Trace
    cache: Cache | None


def extract(
    model: nn.Module,
    input: Input,
    *,
    name: str | None = None,
    skip: Sequence[str] = (),
    routing: Sequence[int] | None = None,
    phase: Phase | None = None,
) -> Workload:
    """What ``model`` computes on this input.

    ``input``: a shape, batch included, a text such as ``ids:int64[1,128]``, or a tensor of any type; several as a
    sequence of texts or tensors, or by name as a mapping, which the forward pass gets as keyword arguments. The model
    runs once, in evaluation mode, where shapes are given on random numbers from a seed of our own (whole numbers: 0,
    masks: 1); it is left as it was. What torch.compile or torch.export made is taken as the module inside.

    Operations of equal size and precision become one :class:`Layer` with all their names. ``name`` is how the model is
    called in the result and in messages; its class otherwise. ``skip``: patterns of layers, modules or operators
    (``aten.mm``) to leave out. ``routing``: shares of the rows that stacked experts get; alike without it. ``phase``:
    ``prefill`` reads the input and fills the model's KV cache, ``decode`` one token more, after it.

    Raises :class:`TqhwError` for an input that is none or does not fit, whatever the forward pass raises, weights that
    are not finite, operations that no problem can be made of (all of them, with their places), a pattern that matches
    nothing, and a model without a weight to quantize.
    """
    shares = None if routing is None else check_routing(routing)
    found = _run(model, input, name, tuple(skip), shares, phase)
    _check_finite(found.model, found.place)
    _refuse_unsupported(found.trace, found.place)
    if not any(operation.weight for operation in found.trace.operations):
        raise _nothing_found(found)
    return _workload(found, name or type(found.model).__name__)


def check_mappable(model: nn.Module, input: Input, *, name: str, skip: Sequence[str] = ()) -> None:
    """Raises the TqhwError of :func:`extract` for operations that no problem can be made of, or a refused input."""
    found = _run(model, input, name, tuple(skip), None)
    _refuse_unsupported(found.trace, found.place)


def execution_order(model: nn.Module, input: Input, *, name: str) -> tuple[str, ...]:
    """The quantizable layers as they run on an input of :func:`extract`; none where the forward pass raises."""
    for example in examples(model, input, f"model {name}"):
        with suppress(Exception):  # extract tells what it raises
            return quant.execution_order(model, example.args, example.kwargs)
    return ()


def module_inside(model: object) -> nn.Module:
    """The module that torch.compile wrapped, or of a program that torch.export made; any other module itself."""
    if isinstance(model, nn.Module):
        return plain(model)
    if isinstance(model, torch.export.ExportedProgram):
        return model.module()
    raise TqhwError(f"a {type(model).__name__} is no torch.nn.Module", place="model", lever="give the model itself")


def _run(
    model: nn.Module,
    input: Input,
    name: str | None,
    skip: tuple[str, ...],
    routing: tuple[int, ...] | None,
    phase: Phase | None = None,
) -> _ModelRun:
    model = module_inside(model)
    place = f"model {name or type(model).__name__}"
    _check_initialized(model, place)
    stopped: list[tuple[Example, ForwardError]] = []
    for example in examples(model, input, place):
        try:
            called, found, unused, cache = _phase(model, example, skip, routing, phase, place)
        except ForwardError as error:
            stopped.append((example, error))
            continue
        found.notes[:0] = dict.fromkeys(note for note in (example.note, called.note) if note)
        if unused:
            raise _no_match(unused[0], found, place)
        return _ModelRun(model, place, called, found, cache)
    raise _stopped(model, place, *stopped[0])


def _phase(
    model: nn.Module,
    example: Example,
    skip: tuple[str, ...],
    routing: tuple[int, ...] | None,
    phase: Phase | None,
    place: str,
) -> tuple[Example, Trace, tuple[str, ...], Cache | None]:
    """The traced call, what it did, the patterns that met nothing, and what became of the KV cache."""
    if phase is None:
        return example, *trace(model, example.args, example.kwargs, skip=skip, routing=routing)[:2], None
    call = prefill_call(model, example, place)
    found, unused, output = trace(model, call.args, call.kwargs, skip=skip, routing=routing)
    cache = cache_of(output, place)
    filled = words(cache)
    if phase == "prefill":
        new = found.written.total(cached_tensors(cache))
        return call, found, unused, Cache(read=0, written=new.words, stored=filled)
    call = decode_call(model, example, output, place)
    found, unused, output = trace(model, (), call.kwargs, skip=skip, routing=routing, cache=cache)
    kept = list(cached_tensors(cache_of(output, place)))
    new = found.written.total(kept)
    if anew := found.written.rewritten(kept):
        found.notes.append(
            f"{anew:,} words of the KV cache count as wholly rewritten: they are computed anew, or it cannot be told "
            "which of them are"
        )
    # What is joined to the cache is read with it; what is put in the place of older numbers is not counted twice.
    return call, found, unused, Cache(read=filled + new.joined, written=new.words, stored=words(kept))


def _stopped(model: nn.Module, place: str, example: Example, stopped: ForwardError) -> TqhwError:
    if isinstance(stopped.cause, TqhwError):
        return stopped.cause
    if any(p.is_meta for p in model.parameters()) and "meta" in str(stopped.cause).lower():
        lever = "its course depends on numbers, which a model on the meta device has none of: build it on the CPU"
    elif type(stopped.cause).__module__.startswith("torch._dynamo"):
        lever = "what PyTorch compiles inside of the model cannot be followed: write it in plain operators"
    else:
        lever = how_to_give(model)
    text = f"on an input of {example.text} the forward pass raised {first_line(stopped.cause)}, in {stopped.at}"
    error = TqhwError(text, place=place, lever=lever)
    error.__cause__ = stopped.cause
    return error


def _no_match(pattern: str, found: Trace, place: str) -> TqhwError:
    names = [operation.problem.name for operation in found.operations]
    known = dict.fromkeys([*names, *(text.split(" (")[0] for text in found.unsupported), *found.folded])
    return TqhwError(f"skip: '{pattern}' matches nothing that ran", place=place, lever=nearest(pattern, known))


def _refuse_unsupported(traced: Trace, place: str) -> None:
    if traced.unsupported:
        listed = "; ".join(traced.unsupported)
        operators = " or ".join(traced.refused)
        message = f"{len(traced.unsupported)} of its operations cannot be mapped: {listed}"
        raise TqhwError(message, place=place, lever=f"{_SUPPORTED}; {_SKIP}, of a place or of {operators}")


def _nothing_found(found: _ModelRun) -> TqhwError:
    """Why a model has no layer: nothing is there, or nothing depends on the input."""
    traced = found.trace
    if traced.folded:
        lever = f"all of it is computed once, of constants, in {_some(traced.folded)}: {_why_folded(traced)}"
    else:
        lever = _SUPPORTED
    products = f", only {len(traced.operations)} of activations" if traced.operations else ""
    return TqhwError(f"no quantizable layer: no product with weights ran{products}", place=found.place, lever=lever)


def _why_folded(traced: Trace) -> str:
    if not traced.made:
        return "it is made of parameters and buffers alone"
    if traced.read_out:
        return f"the input's values leave PyTorch in {_some(traced.read_out)} (int(), item(), tolist())"
    return "the input does not reach it (made inside, or turned to NumPy); give it as an input of the model"


def _some(names: Sequence[str] | dict[str, int]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(islice(names, 5))}{more}"


def _check_initialized(model: nn.Module, place: str) -> None:
    lazy = [name for name, parameter in model.named_parameters() if is_lazy(parameter)]
    if lazy:
        message = f"{', '.join(lazy)} not initialized: the sizes of lazy layers are not known yet"
        raise TqhwError(message, place=place, lever="run the model once before")


def _check_finite(model: nn.Module, place: str) -> None:
    bad = [name for name, p in model.named_parameters() if _holds_numbers(p) and not all_finite(p)]
    # Infinity is what attention masks are made of, which are buffers.
    bad += [name for name, b in model.named_buffers() if not b.is_meta and bool(torch.isnan(b).any())]
    if bad:
        raise TqhwError(
            f"NaN or infinite numbers in {_some(bad)}", place=place, lever="load weights that training left finite"
        )


def _holds_numbers(tensor: torch.Tensor) -> bool:
    """Whether it is a tensor of PyTorch's own with numbers in it: those of other libraries do as they please."""
    own = type(tensor).__torch_dispatch__ is torch.Tensor.__torch_dispatch__
    return own and not tensor.is_meta


def _workload(found: _ModelRun, name: str) -> Workload:
    model, traced, specs = found.model, found.trace, found.example.specs
    parameters = dict(model.named_parameters())
    # Parameters that are the same numbers at the same place count once, by the first of their names.
    first = {identity(p): key for key, p in reversed(parameters.items())}
    packed = dict(_packed(traced, parameters))
    sizes = {key: packed.get(key, parameters[key].numel()) for key in first.values()}
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    in_norms = {first[identity(p)] for norm in norms for p in norm.parameters()}
    in_layers = {first[identity(parameters[key])] for key in _weights_of(traced)} - in_norms
    bare = len(specs) == 1 and specs[0].name is None and specs[0].dtype is None
    return Workload(
        model=name,
        input_shape=specs[0].shape if specs else (),
        layers=merge(traced.operations, _precisions(model, traced.operations), sizes),
        parameters=sum(sizes.values()),
        norm_channels=sum(traced.norms.values()),
        norm_parameters=sum(sizes[key] for key in in_norms),
        other_parameters=sum(size for key, size in sizes.items() if key not in in_norms | in_layers),
        folded=tuple(traced.folded),
        folded_macs=tuple(traced.folded.values()),
        skipped=tuple(traced.skipped.items()),
        inputs=() if bare else tuple(spec.text for spec in specs),
        notes=(*_notes(traced), *_of_cache(found.cache)),
        cache=found.cache,
    )


def _notes(traced: Trace) -> tuple[str, ...]:
    """What a reader of the counts has to know."""
    notes = list(traced.notes)
    if traced.folded:
        whole = sum(operation.problem.computes for operation in traced.operations)
        folded = sum(traced.folded.values())
        share = f"{100 * folded / (whole + folded):.2g} % of the multiply-accumulates"
        notes.append(
            f"computed once, of constants, and no layer: {_some(traced.folded)}, {share}; {_why_folded(traced)}"
        )
    if traced.idle:
        notes.append(f"no layer, as it ran on no rows: {_some(traced.idle)}")
    if traced.skipped:
        told = [f"{place} ({f'{macs:,}' if macs else 'not counted'})" for place, macs in traced.skipped.items()]
        notes.append(f"left out by --skip, with its multiply-accumulates: {_some(told)}")
    return tuple(notes)


def _of_cache(cache: Cache | None) -> tuple[str, ...]:
    if cache is None:
        return ()
    return (f"KV cache: {cache.read:,} words read, {cache.written:,} written, {cache.stored:,} stored afterwards",)


def _packed(traced: Trace, parameters: Mapping[str, nn.Parameter]) -> Iterator[tuple[str, int]]:
    """Parameters of codes that hold several weights in a number, and how many they hold."""
    for weight in (operation.weight for operation in traced.operations):
        if weight is not None and len(weight.parameters) == 1:
            (name,) = weight.parameters
            if not parameters[name].is_floating_point() and weight.words > parameters[name].numel():
                yield name, weight.words


def _weights_of(traced: Trace) -> Iterator[str]:
    for operation in traced.operations:
        if operation.weight is not None:
            yield from operation.weight.parameters


def _precisions(model: nn.Module, operations: Sequence[Operation]) -> list[Precision]:
    """Of every operation: by tqhw's own quantization, else by another library's, else plain."""
    own = {layer.name: _own(layer) for layer in quantized_layers(model)}
    return [_precision(operation, own) for operation in operations]


def _own(layer: QuantizedLayer) -> Precision:
    weight, inputs = layer.quantizer, layer.input_quantizer
    follows = inputs is not None and inputs.follows
    bits = None if inputs is None or follows else inputs.bits
    return Precision(weight.bits, weight.fixed, bits, inputs_follow=follows)


def _precision(operation: Operation, own: dict[str, Precision]) -> Precision:
    if operation.precision is not None and not own:
        return operation.precision
    if operation.weight is not None and operation.weight.bits is not None:
        return Precision(operation.weight.bits, fixed=True, source="a packed weight")
    if operation.weight is not None and own:
        return own.get(operation.problem.name, Precision(FULL, fixed=True))
    return PLAIN
