"""What the expressions of a specification can call: functions and numbers of Accelergy's ``parsing_utils.py``.

Those that could take for ever, or all memory, are bounded here.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqhw.spec.expression import MAX_INTEGER_BITS

MAX_LENGTH = 100_000
"""Of a text, a list or a range."""


def _whole(*values: Any) -> None:
    for value in values:
        if not isinstance(value, int):
            raise TypeError(f"{value!r} is no whole number")


def power(base: Any, exponent: Any, modulus: int | None = None) -> Any:
    whole = modulus is None and isinstance(base, int) and isinstance(exponent, int)
    if whole and exponent > 0 and int(base).bit_length() * exponent > MAX_INTEGER_BITS:
        raise OverflowError(f"an integer power of more than {MAX_INTEGER_BITS} bits")
    return pow(base, exponent, modulus)


def left_shift(value: Any, by: Any) -> Any:
    _whole(value, by)
    if value and by > MAX_INTEGER_BITS:
        raise OverflowError(f"a shift by more than {MAX_INTEGER_BITS} bits")
    return value << by


def times(left: Any, right: Any) -> Any:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, str | list | tuple) and isinstance(other, int) and len(one) * other > MAX_LENGTH:
            raise OverflowError(f"more than {MAX_LENGTH} characters or items")
    return left * right


def rest(left: Any, right: Any) -> Any:
    if isinstance(left, str):
        values = right if isinstance(right, tuple) else (right,)
        if "*" in left or not all(isinstance(value, int | float | str) for value in values):
            raise TypeError("'%' of a text takes numbers and texts, and no '*'")
        check_width(left)
        try:
            return left % right
        except TypeError as error:
            raise TypeError(f"'%' of a text is not read: {error}") from None
    return left % right


def check_width(text: str) -> None:
    """Raises OverflowError for a format of more than 999 places."""
    if re.search(r"\d{4}", text):
        raise OverflowError("a format of more than 999 places")


class _Format(string.Formatter):
    """``str.format`` of numbers and texts, whose attributes and items it does not reach."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        if not re.fullmatch(r"\w+", field_name):
            raise ValueError(f"the field '{field_name}' reaches into a value")
        return super().get_field(field_name, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> str:
        check_width(format_spec)
        return str(super().format_field(value, format_spec))


def formatter(text: str) -> Callable[..., str]:
    """``text.format``."""
    return lambda *values, **named: _Format().format(text, *values, **named)


def joiner(text: str) -> Callable[[Any], str]:
    """``text.join``."""

    def joined(parts: Any) -> str:
        texts = list(parts)
        if len(text) * len(texts) + sum(map(len, texts)) > MAX_LENGTH:
            raise OverflowError(f"more than {MAX_LENGTH} characters")
        return text.join(texts)

    return joined


def replacer(text: str) -> Callable[..., str]:
    """``text.replace``."""

    def replaced(old: str, new: str, count: int = -1) -> str:
        if len(text) + (text.count(old) if count < 0 else count) * len(new) > MAX_LENGTH:
            raise OverflowError(f"more than {MAX_LENGTH} characters")
        return text.replace(old, new, count)

    return replaced


def zero_filled(text: str) -> Callable[[Any], str]:
    """``text.zfill``."""

    def filled(width: Any) -> str:
        check_width(str(width))
        return text.zfill(width)

    return filled


def _sum(values: Any, /, start: Any = 0) -> Any:
    if isinstance(start, list | tuple):
        values = list(values)
        if sum(map(len, values)) > MAX_LENGTH // 100:  # every one of them is copied for each that follows
            raise OverflowError(f"lists of more than {MAX_LENGTH // 100} items in all")
    return sum(values, start)


def size(value: Any) -> int:
    """How many values a list or mapping holds, whatever they hold within each other; counted up to MAX_LENGTH."""
    total, waiting = 0, [value]
    while waiting and total <= MAX_LENGTH:
        one = waiting.pop()
        if isinstance(one, list | tuple | set | dict):
            total += len(one)
            waiting += (item for item in (one.values() if isinstance(one, dict) else one) if isinstance(item, _HOLDING))
    return total


_HOLDING = (list, tuple, set, dict)


def _product(values: Any, /, *, start: Any = 1) -> Any:
    result = start
    for value in values:
        result = times(result, value)
        if isinstance(result, int) and result.bit_length() > MAX_INTEGER_BITS:
            raise OverflowError(f"an integer of more than {MAX_INTEGER_BITS} bits")
    return result


def _factorial(value: Any) -> int:
    _whole(value)
    if value > 1000:
        raise OverflowError("a factorial of more than 1000")
    return math.factorial(value)


def _chosen(function: Callable[..., int]) -> Callable[..., int]:
    def checked(*values: Any) -> int:
        _whole(*values)
        if max(values, default=0) > 10_000:
            raise OverflowError("more than 10,000 items to choose from")
        return function(*values)

    return checked


def _rounded(value: Any, ndigits: Any = None) -> Any:
    if isinstance(ndigits, int) and abs(ndigits) > 400:
        raise OverflowError("more than 400 digits")
    return round(value, ndigits)


_MATH = (
    "ceil copysign fabs floor fmod frexp fsum gcd isclose isfinite isinf isnan isqrt ldexp modf remainder trunc exp "
    "expm1 log log1p log2 log10 sqrt acos asin atan atan2 cos dist hypot sin tan degrees radians acosh asinh atanh "
    "cosh sinh tanh erf erfc gamma lgamma"
)
NAMES: dict[str, Any] = {
    **{name: getattr(math, name) for name in _MATH.split()},
    **{name: getattr(math, name) for name in ("pi", "e", "tau", "inf", "nan")},
    "comb": _chosen(math.comb),
    "perm": _chosen(math.perm),
    "factorial": _factorial,
    "prod": _product,
    "pow": power,
    "round": _rounded,
    "map": lambda function, *lists: [function(*items) for items in zip(*lists, strict=False)],
    "enumerate": lambda items, start=0: list(enumerate(items, start)),
    "sum": _sum,
    "getcwd": lambda: str(Path.cwd()),
    **{f.__name__: f for f in (abs, range, len, min, max, float, int, str, bool, list, tuple)},
}
"""Functions and numbers of Accelergy's ``parsing_utils.py``; loops over them are bounded here."""
