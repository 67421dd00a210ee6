"""Batch norm with statistics and parameters of its own for every weight precision."""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from tqhw.errors import TqhwError, unknown
from tqhw.quant.here import bits_now

_OURS: Final = ("original", "bits", "highest")


class SwitchableBatchNorm(_BatchNorm):
    """A batch norm per precision (Any-Precision DNNs, Yu et al., section 3.2).

    The tensors of the highest precision keep the names of the norm it replaces (``bn1.weight``); the others
    stand beside them (``bn1.at.2.weight``). A state dict without them, such as a pretrained one, starts every
    precision from the one norm it has. It is of the class of that norm too, and runs its forward, whatever that
    does besides: a norm that ends in an activation does so at every precision.

    ``tied``: every precision has the very tensors of the one norm, until they are replaced.
    """

    original: type[_BatchNorm]
    bits: int
    highest: int
    at: nn.ModuleDict

    def __new__(cls, norm: _BatchNorm | None = None, *_: Any, **__: Any) -> SwitchableBatchNorm:
        # Without a norm it is a copy that is being made, of the class that was made for it.
        return object.__new__(cls if norm is None else _switchable(type(norm)))  # type: ignore[arg-type]

    def __init__(self, norm: _BatchNorm, precisions: tuple[int, ...], *, tied: bool = False) -> None:
        for key, value in vars(norm).items():  # its own tables of tensors, modules and hooks, of the same things
            self.__dict__[key] = copy.copy(value) if isinstance(value, dict | set) else value
        self.original = type(norm)
        self.bits = precisions[-1]
        self.highest = precisions[-1]
        others = {str(bits): self.copy_of(self.highest, tied=tied) for bits in precisions[:-1]}
        self.at = nn.ModuleDict(others)
        self.register_load_state_dict_pre_hook(_fill_missing)  # type: ignore[no-untyped-call]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """As a pickle keeps it: by the class of the norm it replaces, since its own is made for it anew."""
        kept: Any = super().__reduce_ex__(protocol)
        return _blank, (self.original,), *kept[2:]

    def copy_of(self, bits: int, *, tied: bool = False) -> _BatchNorm:
        """A plain norm of the replaced class with copies of the tensors of ``bits``, or with these tensors."""
        source = self.of(bits)
        tensors = [*source.parameters(), *source.buffers()] if tied else []
        known = {id(tensor): tensor for tensor in tensors}  # what a deep copy takes for copied already
        norm: _BatchNorm = self.original.__new__(self.original)
        nn.Module.__init__(norm)
        plain = {key: value for key, value in vars(source).items() if key not in (*vars(norm), *_OURS)}
        norm.__dict__.update(copy.deepcopy(plain, known))
        for table in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"):
            entries = getattr(source, table)
            if table == "_modules":
                entries = {name: module for name, module in entries.items() if name != "at"}
            setattr(norm, table, copy.deepcopy(entries, known))
        for parameter in [] if tied else norm.parameters():
            parameter.grad = None
        return norm.train(self.training)

    def of(self, bits: int) -> _BatchNorm:
        """The norm of ``bits``; this very module for the highest."""
        norm = self if bits == self.highest else self.at[str(bits)]
        assert isinstance(norm, _BatchNorm)
        return norm

    def add(self, bits: int) -> None:
        """Adds a norm for ``bits``: a copy of that of the nearest higher precision, or of the highest."""
        higher = [int(known) for known in self.at if int(known) > bits]
        self.at[str(bits)] = self.copy_of(min(higher, default=self.highest))

    def keep(self, precisions: tuple[int, ...]) -> None:
        """Drops the norms of all other precisions; the plain names go to the highest one that is kept."""
        if self.highest not in precisions:
            self.highest = precisions[-1]
            heir = self.at[str(self.highest)]
            for name, tensor in [*heir.named_parameters(recurse=False), *heir.named_buffers(recurse=False)]:
                setattr(self, name, tensor)
            for name, module in heir.named_children():
                setattr(self, name, module)
        for bits in [*self.at]:
            if int(bits) == self.highest or int(bits) not in precisions:
                del self.at[bits]

    def check(self, bits: int) -> None:
        """Refuses ``bits`` that there is no norm for."""
        if bits != self.highest and str(bits) not in self.at:
            known = ", ".join(map(str, sorted([*map(int, self.at), self.highest])))
            raise TqhwError(
                f"there is no batch norm for {bits} bits",
                place="bits",
                lever=f"trained precisions: {known}; add_precision and recalibrate make others",
            )

    def select(self, bits: int) -> None:
        """Uses the statistics and parameters of ``bits`` from now on."""
        self.check(bits)
        self.bits = bits

    @property
    def active(self) -> _BatchNorm:
        """The norm of the present precision."""
        return self.of(bits_now(self))

    def forward(self, *inputs: Any, **named: Any) -> torch.Tensor:
        bits = bits_now(self)
        run = super().forward if bits == self.highest else self.at[str(bits)]
        result: torch.Tensor = run(*inputs, **named)
        return result

    def extra_repr(self) -> str:
        plain: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{plain}, precisions={[*map(int, self.at), self.highest]}"


