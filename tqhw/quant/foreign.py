"""Models that another library quantized: they are not quantized a second time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from torch import nn

from tqhw.errors import TqhwError

_ITSELF: Final = "itself"
_BY_HAND: Final = ("fake_quantize_per_", "quantize_per_", "dequantize_per_", "_fake_quantize_")
"""How the functions of PyTorch begin that put numbers on a grid."""
_PROGRAMS: Final = "torch.fx.graph_module"
"""Where the classes of what torch.fx and torch.export wrote stand, each with a forward pass of its own."""
_LIBRARIES: Final = {
    "brevitas": "Brevitas",
    "torch.ao.nn.qat": "torch.ao",
    "torch.ao.nn.quantized": "torch.ao",
    "torch.ao.nn.intrinsic.qat": "torch.ao",
    "torch.ao.nn.intrinsic.quantized": "torch.ao",
    "torch.ao.quantization.fake_quantize": "torch.ao",
    "torchao": "torchao",
    "optimum.quanto": "optimum-quanto",
    "quanto": "optimum-quanto",
    "bitsandbytes": "bitsandbytes",
    "pytorch_quantization": "pytorch-quantization",
    "modelopt": "ModelOpt",
    "nncf": "NNCF",
    "hqq": "HQQ",
    "auto_gptq": "AutoGPTQ",
    "gptqmodel": "GPTQModel",
    "awq": "AutoAWQ",
    "compressed_tensors": "compressed-tensors",
    "neural_compressor": "Neural Compressor",
    "aimet_torch": "AIMET",
    "quark": "Quark",
}
"""Packages whose modules and tensor types quantize, with the names they are known by."""


def refuse_foreign(model: nn.Module, layers: Iterable[str], untouched: Iterable[str]) -> None:
    """Refuses a model with modules or weights that another library, or a forward pass that calls PyTorch's functions
    for it, quantizes, but inside of ``untouched`` layers.

    ``layers``: all that could be quantized.
    """
    left, known = tuple(untouched), tuple(layers)
    for name, module in model.named_modules():
        library = _library_of(module)
        if library is not None and not any(_inside(name, layer) for layer in left):
            layer = next((layer for layer in known if layer and _inside(name, layer)), None)
            whose = "that quantizes by itself" if library == _ITSELF else f"of {library}"
            raise TqhwError(
                f"a {type(module).__name__} {whose}: the model is quantized already, and would be quantized twice",
                place=name or "the model",
                lever="convert the plain network that it was made from"
                + (f", or leave it as it is with layers: {{{layer}: full}}" if layer else ""),
            )


def quantized_by(model: nn.Module) -> str | None:
    """The library that quantized ``model`` or a part of it; None for a plain one."""
    return next((library for module in model.modules() if (library := _library_of(module)) is not None), None)


def _inside(name: str, layer: str) -> bool:
    return name == layer or name.startswith(f"{layer}.")


def _library_of(module: nn.Module) -> str | None:
    """The library whose module, or whose type of weight, this is; None for plain ones."""
    kinds = [*type(module).__mro__]
    if any(map(_quantizes_by_hand, kinds)):
        return _ITSELF
    for parameter in module.parameters(recurse=False):
        kinds += [type(parameter), type(parameter.data)]
    return next((library for kind in kinds for library in _named(kind.__module__)), None)


def _quantizes_by_hand(kind: type) -> bool:
    """Whether a method of a class beside torch's own, or a program that it wrote, calls a function that quantizes."""
    if kind.__module__.partition(".")[0] == "torch" and kind.__module__ != _PROGRAMS:
        return False
    codes = (getattr(method, "__code__", None) for method in vars(kind).values())
    return any(name.startswith(_BY_HAND) for code in codes if code is not None for name in code.co_names)


def _named(module: str) -> Iterator[str]:
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        if (library := _LIBRARIES.get(".".join(parts[:length]))) is not None:
            yield library
