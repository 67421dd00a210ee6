"""Modules with numbers that are learned and have bounds, which an optimizer knows nothing of."""

from __future__ import annotations

from typing import Any, Self

from torch import nn


class Bounded(nn.Module):
    """Whoever reads these numbers finds them inside their bounds, also right after a step that moved them beyond.

    Readers are a forward pass in training (subclasses call :meth:`keep_in_bounds` there), evaluation, which
    :meth:`train` begins, and whatever takes a state dict.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_state_dict_pre_hook(_keep_in_bounds)  # type: ignore[no-untyped-call]

    def keep_in_bounds(self) -> None:
        """Moves what is beyond a bound to it."""
        raise NotImplementedError

    def train(self, mode: bool = True) -> Self:
        self.keep_in_bounds()
        return super().train(mode)


def _keep_in_bounds(module: Bounded, *_: Any) -> None:
    module.keep_in_bounds()
