"""What the expressions of a specification can call: functions and numbers of Accelergy's ``parsing_utils.py``.

Those that could take for ever, or all memory, are bounded here.
"""

from __future__ import annotations

import math
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
        raise TypeError("'%' of a text is not read, write an f-text or +")
    return left % right


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
    "getcwd": lambda: str(Path.cwd()),
    **{f.__name__: f for f in (abs, sum, range, len, min, max, float, int, str, bool, list, tuple)},
}
"""Functions and numbers of Accelergy's ``parsing_utils.py``; loops over them are bounded here."""
