"""The two phases of a model that writes text: prefill reads the prompt, decode one more token with a KV cache.

The cache goes by the names of the field's models: the forward pass takes ``past_key_values`` or ``cache``, and gives
the new one back, as an attribute, an item of that name or the second of a tuple.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tqhw.errors import TqhwError
from tqhw.workload.examples import Example
from tqhw.workload.inputs import InputSpec
from tqhw.workload.sources import tensors_in, tensors_inside

Phase = Literal["prefill", "decode"]
CACHES = ("past_key_values", "cache")
"""What the argument is called, in the order in which the names are looked for."""
DECODER_IDS = "decoder_input_ids"


def prefill_call(model: nn.Module, example: Example, place: str) -> Example:
    """The call that reads the prompt and fills the cache. Raises TqhwError for a model without one."""
    names = _arguments(model)
    if _argument(model) is None:
        raise TqhwError(
            f"the model has no KV cache: its forward pass takes no {' or '.join(CACHES)}, but {', '.join(names)}",
            place=place,
            lever="leave the phases out",
        )
    cached = {"use_cache": True} if "use_cache" in names else {}
    return replace(example, kwargs={**example.kwargs, **cached})


def decode_call(model: nn.Module, prompt: Example, output: Any, place: str) -> Example:
    """The call for one more token, after ``prompt`` gave ``output`` with its cache.

    Of an encoder and a decoder, the encoder does not run again: what it gave is there.
    """
    names = [name for name in _arguments(model) if name not in CACHES]
    given = {**dict(zip(names, prompt.args, strict=False)), **prompt.kwargs}
    tokens = next((name for name in sorted(given, key=_of_encoder) if _is_token_ids(name, given[name])), None)
    if tokens is None:
        message = f"none of the inputs is token ids of [batch, length]: {prompt.text}"
        raise TqhwError(message, place=place, lever="give them, as in --input input_ids:int64[1,128]")
    length = given[tokens].shape[1]
    encoded = _encoded(model, output)
    if encoded is None:
        kwargs = {name: _next(name, value, length) for name, value in given.items()}
    else:
        kwargs = {name: _next(name, value, length) for name, value in given.items() if not _of_encoder(name)}
        kwargs |= {name: value for name, value in given.items() if _of_encoder(name) and "mask" in name}
        kwargs.setdefault(DECODER_IDS, given[tokens][:, -1:])  # a decoder may make its ids of the encoder's
        kwargs["encoder_outputs"] = (encoded,)
    specs = [
        InputSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), name)
        for name, value in kwargs.items()
        for tensor in tensors_in(value)
    ]
    note = f"decode: one token after a prompt of {length:,}, whose keys and values are in the KV cache"
    if encoded is not None:
        note += f"; what the encoder gave, {list(encoded.shape)}, is there, and it does not run"
    return Example((), {**kwargs, str(_argument(model)): cache_of(output, place)}, tuple(specs), note)


def _encoded(model: nn.Module, output: Any) -> Tensor | None:
    """What the encoder of an encoder-decoder gave, where the forward pass takes it back in the place of its inputs."""
    name = "encoder_last_hidden_state"
    found = output.get(name) if isinstance(output, dict) else getattr(output, name, None)
    return found if isinstance(found, Tensor) and "encoder_outputs" in _arguments(model) else None


def _of_encoder(name: str) -> bool:
    """Whether an argument of a model with two parts is the encoder's, by its name."""
    return not name.startswith("decoder_") and name not in ("use_cache", "cache_position", "return_dict")


def cache_of(output: Any, place: str) -> object:
    """The KV cache that a forward pass gave back."""
    named = [output.get(name) if isinstance(output, dict) else getattr(output, name, None) for name in CACHES]
    found = next((cache for cache in named if cache is not None), None)
    if found is None and isinstance(output, tuple) and len(output) > 1:
        found = output[1]
    if found is None or not any(True for _ in cached_tensors(found)):
        raise TqhwError(
            f"the forward pass gave no KV cache back: no {' or '.join(CACHES)}, and no second result with tensors",
            place=place,
            lever="let it, or leave the phases out",
        )
    return found


def cached_tensors(cache: object) -> Iterator[Tensor]:
    """Every floating-point tensor in a cache of whatever make, once."""
    return (tensor for tensor in tensors_inside(cache) if tensor.is_floating_point() and tensor.dim() >= 2)


def words(cache: object) -> int:
    """Numbers in a cache."""
    return sum(tensor.numel() for tensor in cached_tensors(cache))


def _arguments(model: nn.Module) -> list[str]:
    forward = inspect.unwrap(model.forward)
    return [name for name in inspect.signature(forward).parameters if name != "self"]


def _argument(model: nn.Module) -> str | None:
    return next((name for name in CACHES if name in _arguments(model)), None)


def _is_token_ids(name: str, value: object) -> bool:
    whole = isinstance(value, Tensor) and not value.is_floating_point() and value.dtype is not torch.bool
    return whole and value.dim() == 2 and "mask" not in name  # type: ignore[attr-defined]


def _next(name: str, value: Any, length: int) -> Any:
    """An input of the next token: a mask is one longer, what has a number per token of the prompt has the last."""
    if not isinstance(value, Tensor) or value.dim() != 2 or value.shape[1] != length:
        return value
    if "mask" in name:
        return torch.cat([value, value[:, -1:]], 1)
    return value[:, -1:]
