"""How wide the factors of a product are in a model that another library quantized, and who says so.

Two ways lead there. What puts numbers on a grid while the model runs (PyTorch's fake quantization, Brevitas's proxies)
marks its result, and the mark goes with the numbers through whatever only moves them. Where a library packs weights or
wraps the whole layer (torchao, optimum-quanto, bitsandbytes), its module or its type of tensor says it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from tqhw.workload.layers import Precision
from tqhw.workload.operators import plain_name
from tqhw.workload.sources import inside, tensors_in

_GRIDS = ("aten.fake_quantize_per_", "aten._fake_quantize_", "aten._fused_moving_avg_obs_fq_helper")
_DECOMPOSED = ("quantized_decomposed.dequantize_", "quantized_decomposed.fake_quant_")
_MOVES = frozenset(
    f"aten.{name}"
    for name in (
        *("view", "_unsafe_view", "reshape", "expand", "repeat", "transpose", "t", "permute", "alias", "detach"),
        *("slice", "select", "unsqueeze", "squeeze", "clone", "_to_copy", "split", "split_with_sizes", "unbind"),
        *("relu", "max_pool2d_with_indices", "max_pool3d_with_indices", "constant_pad_nd", "index", "cat", "stack"),
    )
)
"""What gives numbers of the same grid on: moved, cut, the larger ones of them, zeros beside them."""
_DEQUANTIZES = "aten.dequantize"  # PyTorch's own codes, which know their scale
_DTYPES = {"quint8": 8, "qint8": 8, "quint4x2": 4, "quint2x4": 2, "qint32": 32, "int8": 8, "uint8": 8}


@dataclass(frozen=True)
class Mark:
    """A width and what says it."""

    bits: int
    source: str


class Widths:
    """The marks of a run."""

    def __init__(self) -> None:
        self._marks = WeakTensorKeyDictionary()
        self._read: dict[nn.Module, int] = {}
        self._asking = False

    def enter(self, module: nn.Module, given: Any) -> None:
        """Notes the width of what a layer is called with, where a library has a type of tensor for such numbers."""
        kind = next((getattr(tensor, "qtype", None) for tensor in tensors_in(given)), None)
        self._read.pop(module, None)
        if _from(kind, "optimum.quanto"):
            self._read[module] = int(kind.bits)  # type: ignore[union-attr]

    def leave(self, module: nn.Module, output: Any) -> None:
        """Marks what a quantizing module gives."""
        if self._asking:  # a proxy runs itself to say how wide it is
            return
        self._asking = True
        try:
            found = _of_proxy(module) or _of_fake_quantizer(module)
        finally:
            self._asking = False
        tensor = next(tensors_in(output), None)
        if found is not None and tensor is not None:
            self._marks[tensor] = found

    def derive(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Marks what an operator that quantizes gives, and takes marks along."""
        operator = plain_name(str(func.overloadpacket))
        if operator.startswith((*_GRIDS, *_DECOMPOSED)):
            names = [argument.name for argument in func._schema.arguments]
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            found = _of_grid(given, operator)
        elif operator == _DEQUANTIZES:
            found = next(map(_of_codes, tensors_in(args)), None)
        elif operator in _MOVES:
            marks = {self._marks.get(tensor) for tensor in tensors_in(args)}  # type: ignore[no-untyped-call]
            found = marks.pop() if len(marks) == 1 else None
        else:
            return
        tensor = next(tensors_in(result), None)
        for part in tensors_in(result) if operator in _MOVES else (tensor,):
            if found is not None and part is not None:
                self._marks[part] = found

    def precision(
        self, module: nn.Module | None, operator: str, left: Any, right: Any, weight: Any
    ) -> Precision | None:
        """Of a product inside of ``module``; None where nothing says a width. ``weight`` is the factor that is one."""
        if operator.startswith("quantized."):  # PyTorch's own, with the weight packed
            eight = "dynamic" in operator and "fp16" not in operator
            mark = self._of(left)
            given = 8 if eight else mark.bits if mark else _floating(left)
            return Precision(16 if "fp16" in operator else 8, True, given, f"PyTorch's {operator}")
        if weight is not None and module is not None and (declared := _declared(module)) is not None:
            read = self._of(right if weight is left else left)
            bits = self._read.get(module) if read is None else read.bits
            return declared if bits is None else replace(declared, input_bits=bits)
        marks = {id(factor): self._of(factor) for factor in (left, right)}
        if not any(marks.values()):
            return None
        if weight is None:
            told = [mark for mark in marks.values() if mark is not None]
            widths = [mark.bits if (mark := marks[id(f)]) is not None else _floating(f) for f in (left, right)]
            return Precision(input_bits=max(widths), source=_told(told[0], told[-1]))
        other = left if weight is right else right
        of_weight, of_input = marks[id(weight)], marks[id(other)]
        return Precision(
            of_weight.bits if of_weight else _floating(weight),
            True,
            of_input.bits if of_input else _floating(other),
            _told(of_weight, of_input),
        )

    def _of(self, factor: Any) -> Mark | None:
        if not isinstance(factor, Tensor):
            return None
        noted: Mark | None = self._marks.get(factor)  # type: ignore[no-untyped-call]
        codes = next(iter(inside(factor)), factor)  # codes come first, their scale after them
        return noted or _of_codes(codes)


