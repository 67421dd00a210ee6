"""What a model is run on: shapes, types and names of its inputs, from the command line, checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tqhw.errors import TqhwError, unknown

TYPES = (
    *("float32", "float64", "float16", "bfloat16", "complex64"),
    *("bool", "uint8", "int8", "int16", "int32", "int64"),
)
"""Types that an input may have, by PyTorch's names."""

_NUMBER = re.compile("-?[0-9]{1,18}")
_SPEC = re.compile(r"(?:(?P<name>[^\[\]]*):)?(?P<dtype>[^:\[\]]*)\[(?P<shape>[^\[\]]*)\]")
_LEVER = "give whole numbers from 1 up, batch first, as in 1,3,224,224"
_FORM = "write 1,3,224,224 or, with a name and a type, ids:int64[1,128]"


@dataclass(frozen=True)
class InputSpec:
    """One input: ``dtype`` is one of :data:`TYPES`, None for that of the model's weights; ``name`` is the argument."""

    shape: tuple[int, ...]
    dtype: str | None = None
    name: str | None = None

    @property
    def text(self) -> str:
        """The opposite of :func:`parse_input`."""
        if self.dtype is None and self.name is None:
            return shape_text(self.shape)
        head = "" if self.name is None else f"{self.name}:"
        return f"{head}{self.dtype or ''}[{shape_text(self.shape)}]"


def parse_input(text: str, *, of_graph: bool = False) -> InputSpec:
    """``1,3,224,224``, ``int64[1,128]`` or ``ids:int64[1,128]``. Raises :class:`TqhwError` for anything else.

    ``of_graph``: the name is that of a graph's input, such as ``input.1``, and not of an argument.
    """
    text = text.strip()
    if not any(sign in text for sign in ":[]"):
        return InputSpec(parse_shape(text))
    found = _SPEC.fullmatch(text)
    if found is None:
        raise TqhwError(f"'{text}' is no input", place="input", lever=_FORM)
    name, dtype = found["name"], found["dtype"].strip() or None
    if name is not None and not (name.strip().isidentifier() or (of_graph and name.strip())):
        raise TqhwError(f"'{name}' is no name of an argument", place=f"input {text}", lever=_FORM)
    if dtype is not None and dtype not in TYPES:
        raise unknown("type", dtype, TYPES, place=f"input {text}")
    return InputSpec(parse_shape(found["shape"]), dtype, None if name is None else name.strip())


def parse_shape(text: str) -> tuple[int, ...]:
    """``"1,3,224,224"`` as a tuple. Raises :class:`TqhwError` that names the part which is no number from 1 up."""
    words = [word.strip() for word in text.split(",")]
    return check_shape([int(word) if _NUMBER.fullmatch(word) else word for word in words])


def check_shape(shape: Sequence[object]) -> tuple[int, ...]:
    """``shape`` as a tuple of ints. Raises :class:`TqhwError` for anything but whole numbers from 1 up."""
    if shape is not None and (not isinstance(shape, Iterable) or isinstance(shape, bytes) or hasattr(shape, "dtype")):
        told = f"{type(shape).__name__} is the type of neither a shape nor a tensor, and no tensor is in it"
        raise TqhwError(told, place="input", lever=f"{_LEVER}; or make tensors of it, as torch.from_numpy does")
    if not shape:
        raise TqhwError("the input shape is empty", place="input", lever=_LEVER)
    sizes: list[int] = []
    for position, size in enumerate(shape):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            place = f"input, position {position + 1}"
            raise TqhwError(f"{size!r} is not a size", place=place, lever=_LEVER)
        sizes.append(size)
    return tuple(sizes)


def shape_text(shape: Sequence[int]) -> str:
    """The opposite of :func:`parse_shape`."""
    return ",".join(map(str, shape))
