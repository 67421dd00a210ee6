"""Weights that something else computes, of torch.nn.utils say: what does, and the call that puts a parameter there."""

from __future__ import annotations

from typing import Any, Final

from torch import nn
from torch.nn.utils import parametrize

_REMOVALS: Final = {
    "WeightNorm": "torch.nn.utils.remove_weight_norm",
    "SpectralNorm": "torch.nn.utils.remove_spectral_norm",
}
"""Of the older hooks, by class."""


def computed_by(module: nn.Module, tensor: str) -> tuple[str, str | None]:
    """The classes that compute a tensor of ``module``, and the call, of the module ``{}``, that takes them out.

    None where no such call is known.
    """
    if parametrize.is_parametrized(module, tensor):
        chain: Any = module.parametrizations[tensor]  # type: ignore[index]
        names = " and ".join(type(one).__name__.lstrip("_") for one in chain)
        return names, f"torch.nn.utils.parametrize.remove_parametrizations({{}}, '{tensor}')"
    for hook in module._forward_pre_hooks.values():
        kind = type(hook).__name__
        if kind in _REMOVALS and getattr(hook, "name", None) == tensor:
            return kind, f"{_REMOVALS[kind]}({{}}, '{tensor}')"
        if getattr(hook, "_tensor_name", None) == tensor:
            return kind, f"torch.nn.utils.prune.remove({{}}, '{tensor}')"
    return "such as weight_norm", None