@cache
def _switchable(kind: type[_BatchNorm]) -> type[SwitchableBatchNorm]:
    """The class of switchable norms that are norms of ``kind`` too, so that its forward finds what it calls."""
    if issubclass(kind, SwitchableBatchNorm):
        return kind
    return type(f"Switchable{kind.__name__}", (SwitchableBatchNorm, kind), {"__module__": __name__})


def _blank(kind: type[_BatchNorm]) -> SwitchableBatchNorm:
    """Of ``kind``, for a pickle's or a copy's state."""
    return object.__new__(_switchable(kind))  # type: ignore[arg-type]


def check_norms(model: nn.Module) -> None:
    """Refuses batch norms that cannot be had once per precision: their tensors have to be there, and their own."""
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


def check_unswitched(model: nn.Module, patterns: Iterable[str]) -> None:
    """Refuses a pattern that names no batch norm of ``model``."""
    names = [*norms_of(model)]
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            raise unknown("batch norm", pattern, names, place="unswitched")


def make_switchable(
    model: nn.Module, precisions: tuple[int, ...], *, tied: bool = False, unswitched: Iterable[str] = ()
) -> None:
    """Gives every batch norm of ``model`` one set of tensors per precision, or the same set under each; or changes
    nothing, where one of them cannot be copied. Those that a pattern of ``unswitched`` names stay.
    """
    patterns = tuple(unswitched)
    stay = {norm for name, norm in norms_of(model).items() if any(fnmatch.fnmatchcase(name, p) for p in patterns)}
    places = [place for place in _norms(model) if place[2] not in stay]
    made = {norm: SwitchableBatchNorm(norm, precisions, tied=tied) for _, _, norm in places}  # one in two places is one
    for parent, name, norm in places:
        setattr(parent, name, made[norm])


def make_single(model: nn.Module) -> None:
    """Leaves every switchable norm with the tensors of the precision it is switched to."""
    made: dict[_BatchNorm, _BatchNorm] = {}
    for parent, name, norm in _norms(model):
        if isinstance(norm, SwitchableBatchNorm):
            if norm not in made:
                made[norm] = norm.copy_of(norm.bits)
            setattr(parent, name, made[norm])


def switchable_norms(model: nn.Module) -> dict[str, SwitchableBatchNorm]:
    """Every switchable norm of ``model`` by every name that leads to it."""
    named = model.named_modules(remove_duplicate=False)
    return {name: module for name, module in named if isinstance(module, SwitchableBatchNorm)}


def norms_of(model: nn.Module) -> dict[str, _BatchNorm]:
    """Every batch norm of ``model`` by its name; a switchable one stands for those inside of it."""
    switchable = [module for module in model.modules() if isinstance(module, SwitchableBatchNorm)]
    inside = {part for norm in switchable for part in norm.at.modules()}
    return {name: m for name, m in model.named_modules() if isinstance(m, _BatchNorm) and m not in inside}


def _norms(model: nn.Module) -> list[tuple[nn.Module, str, _BatchNorm]]:
    """Every batch norm with its parent and its name there, but not those inside of switchable ones."""
    inside = {part for norm in model.modules() if isinstance(norm, SwitchableBatchNorm) for part in norm.at.modules()}
    return [
        (parent, name, child)
        for parent in model.modules()
        if parent not in inside
        for name, child in parent._modules.items()
        if isinstance(child, _BatchNorm)
    ]


def _fill_missing(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Lets a state dict with one set of batch-norm tensors serve every precision."""
    assert isinstance(module, SwitchableBatchNorm)
    for bits, norm in module.at.items():
        for name in norm.state_dict():
            key, source = f"{prefix}at.{bits}.{name}", f"{prefix}{name}"
            if key not in state and source in state:
                state[key] = state[source].clone()
