"""Kernels compiled by processes of their own, at the same time, on a machine that has never compiled them.

What the processes share is the folder on disk where compiled code is kept. Where there is none, or no processor is
left, nothing is started. A process that fails or is late is done without: the kernel is then compiled where it is
called.
"""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from numba import typeof
from numba.core.caching import FunctionCache

from tqhw.engine.references import register_bundles
from tqhw.system.processors import processors

NOTICE = "compiling the search, once per machine and version (minutes, where the machine is busy)"
PATIENCE_S = 300.0  # a process that takes longer is done without


class CompilingProcess:
    """A process that compiles one kernel."""

    running = 0  # of this process's

    def __init__(self, job: bytes) -> None:
        CompilingProcess.running += 1
        paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        atexit.register(self.end)
        assert self.process.stdin is not None
        with suppress(OSError), self.process.stdin as pipe:  # it may have ended already
            pipe.write(job)

    def wait(self) -> None:
        """Until it has ended, or patience has."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_S)
        self.end()

    def end(self) -> None:
        """Leaves no process behind."""
        CompilingProcess.running -= 1
        self.process.kill()
        self.process.wait()
        atexit.unregister(self.end)


def compile_aside(dispatcher: Any, arguments: Sequence[Any]) -> CompilingProcess | None:
    """Starts a process that compiles a kernel for arguments of these types; None where there is no need or no use."""
    if not hasattr(dispatcher, "overloads"):  # plain Python, where there is no compiler
        return None
    register_bundles()
    signature = tuple(map(typeof, arguments))
    shared = isinstance(dispatcher._cache, FunctionCache)
    if dispatcher.overloads or (shared and _is_kept(dispatcher, signature)):
        return None
    logging.getLogger(__name__).info(NOTICE)
    if processors() < 2 + CompilingProcess.running or not shared:
        return None
    function = dispatcher.py_func
    try:
        return CompilingProcess(pickle.dumps((function.__module__, function.__name__, signature)))
    except OSError:  # no more processes
        return None


def _is_kept(dispatcher: Any, signature: tuple[Any, ...]) -> bool:
    """Whether the compiled code is on disk. Loads only the list of what is there."""
    key = dispatcher._cache._index_key(signature, dispatcher.targetctx.codegen())
    return key in dispatcher._cache._cache_file._load_index()


def main() -> None:
    """Compiles what standard input asks for."""
    module, name, signature = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own process wrote it
    getattr(import_module(module), name).compiled.compile(signature)


if __name__ == "__main__":
    main()
