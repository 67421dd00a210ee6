"""One run of a model, watched at the level where every multiply-accumulate passes: PyTorch's own operators.

Modules, functional calls, ``@``, ``einsum`` and attention all end in the operators that
:mod:`tqhw.workload.operators` lists, so nothing depends on how the model is written. Hooks on the modules only say
where in the model an operator was called.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode

from tqhw.errors import TqhwError
from tqhw.quant.activation import InputQuantizer
from tqhw.quant.modes import modes_kept
from tqhw.quant.weight import QuantizedWeight
from tqhw.workload import operators
from tqhw.workload.generation import cached_tensors
from tqhw.workload.operators import plain_name
from tqhw.workload.products import arguments, products
from tqhw.workload.recording import Recorder, Trace
from tqhw.workload.sources import Origins, tensors_in, tensors_inside

_SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


class ForwardError(Exception):
    """The model raised ``cause``, ``at`` a place where its innermost module stands with its class."""

    def __init__(self, cause: Exception, at: str) -> None:
        super().__init__(str(cause))
        self.cause, self.at = cause, at


def trace(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    skip: tuple[str, ...] = (),
    routing: tuple[int, ...] | None = None,
    cache: object = None,
) -> tuple[Trace, tuple[str, ...], Any]:
    """Runs ``model(*args, **kwargs)`` once, in evaluation mode and without gradients, and says what it computed.

    ``skip``: patterns of names, places or operators to leave out, of which those that met nothing are given back;
    ``routing``: shares of the rows that stacked experts get; ``cache``: the KV cache among the arguments. The
    third that is given back is what the model returns. What the model raises comes as :class:`ForwardError`, and what
    cannot be counted anywhere in it, nested tensors say, as TqhwError. The training flags of the modules and the state
    of the random number generator are left as they were.
    """
    compiler = "torch._dynamo" in sys.modules
    watch = _RunWatch(model, skip, routing)
    for tensor in tensors_inside([list(args), dict(kwargs or {})]):
        watch.sources.mark_input(tensor)
    for tensor in cached_tensors(cache):
        watch.sources.mark_cached(tensor)
        watch.recorder.trace.written.keep(tensor)
    with _watching(model, watch):
        try:
            output = model(*args, **(kwargs or {}))
        except TqhwError:
            raise
        except Exception as error:
            if not compiler and "torch._dynamo" in sys.modules:  # loaded by the model: held back from now on
                return trace(model, args, kwargs, skip=skip, routing=routing, cache=cache)
            raise ForwardError(error, watch.last) from error
    return watch.recorder.trace, tuple(watch.recorder.unused), output


@contextmanager
def _watching(model: nn.Module, watch: _RunWatch) -> Iterator[None]:
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        for module in model.modules():
            with suppress(RuntimeError):  # scripted modules take no hooks: their layers go by their weights' names
                stack.callback(module.register_forward_pre_hook(watch.enter).remove)
                stack.callback(module.register_forward_hook(watch.leave, always_call=True).remove)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(modes_kept(model))
        for flag in _observing(model):  # what fake quantization would learn of our numbers
            stack.callback(flag.copy_, flag.clone())
            flag.zero_()
        for module in model.modules():
            if isinstance(module, QuantizedWeight | InputQuantizer):
                stack.callback(setattr, module, "off", module.off)
                module.off = True
        with suppress(NotImplementedError):  # an exported program has one mode
            model.eval()
        if "torch._dynamo" in sys.modules:  # what is compiled runs as it is written
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.no_grad())
        if any(parameter.is_meta for parameter in model.parameters()):  # what the model makes goes with it
            stack.enter_context(torch.device("meta"))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(watch)
        yield


def _observing(model: nn.Module) -> Iterator[Tensor]:
    """The switches of PyTorch's fake quantization that say whether ranges are learned."""
    flags = (getattr(module, "observer_enabled", None) for module in model.modules())
    return (flag for flag in flags if isinstance(flag, Tensor))


