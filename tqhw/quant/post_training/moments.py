"""What the layers of a network read on calibration data: the second moments E[x x^T] of their inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.calls import Inputs, called, shapes_of, tensors_of
from tqhw.quant.layers import QuantizedLayer, quantized_layers
from tqhw.quant.modes import evaluating


def call(model: nn.Module, inputs: Inputs) -> Any:
    """``model`` on ``inputs``; TqhwError for NaN in them, and where it refuses them."""
    for value in tensors_of(inputs):
        if isinstance(value, torch.Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all()):
            bad = int((~torch.isfinite(value)).sum())
            raise TqhwError(
                f"{bad} of {value.numel()} numbers are NaN or infinite",
                place="calibration data",
                lever="leave them out",
            )
    try:
        return called(model, inputs)
    except TqhwError:
        raise
    except Exception as error:  # the model is the user's
        lines = str(error).strip().splitlines() or [""]
        raise TqhwError(
            f"the model refuses an input of shape {shapes_of(inputs)}: {type(error).__name__}: {lines[0]}",
            place="calibration data",
            lever="give it what the model reads",
        ) from error


@torch.no_grad()
def second_moments(model: nn.Module, batches: Iterable[Inputs]) -> dict[str, torch.Tensor]:
    """E[x x^T] by layer, (columns, columns) float32 for a weight whose rows are its output channels.

    The model computes with its real weights meanwhile. A convolution's x are the patches that its kernel covers, and of
    several groups their mean. Layers that do not run, transposed convolutions and attention's packed projections, whose
    inputs torch does not show, are left out. Raises TqhwError for no batch, and as :func:`call`.
    """
    sums: dict[str, torch.Tensor] = {}
    counts: dict[str, int] = {}

    def note(layer: QuantizedLayer, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = inputs[0] if inputs else next(iter(named.values()))
        x = _columns(layer.module, given.detach().float())
        if x is not None:
            sums[layer.name] = sums.get(layer.name, torch.zeros(1)) + x.T @ x
            counts[layer.name] = counts.get(layer.name, 0) + len(x)

    seen = False
    with real_weights(model), _watched(model, note), evaluating(model):
        for inputs in batches:
            seen = True
            call(model, inputs)
    if not seen:
        raise TqhwError("there is none", place="calibration data", lever="give at least one batch, or quantize without")
    return {name: total / max(1, counts[name]) for name, total in sums.items()}


@contextmanager
def real_weights(model: nn.Module) -> Iterator[None]:
    """Inside, ``model`` computes with its real weights and reads real inputs."""
    layers = quantized_layers(model)
    quantizers = [q for layer in layers for q in (layer.quantizer, layer.input_quantizer) if q is not None]
    before = [quantizer.off for quantizer in quantizers]
    for quantizer in quantizers:
        quantizer.off = True
    try:
        yield
    finally:
        for quantizer, off in zip(quantizers, before, strict=True):
            quantizer.off = off


@contextmanager
def _watched(model: nn.Module, note: Any) -> Iterator[None]:
    hooks = [
        layer.module.register_forward_pre_hook(
            lambda _, args, kwargs, layer=layer: note(layer, args, kwargs),
            with_kwargs=True,
        )
        for layer in quantized_layers(model)
        if layer.tensor == "weight"
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _columns(module: nn.Module, x: torch.Tensor) -> torch.Tensor | None:
    """The inputs of a layer as (positions, columns of the weight); None for what has no such form."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return _patches(module, x)
    if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        return None
    return x.reshape(-1, x.shape[-1])


def _patches(module: nn.Conv1d | nn.Conv2d | nn.Conv3d, x: torch.Tensor) -> torch.Tensor:
    """Every position's patch, in the order of the weight's axes; those of the groups after each other."""
    spatial = len(module.kernel_size)
    if x.ndim == spatial + 1:
        x = x[None]
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padding = module._reversed_padding_repeated_twice
    x = nn.functional.pad(x, padding, mode=mode)
    for axis in range(spatial):
        reach = (module.kernel_size[axis] - 1) * module.dilation[axis] + 1
        x = x.unfold(2 + axis, reach, module.stride[axis])
        x = x[..., :: module.dilation[axis]]
    # (batch, channels, *positions, *kernel) -> (batch, groups, *positions, channels of a group, *kernel)
    batch, channels = x.shape[:2]
    x = x.reshape(batch, module.groups, channels // module.groups, *x.shape[2:])
    x = x.movedim(2, 2 + spatial)
    return x.reshape(-1, (channels // module.groups) * int(torch.tensor(module.kernel_size).prod()))
