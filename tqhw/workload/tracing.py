"""One run of a model, watched at the level where every multiply-accumulate passes: PyTorch's own operators.

Modules, functional calls, ``@``, ``einsum`` and attention all end in the few operators handled here, so nothing
depends on how the model is written. Hooks on the modules only say where in the model an operator was called.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode

from tqhw.quant.activation import InputQuantizer
from tqhw.quant.weight import QuantizedWeight
from tqhw.spec import Problem
from tqhw.workload import problems
from tqhw.workload.sources import Sources, tensors_in

aten = torch.ops.aten


@dataclass(frozen=True)
class Weight:
    """A constant factor. Equal ``key``: the same weights. ``parameters``: the names of what it is made of.

    ``words``: what one execution reads; ``stored``: fewer where a parameter is repeated to make the factor.
    """

    key: Hashable
    words: int
    stored: int
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Operation:
    """One executed convolution or matrix product, and its weight unless both factors are activations."""

    problem: Problem
    weight: Weight | None


@dataclass
class Trace:
    """What a run did. ``norms``: channels of every batch norm that ran, by name."""

    operations: list[Operation] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    norms: dict[str, int] = field(default_factory=dict)


# Where the factors of a matrix product stand among an operator's arguments.
_PRODUCTS: dict[Any, tuple[int, int]] = {
    aten.mm: (0, 1),
    aten.bmm: (0, 1),
    aten.mv: (0, 1),
    aten.dot: (0, 1),
    aten.addmm: (1, 2),
    aten.baddbmm: (1, 2),
    aten.addmv: (1, 2),
}
# Operators that multiply and accumulate, and that no problem is made of. The fused attentions appear only where
# a model insists on one of them: `_watching` asks for the plain form.
_UNSUPPORTED: dict[Any, str] = {
    aten._trilinear: "bilinear form",
    aten.mkldnn_rnn_layer: "recurrent layer",
    aten._scaled_dot_product_flash_attention_for_cpu: "fused attention",
    aten._scaled_dot_product_flash_attention: "fused attention",
    aten._scaled_dot_product_efficient_attention: "fused attention",
    aten._scaled_dot_product_cudnn_attention: "fused attention",
    aten._native_multi_head_attention: "fused attention",
    aten._transformer_encoder_layer_fwd: "fused encoder layer",
    aten._sparse_mm: "sparse product",
    aten._int_mm: "integer product",
    aten._scaled_mm: "scaled 8-bit product",
    aten.addbmm: "product summed over its batch",
}
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_PARAMETRIZED = re.compile(r"(^|\.)parametrizations\.(\w+)\.original\d*$")
_WEIGHT_SUFFIX = re.compile(r"(^|\.)weight$")


def trace(model: nn.Module, inputs: Tensor) -> Trace:
    """Runs ``model(inputs)`` once, in evaluation mode and without gradients, and says what it computed.

    Whatever the model raises comes through. The training flags of the modules and the state of the random number
    generator are left as they were.
    """
    watch = _Watch(model)
    watch.sources.mark_input(inputs)
    with _watching(model, watch):
        model(inputs)
    return watch.trace


@contextmanager
def _watching(model: nn.Module, watch: _Watch) -> Iterator[None]:
    training = [(module, module.training) for module in model.modules()]
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        for module in model.modules():
            stack.callback(module.register_forward_pre_hook(watch.enter).remove)
            stack.callback(module.register_forward_hook(watch.leave, always_call=True).remove)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        stack.callback(_restore, training)
        for module in model.modules():
            if isinstance(module, QuantizedWeight | InputQuantizer):
                stack.callback(setattr, module, "off", module.off)
                module.off = True
        model.eval()
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.no_grad())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(watch)
        yield


def _restore(training: list[tuple[nn.Module, bool]]) -> None:
    for module, was in training:
        module.training = was


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operator below autograd, composite ones taken apart."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to keep torch.compile out of ``__torch_dispatch__``, torch would import its compiler, two seconds."""
        return False

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.trace = Trace()
        self.sources = Sources(model)
        self._root = type(model).__name__
        self._names = {module: name for name, module in model.named_modules()}
        self._parameters = dict(model.named_parameters())
        self._open: list[nn.Module] = []
        self._calls = [Counter[str]()]  # operations so far in every open call of a module, by name

    def enter(self, module: nn.Module, _: Any) -> None:
        """Forward pre-hook."""
        if isinstance(module, _BatchNorm) and not any(isinstance(m, _BatchNorm) for m in self._open):
            self.trace.norms[self._names[module]] = module.num_features
        self._open.append(module)
        self._calls.append(Counter())
        if isinstance(module, _RECURRENT):
            self._refuse("recurrent layer")

    def leave(self, *_: Any) -> None:
        """Forward hook, also called when the module raised."""
        self._open.pop()
        self._calls.pop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        with self:  # inference mode hands composite operators over whole
            result = func.decompose(*args, **kwargs)
        if result is not NotImplemented:
            return result
        result = func(*args, **kwargs)
        if not any(isinstance(module, _RECURRENT) for module in self._open):
            self._look_at(func, args, result)
        self.sources.derive((args, kwargs), result)
        return result

    def _look_at(self, func: Any, args: tuple[Any, ...], result: Any) -> None:
        packet = func.overloadpacket
        if packet in _PRODUCTS:
            left, right = (args[index] for index in _PRODUCTS[packet])
            self._product(left, right)
        elif packet is aten.convolution:
            self._convolution(args, result)
        elif packet in _UNSUPPORTED:
            self._refuse(_UNSUPPORTED[packet])
        elif func.namespace not in ("aten", "prim", "prims"):
            # What a foreign operator computes is not known; with two arrays it may well be a product.
            arrays = [tensor for tensor in tensors_in(args) if tensor.dim() >= 2]
            if len(arrays) >= 2 and any(map(self.sources.depends_on_input, arrays)):
                self._refuse(f"operator {packet}")

    def _convolution(self, args: tuple[Any, ...], output: Tensor) -> None:
        inputs, weight, _, stride, _, dilation, transposed, _, groups = args
        if transposed or weight.dim() > 4:
            self._refuse("transposed convolution" if transposed else f"{weight.dim() - 2}-d convolution")
            return
        constant = not self.sources.depends_on_input(weight)
        if not self.sources.depends_on_input(inputs):
            # The kernel is the activation: no data space of the problem would be the model's weights.
            if constant:
                self._fold()
            else:
                self._refuse("convolution of a constant by an activation")
            return
        shape, window = tuple(output.shape), tuple(weight.shape)
        self._record(
            "convolution",
            weight if constant else None,
            weight.numel(),
            lambda name: problems.convolution(name, window, shape, stride=stride, dilation=dilation, groups=groups),
        )

    def _product(self, left: Tensor, right: Tensor) -> None:
        batch = left.shape[0] if left.dim() == 3 else 1
        rows, inner = left.shape[-2:] if left.dim() > 1 else (1, left.shape[0])
        columns = right.shape[-1] if right.dim() > 1 else 1
        weight: Tensor | None = right
        if self.sources.depends_on_input(right):
            weight = None
            if not self.sources.depends_on_input(left):  # the product turned around: (L R)^T = R^T L^T
                weight, rows, columns = left, columns, rows
        elif not self.sources.depends_on_input(left):
            self._fold()
            return
        if weight is not None and batch > 1 and weight.stride(0) == 0:  # one weight for the whole batch
            batch, rows = 1, batch * rows
        self._record(
            "matmul",
            weight,
            batch * inner * columns,
            lambda name: problems.product(name, batch=batch, rows=rows, inner=inner, columns=columns),
        )

    def _record(self, kind: str, factor: Tensor | None, words: int, make: Callable[[str], Problem]) -> None:
        name, parameters = (None, ()) if factor is None else self._named(factor, words)
        name = name or f"{self._place()}:{kind}"
        calls = self._calls[-1]
        calls[name] += 1
        if ":" in name and calls[name] > 1:
            name = f"{name}_{calls[name]}"
        weight = None
        if factor is not None:
            sources = self.sources.of(factor)
            # Without a source (codes, numbers made on the spot) the place in the model tells weights apart.
            key = (sources, factor.storage_offset(), tuple(factor.shape)) if sources else (name, calls[name])
            sizes = [self._parameters[parameter].numel() for parameter in parameters]
            stored = min(words, *sizes) if len(sizes) == 1 else words
            weight = Weight(key, words, stored, parameters)
        self.trace.operations.append(Operation(make(name), weight))

    def _named(self, factor: Tensor, words: int) -> tuple[str | None, tuple[str, ...]]:
        """The name of a weighted operation, and the parameters that its weight is made of.

        Of several parameters (a weight and its scale, say) the one with as many numbers as the factor counts;
        the operation is called after it where it is the only one.
        """
        path = self._names[self._open[-1]] if self._open else ""
        local = {id(p): name for name, p in self._open[-1].named_parameters()} if self._open else {}
        sources = [name for name in sorted(self.sources.of(factor)) if name in self._parameters]
        candidates = sources or [name for name, p in self._parameters.items() if id(p) in local]
        parameters = [name for name in candidates if self._parameters[name].numel() == words] or sources
        if len(parameters) != 1:
            return None, tuple(parameters)
        # A parameter with two owners (tied weights) is known to the model by the first, here by the present one.
        inside = local.get(id(self._parameters[parameters[0]]))
        full = parameters[0] if inside is None else f"{path}.{inside}".removeprefix(".")
        return _WEIGHT_SUFFIX.sub("", _PARAMETRIZED.sub(r"\1\2", full)) or self._root, tuple(parameters)

    def _place(self) -> str:
        return (self._names[self._open[-1]] if self._open else "") or self._root

    def _fold(self) -> None:
        if self._place() not in self.trace.folded:
            self.trace.folded.append(self._place())

    def _refuse(self, what: str) -> None:
        module = self._open[-1] if self._open else None
        text = f"{self._place()} ({type(module).__name__}: {what})"
        if text not in self.trace.unsupported:
            self.trace.unsupported.append(text)
