"""Layers out of any ``nn.Module``, by running it once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from tqhw.errors import TqhwError
from tqhw.quant import FULL, quantized_layers
from tqhw.quant.tensor import all_finite
from tqhw.workload.inputs import check_shape, shape_text
from tqhw.workload.layers import Layer, Workload
from tqhw.workload.tracing import Operation, Trace, trace

_SUPPORTED = "supported are Conv1d, Conv2d, Linear, matrix products and attention"


def extract(model: nn.Module, input: Sequence[int] | Tensor, *, name: str | None = None) -> Workload:
    """What ``model`` computes on an input of this shape, batch included, or on this very tensor.

    The model runs once, in evaluation mode, on random numbers from a seed of our own; it is left as it was.
    Operations of equal size and precision become one :class:`Layer` with all their names. ``name`` is how the
    model is called in the result and in messages; its class otherwise.

    Raises :class:`TqhwError` for a shape with anything but numbers from 1 up, an input that the model refuses,
    weights that are not finite, operations that no problem can be made of (all of them, with their places), and
    a model without a weight to quantize.
    """
    name = name or type(model).__name__
    place = f"model {name}"
    _check_initialized(model, place)
    example = input if isinstance(input, Tensor) else _example(model, check_shape(input), place)
    traced = _run(model, example, place)
    _check_finite(model, place)
    _refuse_unsupported(traced, place)
    if not any(operation.weight for operation in traced.operations):
        products = f", only {len(traced.operations)} of activations" if traced.operations else ""
        raise TqhwError(f"no quantizable layer: no product with weights ran{products}", place=place, lever=_SUPPORTED)
    return _workload(model, name, tuple(example.shape), traced)


def check_mappable(model: nn.Module, input: Sequence[int], *, name: str) -> None:
    """Raises the TqhwError of :func:`extract` for operations that no problem can be made of, or a refused input."""
    place = f"model {name}"
    _check_initialized(model, place)
    _refuse_unsupported(_run(model, _example(model, check_shape(input), place), place), place)


def _refuse_unsupported(traced: Trace, place: str) -> None:
    if traced.unsupported:
        listed = "; ".join(traced.unsupported)
        message = f"{len(traced.unsupported)} of its operations cannot be mapped: {listed}"
        raise TqhwError(message, place=place, lever=_SUPPORTED)


def _example(model: nn.Module, shape: tuple[int, ...], place: str) -> Tensor:
    reference = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    try:
        return torch.randn(shape, generator=generator).to(reference.device, reference.dtype)
    except RuntimeError as error:
        message = f"an input of shape {shape_text(shape)} cannot be made: {_first_line(error)}"
        raise TqhwError(message, place=place, lever="use a smaller batch or picture") from None


def _run(model: nn.Module, example: Tensor, place: str) -> Trace:
    try:
        return trace(model, example)
    except TqhwError:
        raise
    except Exception as error:
        raise TqhwError(
            f"the model refuses an input of shape {shape_text(tuple(example.shape))}: {_first_line(error)}",
            place=place,
            lever="give the shape that the model takes, batch first; extract() also takes a tensor, of any type",
        ) from error


def _check_initialized(model: nn.Module, place: str) -> None:
    lazy = [name for name, parameter in model.named_parameters() if is_lazy(parameter)]
    if lazy:
        message = f"{', '.join(lazy)} not initialized: the sizes of lazy layers are not known yet"
        raise TqhwError(message, place=place, lever="run the model once before")


def _check_finite(model: nn.Module, place: str) -> None:
    bad = [name for name, p in model.named_parameters() if not p.is_meta and not all_finite(p)]
    # Infinity is what attention masks are made of, which are buffers.
    bad += [name for name, b in model.named_buffers() if not b.is_meta and bool(torch.isnan(b).any())]
    if bad:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise TqhwError(
            f"NaN or infinite numbers in {', '.join(islice(bad, 5))}{more}",
            place=place,
            lever="load weights that training left finite",
        )


def _workload(model: nn.Module, name: str, shape: tuple[int, ...], traced: Trace) -> Workload:
    sizes = {key: parameter.numel() for key, parameter in model.named_parameters()}
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    norm_parameters = sum({id(p): p.numel() for norm in norms for p in norm.parameters()}.values())
    in_layers = {key for operation in traced.operations if operation.weight for key in operation.weight.parameters}
    return Workload(
        model=name,
        input_shape=shape,
        layers=_merge(traced.operations, _bits(model)),
        parameters=sum(sizes.values()),
        norm_channels=sum(traced.norms.values()),
        norm_parameters=norm_parameters,
        other_parameters=sum(sizes.values()) - norm_parameters - sum(sizes[key] for key in in_layers),
        folded=tuple(traced.folded),
    )


def _bits(model: nn.Module) -> dict[str, tuple[int, bool]]:
    """Weight precision, and whether it is fixed, of the quantized layers by name; empty for a plain model."""
    return {layer.name: (layer.quantizer.bits, layer.quantizer.fixed) for layer in quantized_layers(model)}


def _merge(operations: Sequence[Operation], bits: dict[str, tuple[int, bool]]) -> tuple[Layer, ...]:
    layers: dict[Hashable, Layer] = {}
    stored: set[Hashable] = set()
    for operation in operations:
        problem, weight = operation.problem, operation.weight
        precision: tuple[int | None, bool] = (None, False)
        if weight is not None and bits:
            precision = bits.get(problem.name, (FULL, True))
        key = (
            tuple(problem.bounds.items()),
            tuple(problem.coefficients.items()),
            weight is not None,
            precision,
        )
        new = weight.stored if weight is not None and weight.key not in stored else 0
        if weight is not None:
            stored.add(weight.key)
        if key in layers:
            layer = layers[key]
            names = (*layer.names, problem.name)
            layers[key] = replace(layer, names=names, stored_weights=layer.stored_weights + new)
        else:
            count = weight.words if weight is not None else 0
            layers[key] = Layer((problem.name,), problem, count, new, *precision)
    return tuple(layers.values())


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
