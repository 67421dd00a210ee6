"""Batch norm with statistics and parameters of its own for every weight precision."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from tqhw.errors import TqhwError

_TENSORS: Final = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


class SwitchableBatchNorm(_BatchNorm):
    """A batch norm per precision (Any-Precision DNNs, Yu et al., section 3.2).

    The tensors of the highest precision keep the names of the norm it replaces (``bn1.weight``); the others
    stand beside them (``bn1.at.2.weight``). A state dict without them, such as a pretrained one, starts every
    precision from the one norm it has.
    """

    def __init__(self, norm: _BatchNorm, precisions: tuple[int, ...]) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.original = type(norm)
        for name in _TENSORS:
            setattr(self, name, getattr(norm, name))
        self.bits = precisions[-1]
        self.highest = precisions[-1]
        self.at = nn.ModuleDict({str(bits): self.copy_of(self.highest) for bits in precisions[:-1]})
        self.train(norm.training)
        self.register_load_state_dict_pre_hook(_fill_missing)  # type: ignore[no-untyped-call]

    def copy_of(self, bits: int) -> _BatchNorm:
        """A plain norm of the replaced class with copies of the tensors of ``bits``."""
        source = self if bits == self.highest else self.at[str(bits)]
        norm = self.original(self.num_features, self.eps, self.momentum, self.affine, self.track_running_stats)
        norm.load_state_dict({k: v for k, v in source.state_dict().items() if k in _TENSORS})
        for name, parameter in norm.named_parameters():
            parameter.requires_grad_(getattr(source, name).requires_grad)  # frozen ones stay so
        like = self.weight if self.affine else self.running_mean
        return (norm if like is None else norm.to(like)).train(self.training)

    def add(self, bits: int) -> None:
        """Adds a norm for ``bits``: a copy of that of the nearest higher precision, or of the highest."""
        higher = [int(known) for known in self.at if int(known) > bits]
        self.at[str(bits)] = self.copy_of(min(higher, default=self.highest))

    def select(self, bits: int) -> None:
        """Uses the statistics and parameters of ``bits`` from now on."""
        if bits != self.highest and str(bits) not in self.at:
            known = ", ".join(map(str, sorted([*map(int, self.at), self.highest])))
            raise TqhwError(
                f"there is no batch norm for {bits} bits",
                place="bits",
                lever=f"trained precisions: {known}; add_precision and recalibrate make others",
            )
        self.bits = bits

    @property
    def active(self) -> _BatchNorm:
        """The norm of the selected precision; this very module for the highest."""
        norm = self if self.bits == self.highest else self.at[str(self.bits)]
        assert isinstance(norm, _BatchNorm)
        return norm

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


def check_norms(model: nn.Module) -> None:
    """Refuses batch norms that cannot be had once per precision.

    A copy is made by the constructor of the class, and the one for the highest precision runs torch's own forward.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.SyncBatchNorm):
            raise TqhwError(
                "a SyncBatchNorm cannot be switched by precision",
                place=name,
                lever="use the plain batch norm: training under torchrun shares its statistics as well",
            )
        if isinstance(module, _BatchNorm) and any(map(nn.parameter.is_lazy, module.parameters())):
            raise TqhwError("the batch norm has no shape yet", place=name, lever="run the model on one input first")
        if isinstance(module, _BatchNorm) and parametrize.is_parametrized(module):
            raise TqhwError("its tensors are computed by a parametrization", place=name, lever="remove it first")
        kind = type(module)
        own = [part for part in ("forward", "__init__") if getattr(kind, part) is not getattr(_BatchNorm, part)]
        if isinstance(module, _BatchNorm) and own:
            raise TqhwError(
                f"a {kind.__name__} is a batch norm with its own {' and '.join(own)}, which cannot be switched by "
                "precision",
                place=name or "the model",
                lever="use norms: shared, or torch's batch norm and a module after it for what it does besides",
            )


def make_switchable(model: nn.Module, precisions: tuple[int, ...]) -> None:
    """Gives every batch norm of ``model`` one set of tensors per precision."""
    made: dict[_BatchNorm, SwitchableBatchNorm] = {}  # one that stands in several places stays one
    for parent, name, norm in _norms(model):
        if norm not in made:
            made[norm] = SwitchableBatchNorm(norm, precisions)
        setattr(parent, name, made[norm])


def make_single(model: nn.Module) -> None:
    """Leaves every switchable norm with the tensors of the precision it is switched to."""
    made: dict[_BatchNorm, _BatchNorm] = {}
    for parent, name, norm in _norms(model):
        if isinstance(norm, SwitchableBatchNorm):
            if norm not in made:
                made[norm] = norm.copy_of(norm.bits)
            setattr(parent, name, made[norm])


def norms_of(model: nn.Module) -> dict[str, _BatchNorm]:
    """Every batch norm of ``model`` by its name; a switchable one stands for those inside of it."""
    switchable = [module for module in model.modules() if isinstance(module, SwitchableBatchNorm)]
    inside = {part for norm in switchable for part in norm.at.modules()}
    return {name: m for name, m in model.named_modules() if isinstance(m, _BatchNorm) and m not in inside}


def _norms(model: nn.Module) -> list[tuple[nn.Module, str, _BatchNorm]]:
    """Every batch norm with its parent and its name there, but not those inside of switchable ones."""
    return [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, _BatchNorm)
    ]


def _fill_missing(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Lets a state dict with one set of batch-norm tensors serve every precision."""
    assert isinstance(module, SwitchableBatchNorm)
    for bits in module.at:
        for name in _TENSORS:
            key, source = f"{prefix}at.{bits}.{name}", f"{prefix}{name}"
            if key not in state and source in state:
                state[key] = state[source].clone()
