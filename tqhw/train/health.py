"""Whether a network suits its data, and where it stopped giving numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from tqhw.datasets.base import Data, Inputs, example
from tqhw.errors import TqhwError
from tqhw.models.registry import told
from tqhw.quant import real_inputs
from tqhw.quant.calls import called, first_tensor, moved, shapes_of, tensors_of
from tqhw.quant.modes import evaluating
from tqhw.train.losses import LOSSES, Loss


@torch.no_grad()
def check_fit(model: nn.Module, data: Data, loss: Loss = LOSSES["cross_entropy"]) -> None:
    """Refuses a model that does not take the inputs of ``data``, and outputs or targets that ``loss`` does not take."""
    at, place = next(model.parameters()).device, f"data {data.name}"
    inputs, targets = example(data, 2)
    if loss.reads == "labels" and data.classes == 1:
        told_so = "all labels are of one class: there is nothing to tell apart"
        raise TqhwError(told_so, place=place, lever="give a second class, or say data.options.classes")
    try:
        with evaluating(model), real_inputs(model):
            output = called(model, moved(inputs, at))
    except TqhwError:
        raise
    except Exception as error:  # the model may be the user's own
        pictures = len(data.input_shape) == 3
        shapes = f"images of shape {data.input_shape}" if pictures else f"inputs {_told_inputs(inputs)}"
        lever = "set the model's options, such as in_channels"
        if not pictures:
            lever = "arrays are the model's arguments by their names; set its options, such as the size of a vocabulary"
        raise TqhwError(f"the model refuses {shapes}: {told(error)}", place=place, lever=lever) from error
    found = answered(output)
    if found is None:
        raise TqhwError(f"the model answers with {type(output).__name__}, no tensor", place=place)
    if loss.reads == "labels" and targets.ndim == 1 and (found.ndim != 2 or found.shape[1] < data.classes):
        what = "images" if len(data.input_shape) == 3 else "samples"
        raise TqhwError(
            f"the model answers two {what} with {tuple(found.shape)}, but there are {data.classes} classes",
            place=place,
            lever="set the model's options, such as num_classes",
        )
    loss.check(found.float(), targets.to(at), data.classes, place)


def _told_inputs(inputs: Inputs) -> str:
    """Their shapes, of several with their names, of whole numbers with their range."""
    if not isinstance(inputs, Mapping):
        return shapes_of(inputs)
    return ", ".join(f"{name} {[*one.shape]}{_range_of(one)}" for name, one in inputs.items())


def _range_of(one: torch.Tensor) -> str:
    whole = one.numel() and not one.is_floating_point() and one.dtype != torch.bool
    return f" of {int(one.min())} to {int(one.max())}" if whole else ""


def answered(output: Any) -> torch.Tensor | None:
    """The answer in what a model gives: itself, or the first tensor of several; None where there is none."""
    try:
        found = first_tensor(output)
    except (StopIteration, TypeError, AttributeError):
        return None
    return found if found.is_floating_point() else None


@torch.no_grad()
def first_broken_layer(model: nn.Module, inputs: Inputs) -> str:
    """The first layer to answer ``inputs`` with NaN or infinity, or that the input holds such itself."""
    if not all(bool(torch.isfinite(value).all()) for value in tensors_of(inputs)):
        return "the input images" if isinstance(inputs, torch.Tensor) and inputs.ndim == 4 else "the inputs"
    broken: list[str] = []

    def look(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and not torch.isfinite(output).all():
                broken.append(name)

        return hook

    leaves = [
        (name, module)
        for name, module in model.named_modules()
        if "parametrizations" not in name.split(".") and not _has_layers(module)
    ]
    handles = [module.register_forward_hook(look(name)) for name, module in leaves]
    try:
        called(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return f"layer '{broken[0]}'" if broken else "the loss itself"


def first_broken_tensor(model: nn.Module) -> str | None:
    """The name of the first parameter or buffer with NaN or infinity; None where all are numbers."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            return name
    return None


def _has_layers(module: nn.Module) -> bool:
    return any(name not in ("parametrizations", "input_quantizer", "at") for name, _ in module.named_children())
