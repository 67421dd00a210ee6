"""The two ways tqhw compiles a kernel: numba, cached on disk, IEEE arithmetic (results never depend on the CPU)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

# No fastmath: every sum is made in the order in which it is written. `_nrt` switches reference counts off, which
# cost several times the arithmetic here; the price is that a kernel can neither create nor return an array.
_OPTIONS: dict[str, Any] = {"cache": True, "fastmath": False, "error_model": "numpy", "_nrt": False}


def jit(function: F) -> F:
    """Compiles a kernel that only works on the arrays it is given."""
    return cast(F, numba.njit(**_OPTIONS)(function))


def inline(function: F) -> F:
    """Compiles a part of a kernel that is always copied into its callers: a call would pass hundreds of values."""
    return cast(F, numba.njit(forceinline=True, **_OPTIONS)(function))
