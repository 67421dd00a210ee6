"""Batch norm with statistics and parameters of its own for every weight precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tqhw.errors import TqhwError

_TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


class SwitchableBatchNorm(_BatchNorm):
    """A batch norm per precision (Any-Precision DNNs, Yu et al., section 3.2).

    The tensors of the highest precision keep the names of the norm it replaces (``bn1.weight``); the others
    stand beside them (``bn1.at.2.weight``). A state dict without them, such as a pretrained one, starts every
    precision from the one norm it has.
    """

    def __init__(self, norm: _BatchNorm, precisions: tuple[int, ...]) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.original = type(norm)
        self._take(norm)
        self.bits = precisions[-1]
        self.highest = precisions[-1]
        self.at = nn.ModuleDict({str(bits): self.single() for bits in precisions[:-1]})
        self.train(norm.training)
        self.register_load_state_dict_pre_hook(_fill_missing)  # type: ignore[no-untyped-call]

    def _take(self, norm: _BatchNorm) -> None:
        for name in _TENSORS:
            setattr(self, name, getattr(norm, name))

    def single(self) -> _BatchNorm:
        """A plain norm of the replaced class with copies of the highest precision's tensors."""
        norm = self.original(self.num_features, self.eps, self.momentum, self.affine, self.track_running_stats)
        norm.load_state_dict({k: v for k, v in self.state_dict().items() if k in _TENSORS})
        reference = self.weight if self.affine else self.running_mean
        return norm.train(self.training) if reference is None else norm.to(reference).train(self.training)

    def select(self, bits: int) -> None:
        """Uses the statistics and parameters of ``bits`` from now on."""
        if bits != self.highest and str(bits) not in self.at:
            known = ", ".join([*self.at, str(self.highest)])
            raise TqhwError(
                f"there is no batch norm for {bits} bits", place="bits", lever=f"trained precisions: {known}"
            )
        self.bits = bits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.bits == self.highest:
            return super().forward(x)
        result: torch.Tensor = self.at[str(self.bits)](x)
        return result

    def _check_input_dim(self, x: torch.Tensor) -> None:
        self.original._check_input_dim(self, x)  # type: ignore[no-untyped-call]

    def extra_repr(self) -> str:
        plain: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{plain}, precisions={[*map(int, self.at), self.highest]}"


def _fill_missing(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Lets a state dict with one set of batch-norm tensors serve every precision."""
    assert isinstance(module, SwitchableBatchNorm)
    for bits in module.at:
        for name in _TENSORS:
            key, source = f"{prefix}at.{bits}.{name}", f"{prefix}{name}"
            if key not in state and source in state:
                state[key] = state[source].clone()
