"""The one way tqhw compiles a kernel: numba, cached on disk, IEEE arithmetic (results never depend on the CPU)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compiles a kernel that only works on the arrays it is given.

    No fastmath: every sum is made in the order in which it is written. No reference counts (they cost ten times
    the arithmetic here), so a kernel can neither create nor return an array.
    """
    return cast(F, numba.njit(cache=True, fastmath=False, error_model="numpy", _nrt=False)(function))
