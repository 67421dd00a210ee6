"""Which tensors are one: the same numbers at the same place in memory, whatever names and objects lead to them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

import torch


def identity(tensor: torch.Tensor) -> Hashable:
    """Equal for tensors of one storage, offset, shape, stride and type; valid as long as the tensors live.

    Tied parameters are equal by it; the parts that share a flat buffer are not. A tensor without a storage of its
    own, such as one of a subclass, is only itself.
    """
    return storage_of(tensor), tensor.dtype, *_layout(tensor)


def storage_of(tensor: torch.Tensor) -> Hashable:
    """Equal for tensors that lie in one piece of memory."""
    try:
        kept = tensor.untyped_storage()
        return kept.data_ptr() or ("storage", kept._cdata)
    except (NotImplementedError, RuntimeError):  # sparse tensors and wrappers hold others
        return "object", id(tensor)


def _layout(tensor: torch.Tensor) -> tuple[Hashable, ...]:
    if tensor.layout != torch.strided:
        return (tuple(tensor.shape),)
    return tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride())


def each_once(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors without those that are one with an earlier one."""
    found: dict[Hashable, torch.Tensor] = {}
    for tensor in tensors:
        found.setdefault(identity(tensor), tensor)
    return [*found.values()]


def aliases(tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """The names whose tensor stands under an earlier name already, with that name."""
    first: dict[Hashable, str] = {}
    return {
        name: owner for name, tensor in tensors.items() if (owner := first.setdefault(identity(tensor), name)) != name
    }
