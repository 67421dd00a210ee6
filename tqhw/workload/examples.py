"""From what the user says of a model's inputs to tensors that its forward pass can be called with."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tqhw.errors import TqhwError
from tqhw.workload.inputs import InputSpec, check_shape, parse_input
from tqhw.workload.sources import tensors_inside

Input = str | Tensor | InputSpec | Sequence[Any] | Mapping[str, Any]
"""A shape, a text of it, a tensor, a specification; several as a sequence, by name as a mapping. Among
several also objects with tensors inside."""


@dataclass(frozen=True)
class Example:
    """One call of a model. ``specs`` describe its tensors; ``note`` is what was assumed of them, if anything."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    specs: tuple[InputSpec, ...] = ()
    note: str | None = None

    @property
    def text(self) -> str:
        """The inputs, as the command line takes them."""
        return " ".join(spec.text for spec in self.specs) or "nothing"


def examples(model: nn.Module, given: Input, place: str) -> Iterator[Example]:
    """The calls that ``given`` can mean, the first first: a bare shape of one or two axes may be that of token ids.

    Raises :class:`TqhwError` for what is no input, and for inputs that do not fit the model's forward pass.
    """
    specs, fixed = _specs(given)
    if fixed is None and len(specs) == 1 and specs[0] == InputSpec(specs[0].shape):
        yield from _of_a_shape(model, specs[0].shape, place)
        return
    made = fixed or _made(model, specs, place)
    _check_fit(model, made, place)
    yield made


def expected(model: nn.Module) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The arguments of the forward pass: those it needs, and those that have a default."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return (), ()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    needed = tuple(p.name for p in named if p.default is p.empty)
    return needed, tuple(p.name for p in named if p.default is not p.empty)


def _specs(given: Any) -> tuple[list[InputSpec], Example | None]:
    """Specifications to make tensors of, or the call itself where the tensors are there already."""
    if isinstance(given, str):
        return [parse_input(given)], None
    if isinstance(given, InputSpec):
        return [given], None
    if isinstance(given, Tensor):
        return [], _ready((given,), {})
    if isinstance(given, Mapping):
        if any(True for _ in tensors_inside(dict(given))):
            return [], _ready((), dict(given))
        return [_named(name, value) for name, value in given.items()], None
    if isinstance(given, Sequence):
        if given and all(isinstance(item, str | InputSpec) for item in given):
            return [parse_input(item) if isinstance(item, str) else item for item in given], None
        if any(True for _ in tensors_inside(list(given))):
            return [], _ready(tuple(given), {})
    elif any(True for _ in tensors_inside(given)):
        return [], _ready((given,), {})
    return [InputSpec(check_shape(given))], None


def _named(name: str, value: Any) -> InputSpec:
    spec = parse_input(value) if isinstance(value, str) else InputSpec(check_shape(value))
    return InputSpec(spec.shape, spec.dtype, name)


def _ready(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Example:
    specs = [_described(tensor, None) for tensor in tensors_inside(list(args))]
    specs += [_described(tensor, name) for name, value in kwargs.items() for tensor in tensors_inside(value)]
    if len(specs) == 1 and specs[0].name is None:
        floating = next(tensors_inside(list(args))).is_floating_point()
        specs = [InputSpec(specs[0].shape, None if floating else specs[0].dtype)]
    return Example(args, kwargs, tuple(specs))


def _described(tensor: Tensor, name: str | None) -> InputSpec:
    if tensor.is_nested:
        raise TqhwError(
            "a nested tensor has no shape to count with",
            place="input" if name is None else f"input {name}",
            lever="pad it (to_padded_tensor), or give its parts as inputs of their own",
        )
    return InputSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), name)


def _of_a_shape(model: nn.Module, shape: tuple[int, ...], place: str) -> Iterator[Example]:
    needed, _ = expected(model)
    several = len(needed) > 1
    if not several:
        yield _made(model, [InputSpec(shape)], place)
    if len(shape) <= 2:
        names = needed if several else needed[:1] or (None,)
        found = _made(model, [InputSpec(shape, "int64", name) for name in names], place)
        note = f"the input is taken as token ids, {found.text}; --input NAME:TYPE[SHAPE] says otherwise"
        yield Example(found.args, found.kwargs, found.specs, note)
    elif several:
        _check_fit(model, _made(model, [InputSpec(shape)], place), place)


def _made(model: nn.Module, specs: Sequence[InputSpec], place: str) -> Example:
    generator = torch.Generator().manual_seed(0)
    args: list[Tensor] = []
    kwargs: dict[str, Any] = {}
    for spec in specs:
        tensor = _tensor(model, spec, generator, place)
        if spec.name is None:
            args.append(tensor)
        elif spec.name in kwargs:
            raise TqhwError(f"input '{spec.name}' is given twice", place=place, lever="give every input once")
        else:
            kwargs[spec.name] = tensor
    return Example(tuple(args), kwargs, tuple(specs))


def _tensor(model: nn.Module, spec: InputSpec, generator: torch.Generator, place: str) -> Tensor:
    """Random numbers; of whole numbers those that any table can be looked up by: ones in a mask, zeros else."""
    reference = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    dtype = reference.dtype if spec.dtype is None else getattr(torch, spec.dtype)
    if reference.is_meta:
        return torch.empty(spec.shape, dtype=dtype, device="meta")
    try:
        if dtype.is_floating_point or dtype.is_complex:
            made = torch.randn(spec.shape, generator=generator, dtype=dtype if dtype.is_complex else None)
        else:
            fill = 1 if dtype is torch.bool or "mask" in (spec.name or "") else 0
            made = torch.full(spec.shape, fill, dtype=dtype)
        return made.to(reference.device, dtype)
    except RuntimeError as error:
        message = f"an input of shape {spec.text} cannot be made: {first_line(error)}"
        raise TqhwError(message, place=place, lever="use a smaller batch or picture") from None


def _check_fit(model: nn.Module, example: Example, place: str) -> None:
    """All of what the forward pass takes against all that is given."""
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*example.args, **example.kwargs)
    except TypeError as error:
        needed, optional = expected(model)
        takes = ", ".join([*needed, *(f"[{name}]" for name in optional)]) or "nothing"
        raise TqhwError(
            f"the inputs do not fit: {error}; the forward pass takes {takes}; given: {example.text}",
            place=place,
            lever=how_to_give(model),
        ) from None


def how_to_give(model: nn.Module) -> str:
    """A lever: the options that name every input that the model needs."""
    needed, optional = expected(model)
    needed = needed or optional[:1]
    options = " ".join(f"--input {name}:TYPE[SHAPE]" for name in needed)
    given = options or "--input 1,3,224,224"
    return f"give what the forward pass takes, batch first, as in {given}; of an experiment it is model.input"


def first_line(error: Exception) -> str:
    """The kind of an exception and the first line of its text."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