def _of_codes(tensor: Tensor) -> Mark | None:
    """By their type, where it is one of codes."""
    kind = str(tensor.dtype).removeprefix("torch.")
    return Mark(_DTYPES[kind], kind) if kind in _DTYPES else None


def _told(weight: Mark | None, inputs: Mark | None) -> str:
    if weight is not None and inputs is not None and weight.source == inputs.source:
        return weight.source
    named = (("weights", weight), ("inputs", inputs))
    return "; ".join(f"{what} {mark.source}" for what, mark in named if mark is not None)


def _floating(factor: Any) -> int:
    return 8 * factor.dtype.itemsize if isinstance(factor, Tensor) else 32


def _of_grid(given: dict[str, Any], operator: str) -> Mark | None:
    low, high = given.get("quant_min"), given.get("quant_max")
    if not isinstance(low, int) or not isinstance(high, int) or high <= low:
        return None
    if "fake_quant_on" in given and not _is_on(given["fake_quant_on"]):
        return None
    return Mark(math.ceil(math.log2(high - low + 1)), f"PyTorch's {operator.rpartition('.')[2].strip('_')}")


def _is_on(flag: Any) -> bool:
    return not isinstance(flag, Tensor) or flag.is_meta or bool(flag.reshape(-1)[0])


def _of_proxy(module: nn.Module) -> Mark | None:
    """Brevitas: a proxy knows the width of what it gives."""
    if not _from(module, "brevitas.proxy") or not getattr(module, "is_quant_enabled", False):
        return None
    width = getattr(module, "bit_width", None)
    try:
        found = width() if callable(width) else None
    except Exception:  # noqa: BLE001 - whatever a library raises of a width that it does not have yet
        return None
    return None if found is None else Mark(math.ceil(float(found)), "Brevitas")


def _of_fake_quantizer(module: nn.Module) -> Mark | None:
    """torchao's training: what quantizes weights or activations has the type of the codes in its configuration."""
    if not _from(module, "torchao.quantization.qat") or not getattr(module, "enabled", True):
        return None
    kind = getattr(getattr(module, "config", None), "dtype", None)
    bits = None if kind is None else _name_bits(str(kind))
    return None if bits is None else Mark(bits, f"torchao {type(module).__name__}")


def _from(thing: object, package: str) -> bool:
    return any(f"{kind.__module__}.".startswith(f"{package}.") for kind in type(thing).__mro__)


def _declared(module: nn.Module) -> Precision | None:
    return next((found for rule in _LIBRARIES if (found := rule(module)) is not None), None)


def _of_quanto(module: nn.Module) -> Precision | None:
    if not _from(module, "optimum.quanto") or getattr(module, "weight_qtype", None) is None:
        return None
    weight: Any = module.weight_qtype
    return Precision(weight.bits, True, _floating_of(module), f"optimum-quanto {weight.name}")


def _of_bitsandbytes(module: nn.Module) -> Precision | None:
    if not _from(module, "bitsandbytes"):
        return None
    bits = {"Linear4bit": (4, None), "LinearNF4": (4, None), "LinearFP4": (4, None), "Linear8bitLt": (8, 8)}
    kinds = [kind.__name__ for kind in type(module).__mro__]
    found = next((bits[kind] for kind in kinds if kind in bits), None)
    if found is None:
        return None
    return Precision(found[0], True, found[1] or _floating_of(module), f"bitsandbytes {kinds[0]}")


def _of_torchao(module: nn.Module) -> Precision | None:
    """By the type of the weight: its codes' type, or the ends of its range; its inputs where it quantizes them."""
    weight = getattr(module, "weight", None)
    if not _from(weight, "torchao"):
        return None
    inputs = None
    while (inner := getattr(weight, "original_weight_tensor", None)) is not None:  # wrapped for its inputs
        weight, inputs = inner, 8
    bits = _range_bits(weight) or _name_bits(type(weight).__name__)
    if bits is None:
        return None
    if getattr(weight, "act_quant_kwargs", None) is not None or getattr(weight, "activation_quantization", None):
        inputs = 8  # int8 and float8 are all that it quantizes activations to
    return Precision(bits, True, inputs or _floating_of(module), f"torchao {type(weight).__name__}")


def _range_bits(weight: Any) -> int | None:
    low, high = getattr(weight, "quant_min", None), getattr(weight, "quant_max", None)
    if isinstance(low, int | float) and isinstance(high, int | float) and high > low:
        return math.ceil(math.log2(high - low + 1))
    target = getattr(weight, "target_dtype", None)
    return _name_bits(str(target).removeprefix("torch.")) if target is not None else None


def _name_bits(name: str) -> int | None:
    """``Int4Tensor``, ``float8_e4m3fn``, ``uint3``: the number behind the word."""
    lowered = name.lower()
    for word in ("int", "float"):
        digits = lowered.partition(word)[2]
        width = digits[: len(digits) - len(digits.lstrip("0123456789"))]
        if width:
            return int(width)
    return None


def _floating_of(module: nn.Module) -> int:
    """Bits of what a layer computes with."""
    known: Any = next((p.dtype for p in module.parameters() if p.dtype.is_floating_point), None)
    return 32 if known is None else 8 * int(known.itemsize)


_LIBRARIES: tuple[Callable[[nn.Module], Precision | None], ...] = (_of_quanto, _of_bitsandbytes, _of_torchao)
