"""Kernels: functions that numba compiles when one of them is called (compiler.py), and not before.

Three decorators: :func:`jit` for what Python calls, :func:`part` for what only kernels call, :func:`inline` for what
is copied into its callers. Nothing here loads numba: that takes longer than to price one mapping by Python alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any, TypeVar, cast

from tqhw.engine.stopwatch import compiling

F = TypeVar("F", bound=Callable[..., Any])


class Kernel:
    """A function with its compiled form. Called by Python, a part is the Python function."""

    def __init__(self, function: Callable[..., Any], part: bool = False, inline: bool = False) -> None:
        self.python, self.part, self.inline = function, part, inline
        self.unused = True  # in this process
        self._aside: Any = None  # another process that compiles it
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        if self.part:
            return self.python(*arguments)
        self.unused = False
        if self._aside is not None:
            with compiling():
                self._aside.wait()
            self._aside = None
        return self.compiled(*arguments)

    def compile_aside(self, *arguments: Any) -> None:
        """Has another process compile the kernel meanwhile, for such arguments, where nobody ever has (aside.py)."""
        with compiling():
            from tqhw.engine.aside import compile_aside  # loads numba

            self._aside = compile_aside(self.compiled, arguments)

    @cached_property
    def compiled(self) -> Any:
        """What numba makes of the function; the function itself where ``NUMBA_DISABLE_JIT`` is set."""
        with compiling():
            from tqhw.engine.compiler import compiled  # loads numba

            return compiled(self.python, self.part, self.inline)

    @property
    def _numba_type_(self) -> Any:
        """How numba finds a kernel that another one calls."""
        return self.compiled._numba_type_


def jit(function: F) -> F:
    """Compiles a kernel that only works on the arrays it is given."""
    return cast(F, Kernel(function))


def part(function: F) -> F:
    """Compiles a part of a kernel, for kernels to call."""
    return cast(F, Kernel(function, part=True))


def inline(function: F) -> F:
    """Compiles a part of a kernel that is always copied into its callers."""
    return cast(F, Kernel(function, part=True, inline=True))


def python(function: F) -> F:
    """The Python function of a kernel."""
    return cast(F, cast(Kernel, function).python)
