"""A weight that is read outside of its layer, whose inputs are quantized: it must not meet inputs that are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import torch

from tqhw.errors import TqhwError

_PRODUCTS: Final = frozenset(
    {
        *("linear", "bilinear", "conv1d", "conv2d", "conv3d", "multi_head_attention_forward", "einsum"),
        *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "matmul", "__matmul__", "__rmatmul__"),
        *("mm", "bmm", "mv", "dot", "addmm", "addmv", "addbmm", "baddbmm", "tensordot", "inner"),
        *("vdot", "vecdot", "outer", "ger", "addr", "kron", "chain_matmul", "multi_dot", "conv_tbc", "cdist"),
        *("scaled_dot_product_attention", "grouped_mm", "_grouped_mm", "_int_mm", "_scaled_mm", "_convolution"),
        *("convolution", "sspaddmm", "hspmm", "rnn_tanh", "rnn_relu", "lstm", "gru"),
    }
)
"""Plain names: in-place forms end in ``_``, those of torch.linalg begin with ``linalg_``."""

_TIMES: Final = frozenset({"mul", "mul_", "multiply", "__mul__", "__rmul__"})
"""Elementwise, unless the result is larger than the weight: then it is the products of a matrix product."""

_PARTS: Final = frozenset(
    {
        *("__getitem__", "chunk", "split", "tensor_split", "narrow", "select", "unbind", "index_select"),
        *("cat", "concat", "concatenate", "stack", "hstack", "vstack"),
    }
)
"""What takes weights apart or puts them together; of any other operator the result is still one if it is as large."""


class OutsideWeight(torch.Tensor):
    """Numbers like any other, and refused by every product: its other factor would be an input that no one quantized.

    What is a weight still, such as its transpose or a part of it, is of this kind too; its norm is not.
    """

    place: str

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        weight = next(_weights((*args, *(kwargs or {}).values())), None)
        name, place = getattr(func, "__name__", ""), getattr(weight, "place", "a layer")
        if name in _PRODUCTS or name.removeprefix("linalg_").removesuffix("_") in _PRODUCTS:
            raise _refused(name, place)
        result = super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
        if weight is None:
            return result
        with torch._C.DisableTorchFunctionSubclass():
            size = weight.nelement()
            outer = name in _TIMES and result.nelement() > size
        if outer:
            raise _refused(f"an elementwise {name} of every pair", place)
        if isinstance(result, OutsideWeight):
            return _told(result, place, size, name)
        if isinstance(result, tuple | list):
            return type(result)(_told(p, place, size, name) if isinstance(p, OutsideWeight) else p for p in result)
        return result


def _refused(what: str, place: str) -> TqhwError:
    return TqhwError(
        f"its weight is used by {what}, not by a call of the layer: the input would not be quantized",
        place=place,
        lever="call the layer, keep it in floating point by its name in layers, or use activations: full",
    )


def _weights(values: Iterable[Any]) -> Iterator[OutsideWeight]:
    for value in values:
        if isinstance(value, OutsideWeight):
            yield value
        elif isinstance(value, tuple | list):
            yield from _weights(value)


def _told(result: OutsideWeight, place: str, size: int, name: str) -> torch.Tensor:
    with torch._C.DisableTorchFunctionSubclass():
        if name not in _PARTS and result.nelement() != size:
            return result.as_subclass(torch.Tensor)
    result.place = place
    return result


def outside(weight: torch.Tensor, place: str) -> torch.Tensor:
    """``weight`` as one that is read outside of the layer ``place``."""
    guarded = weight.as_subclass(OutsideWeight)
    guarded.place = place
    return guarded
