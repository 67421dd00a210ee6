"""How tqhw compiles kernels: numba, cached on disk, IEEE arithmetic (results never depend on the CPU).

Three decorators: :func:`jit` for what Python calls, :func:`part` for what only kernels call, :func:`inline` for what
is copied into its callers. What is said about numba's private parts here is held by tests/engine/test_jit.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

# No fastmath: every sum is made in the order in which it is written. `_nrt` (private to numba) switches reference
# counts off, which cost several times the arithmetic here; the price is that a kernel can neither create nor return
# an array. Wrappers take a large part of the time to compile and are only of use to Python and C.
_OPTIONS: dict[str, Any] = {"fastmath": False, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}


def jit(function: F) -> F:
    """Compiles a kernel that only works on the arrays it is given."""
    return _compile(function)


def part(function: F) -> F:
    """Compiles a part of a kernel: kernels call it, Python cannot."""
    return _compile(function, no_cpython_wrapper=True)


def inline(function: F) -> F:
    """Compiles a part of a kernel that is always copied into its callers: a call would pass hundreds of values."""
    return _compile(function, no_cpython_wrapper=True, forceinline=True)


def _compile(function: F, **options: Any) -> F:
    """Compiled code is kept beside the source, in the user's cache folder, or where neither can be written, nowhere."""
    try:
        dispatcher = numba.njit(cache=True, **_OPTIONS, **options)(function)
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        return cast(F, numba.njit(**_OPTIONS, **options)(function))
    # Numba asks whether the function's own file is newer than the compiled code. That code also holds what the
    # function calls, so we compare all sources that it can have come from.
    dispatcher._cache._cache_file._source_stamp = _digest(_room(Path(function.__code__.co_filename).parent))
    return cast(F, dispatcher)


def _room(folder: Path) -> Path:
    """The outermost package around a module below the top one: ``tqhw/mapper`` for tqhw/mapper/space/tiles.py."""
    while (folder.parent.parent / "__init__.py").exists():
        folder = folder.parent
    return folder


@cache
def _digest(room: Path) -> str:
    """A hash of the sources of a room, its subfolders included, and of the engine."""
    files = sorted({*Path(__file__).parent.rglob("*.py"), *room.rglob("*.py")})
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