class _RunWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operator below autograd, composite ones taken apart."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to keep torch.compile out of ``__torch_dispatch__``, torch would import its compiler, two seconds."""
        return False

    def __init__(self, model: nn.Module, skip: tuple[str, ...], routing: tuple[int, ...] | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sources = Origins(model)
        self.recorder = Recorder(model, self.sources, skip, routing)
        self.last = self.recorder.described()

    def enter(self, module: nn.Module, given: Any) -> None:
        """Forward pre-hook."""
        self.recorder.widths.enter(module, given)
        if isinstance(module, _BatchNorm) and not any(isinstance(m, _BatchNorm) for m in self.recorder.open):
            self.recorder.trace.norms[self.recorder.name_of(module)] = module.num_features
        self.recorder.enter(module)
        self.last = self.recorder.described()

    def leave(self, module: nn.Module, _: Any, output: Any) -> None:
        """Forward hook, also called when the module raised."""
        failed = sys.exc_info()[0] is not None
        self.recorder.widths.leave(module, output)
        self.recorder.leave()
        if not failed:  # an exception on its way out keeps the innermost place
            self.last = self.recorder.described()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if any(tensor.is_nested for tensor in tensors_in((args, kwargs))):
            raise TqhwError(
                f"nested tensors reach {func}, and have no shape to count with",
                place=self.recorder.described(),
                lever="pad them (to_padded_tensor, or enable_nested_tensor=False in a TransformerEncoder)",
            )
        if isinstance(func, HigherOrderOperator):
            return self._higher(func, args)
        with self:  # inference mode hands composite operators over whole
            result = func.decompose(*args, **kwargs)
        if result is not NotImplemented:
            return result
        result = _computed(func, args, kwargs)
        self._look_at(func, args, kwargs, result)
        self.recorder.widths.derive(func, args, kwargs, result)
        self.recorder.trace.written.derive(plain_name(str(func.overloadpacket)), arguments(func, args, kwargs), result)
        random = torch.Tag.nondeterministic_seeded in func.tags
        self.sources.derive((args, kwargs), result, str(func.overloadpacket), random)
        return result

    def _higher(self, func: HigherOrderOperator, args: tuple[Any, ...]) -> Any:
        """An operator that is given functions: torch.cond takes the branch that this run takes, others are refused."""
        name = str(func)
        if name != "cond":
            raise TqhwError(
                f"the higher-order operator {name} is not known, and neither is what it multiplies",
                place=self.recorder.described(),
                lever="write it in plain operators, such as scaled_dot_product_attention or a loop",
            )
        predicate, when, otherwise, operands = args
        with self:
            return (when if bool(predicate) else otherwise)(*operands)

    def _look_at(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        operator, recorder = str(func.overloadpacket), self.recorder
        given = (args, kwargs)
        if operator == "aten._local_scalar_dense":
            if any(map(self.sources.depends_on_input, tensors_in(given))):
                recorder.read_out()
        elif (what := operators.refused(operator)) is not None:
            self._refuse(what, operator, given)
        elif (found := products(func, args, kwargs, result)) is not None:
            what = _unusual(given)
            if what is not None:
                self._refuse(what, operator, given)
                return
            for one in found:
                recorder.record(one, operator)
        elif not operators.is_no_product(operator) and self._may_multiply(given):
            recorder.refuse(f"operator {operator}", operator)

    def _refuse(self, what: str, operator: str, given: object) -> None:
        """Of constants alone it can be computed once, whatever it is."""
        if any(map(self._varies, tensors_in(given))):
            self.recorder.refuse(what, operator)
        else:
            self.recorder.fold_unknown()

    def _varies(self, tensor: Tensor) -> bool:
        return self.sources.depends_on_input(tensor)

    def _may_multiply(self, given: object) -> bool:
        """Whether an activation meets an array, or a weight that is packed, in an operator that is not known."""
        tensors = [tensor for tensor in tensors_in(given) if tensor.dim() >= 1]
        if not any(map(self._varies, tensors)):
            return False
        arrays = [tensor for tensor in tensors if tensor.dim() >= 2]
        packed = any(isinstance(value, torch.ScriptObject) for value in _leaves(given))
        return packed or len(arrays) >= 2 or not all(map(self._varies, arrays))


def _computed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the operator gives. Grouped products take any type of number everywhere but on the meta device."""
    given = [tensor for tensor in tensors_in(args) if tensor.is_floating_point()]
    if str(func.overloadpacket) != "aten._grouped_mm" or not any(tensor.is_meta for tensor in given):
        return func(*args, **kwargs)
    half = (a.bfloat16() if isinstance(a, Tensor) and a.is_floating_point() else a for a in args)
    return func(*half, **kwargs).to(given[0].dtype)


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _unusual(given: object) -> str | None:
    """What the factors of a product are, where they are no plain arrays of real numbers."""
    checks: tuple[tuple[str, Callable[[Tensor], bool]], ...] = (
        ("sparse product", lambda tensor: tensor.layout in _SPARSE),
        ("product of nested tensors", lambda tensor: tensor.is_nested),
        ("complex product", lambda tensor: tensor.is_complex()),
    )
    return next((what for what, check in checks if any(map(check, tensors_in(given)))), None)
