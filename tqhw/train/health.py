"""Where a network stopped giving numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


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
