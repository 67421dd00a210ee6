"""Whether a network suits its data, and where it stopped giving numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tqhw.datasets.base import Data
from tqhw.errors import TqhwError
from tqhw.models.registry import told
from tqhw.quant import real_inputs
from tqhw.quant.modes import evaluating


@torch.no_grad()
def check_fit(model: nn.Module, data: Data) -> None:
    """Refuses a model that does not take the images of ``data``, or has fewer outputs than it has classes."""
    at = next(model.parameters()).device
    try:
        with evaluating(model), real_inputs(model):
            logits = model(torch.zeros(2, *data.input_shape, device=at))
    except TqhwError:
        raise
    except Exception as error:  # the model may be the user's own
        raise TqhwError(
            f"the model refuses images of shape {data.input_shape}: {told(error)}",
            place=f"data {data.name}",
            lever="set the model's options, such as in_channels",
        ) from error
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[1] < data.classes:
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise TqhwError(
            f"the model answers two images with {shape}, but there are {data.classes} classes",
            place=f"data {data.name}",
            lever="set the model's options, such as num_classes",
        )


@torch.no_grad()
def first_broken_layer(model: nn.Module, images: torch.Tensor) -> str:
    """The first layer to answer ``images`` with NaN or infinity, or that the input holds such itself."""
    if not torch.isfinite(images).all():
        return "the input images"
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
        model(images)
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
