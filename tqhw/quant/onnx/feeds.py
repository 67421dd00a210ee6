"""What a graph is given: the inputs of a network as named tensors, one or several."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import nn

from tqhw.errors import TqhwError
from tqhw.quant.calls import Inputs, called, each, tensors_of

ONE: Final = "images"
"""The input of a graph that has one."""
ANSWER: Final = "logits"
BITS_INPUT: Final = "bits"


def feeds(model: nn.Module, inputs: Inputs) -> dict[str, torch.Tensor]:
    """The tensors among ``inputs`` by the names that a graph has for them, in their order.

    Several by position have the names of the parameters of ``model.forward``. TqhwError for a name that the graph has
    for something else.
    """
    if isinstance(inputs, torch.Tensor):
        return {ONE: inputs}
    named = inputs if isinstance(inputs, Mapping) else dict(zip(_parameters(model, len(inputs)), inputs, strict=True))
    found = {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}
    for name in found:
        if name in (ANSWER, BITS_INPUT) or name in model.state_dict():
            raise TqhwError(f"the graph has another tensor called '{name}'", place="input", lever="rename the input")
    return found


def batch_of_two(inputs: Inputs) -> Inputs:
    """``inputs``, twice where they are one sample; TqhwError where they are none, or not as many in all tensors."""
    counts = [len(value) if value.ndim else 0 for value in tensors_of(inputs) if isinstance(value, torch.Tensor)]
    if not counts or min(counts) < max(counts) or not counts[0]:
        raise TqhwError(f"tensors of {counts} samples are no batch", place="input", lever="give one sample or more")
    return each(inputs, lambda value: value.detach().cpu() if counts[0] > 1 else torch.cat([value.detach().cpu()] * 2))


def take_tensors(model: nn.Module, inputs: Inputs) -> None:
    """Lets ``model`` be called on the tensors of ``inputs`` alone, by position; what else it is given stays."""
    if isinstance(inputs, torch.Tensor):
        return
    forward: Callable[..., Any] = model.forward

    def on_tensors(*tensors: torch.Tensor) -> Any:
        rest = iter(tensors)
        return called(forward, each(inputs, lambda _: next(rest)))

    model.forward = on_tensors


def keep_inputs(onnx: Any, graph: Any, given: Mapping[str, torch.Tensor]) -> None:
    """Gives ``graph`` all inputs in their order, also those that the network has no use for, which torch leaves out."""
    there = {entry.name: entry for entry in graph.input}
    for name, value in given.items():
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.numpy().dtype)
        shape = ["batch", *value.shape[1:]]
        there.setdefault(name, onnx.helper.make_tensor_value_info(name, kind, shape))
    del graph.input[:]
    graph.input.extend(there[name] for name in given)


def for_session(running: Any, inputs: Inputs) -> dict[str, torch.Tensor]:
    """``inputs`` by the names of the inputs of ``running``, onnxruntime's; by position where they have no names."""
    if isinstance(inputs, Mapping):
        return {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
    names = [entry.name for entry in running.get_inputs() if entry.name != BITS_INPUT]
    return dict(zip(names, (value for value in tensors_of(inputs) if isinstance(value, torch.Tensor)), strict=False))


def _parameters(model: nn.Module, count: int) -> list[str]:
    """Of ``forward``, as many as there are inputs; numbered where it does not name them."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [name for name, one in inspect.signature(model.forward).parameters.items() if one.kind in kinds]
    return names[:count] if len(names) >= count else [f"input_{number}" for number in range(count)]
