"""The shape of a model's input: from the command line, checked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tqhw.errors import TqhwError

_NUMBER = re.compile("-?[0-9]{1,18}")
_LEVER = "give whole numbers from 1 up, batch first, as in 1,3,224,224"


def parse_shape(text: str) -> tuple[int, ...]:
    """``"1,3,224,224"`` as a tuple. Raises :class:`TqhwError` that names the part which is no number from 1 up."""
    words = [word.strip() for word in text.split(",")]
    return check_shape([int(word) if _NUMBER.fullmatch(word) else word for word in words])


def check_shape(shape: Sequence[object]) -> tuple[int, ...]:
    """``shape`` as a tuple of ints. Raises :class:`TqhwError` for anything but whole numbers from 1 up."""
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
