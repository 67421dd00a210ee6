"""How tqhw compiles kernels: numba, cached on disk, IEEE arithmetic (results never depend on the CPU).

What is said about numba's private parts here is held by tests/engine/test_jit.py.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import config, types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, Flags
from numba.core.registry import CPUDispatcher
from numba.np import arrayobj

from tqhw.engine.references import register_bundles
from tqhw.engine.stopwatch import compiling

# No fastmath: every sum is made in the order in which it is written. `_nrt` (private to numba) switches reference
# counts off, which cost several times the arithmetic here; the price is that a kernel can neither create nor return
# an array. Wrappers take a large part of the time to compile and are only of use to Python and C.
_OPTIONS: dict[str, Any] = {"fastmath": False, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}


def compiled(function: Callable[..., Any], part: bool, inline: bool) -> Any:
    """What numba makes of a kernel, or of a part of one. See jit.py."""
    register_bundles()
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return function
    if part:
        dispatcher = _njit(function, forceinline=inline, no_cpython_wrapper=True, pipeline_class=_PartCompiler)
        dispatcher.__class__ = _Part
        return dispatcher
    try:
        dispatcher = _njit(function, cache=True, pipeline_class=_KernelCompiler)
    except RuntimeError as error:
        # Compiled code is kept beside the source, in the user's cache folder, or where neither can be written, nowhere.
        if "no locator available" not in str(error):
            raise
        dispatcher = _njit(function, pipeline_class=_KernelCompiler)
    dispatcher.__class__ = _Kernel
    if not isinstance(dispatcher._cache, FunctionCache):
        return dispatcher
    # Numba asks whether the function's own file is newer than the compiled code. That code also holds what the
    # function calls, so we compare all sources that it can have come from.
    file = dispatcher._cache._cache_file
    file.__class__ = _CacheFile
    file._source_stamp = _digest(_room(Path(function.__code__.co_filename).parent))
    return dispatcher


def _njit(function: Callable[..., Any], **options: Any) -> Any:
    return numba.njit(**_OPTIONS, **options)(function)


class _Kernel(CPUDispatcher):
    """Compiled, or loaded, at the first call for some types of arguments; that call's work is timed without it."""

    def compile(self, sig: Any) -> Any:
        with compiling():
            return super().compile(sig)


class _Part(CPUDispatcher):
    """Compiled once for all constants that it is called with, where numba would do so for each anew."""

    def get_call_template(self, args: Any, kws: Any) -> Any:
        return super().get_call_template(tuple(map(types.unliteral, args)), kws)


class _PartLibrary(JITCodeLibrary):
    """The code of a part, as it was written: it is optimized and compiled once, in the kernels that call it.

    Numba would do both for every function by itself, and again in all its callers.
    """

    codegen = property(lambda self: _NoEnvironment)

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        return 0  # Python does not call parts


class _NoEnvironment:
    @staticmethod
    def set_env(name: str, environment: Any) -> None:
        """Only calls back into Python read it; parts make none."""


class _KernelLibrary(JITCodeLibrary):
    """A kernel with all parts that it calls, and those that they call."""

    def add_linking_library(self, library: Any) -> None:
        super().add_linking_library(library)
        if isinstance(library, _PartLibrary):
            for inner in library._linking_libraries:
                if inner not in self._linking_libraries:
                    self.add_linking_library(inner)

    def _optimize_final_module(self) -> None:
        """Once: numba runs a first round only to bring reference counts together, and there are none."""
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)


class _PartCompiler(Compiler):
    library: type[JITCodeLibrary] = _PartLibrary

    def __init__(
        self, typingctx: Any, targetctx: Any, library: Any, args: Any, return_type: Any, flags: Any, locals_: Any
    ) -> None:
        library = self.library(targetctx.codegen(), "kernels")
        library.enable_object_caching()
        super().__init__(typingctx, targetctx, library, args, return_type, _QuickFlags(flags), locals_)

    def compile_extra(self, function: Any) -> Any:
        with _remembered_types(self.state.typingctx), _plain_indices():
            return super().compile_extra(function)


class _KernelCompiler(_PartCompiler):
    library = _KernelLibrary


class _QuickFlags(Flags):
    """Options of the compiler, which numba compares at every operator of a function: in full, 45 by 45."""

    __slots__ = ()

    def __hash__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _QuickFlags):
            return bool(self._values == other._values)
        return bool(super().__eq__(other))


@contextmanager
def _remembered_types(context: Any) -> Iterator[None]:
    """Remembers what operators and built-in functions make of types: numba searches dozens of rules each time."""
    if "resolve_function_type" in vars(context):  # a part inside of a kernel
        yield
        return
    resolve = context.resolve_function_type

    def remembered(function: Any, args: Any, kws: Any) -> Any:
        if type(function) is not types.Function or kws:
            return resolve(function, args, kws)
        known = _SIGNATURES.get((function, args))
        if known is None:
            known = _SIGNATURES[function, args] = resolve(function, args, kws)
        return known

    context.resolve_function_type = remembered
    try:
        yield
    finally:
        del context.resolve_function_type


@contextmanager
def _plain_indices() -> Iterator[None]:
    """Indices as they are: numba would ask of each whether it counts from the end, which took a fifth of the time.

    No kernel counts from the end of an array (tests/mapper/test_indices.py).
    """
    asked = arrayobj.fix_integer_index

    def plain(context: Any, builder: Any, kind: Any, index: Any, size: Any) -> Any:
        return context.cast(builder, index, kind, types.intp)

    arrayobj.fix_integer_index = plain
    try:
        yield
    finally:
        arrayobj.fix_integer_index = asked


_SIGNATURES: dict[tuple[Any, Any], Any] = {}


class _CacheFile(IndexDataCacheFile):
    """The list of what is compiled. It names classes, which other sources may have moved; then it is out of date."""

    def _load_index(self) -> Any:
        try:
            return super()._load_index()
        except (AttributeError, ImportError, TypeError, ValueError, LookupError, EOFError, pickle.UnpicklingError):
            return {}


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
