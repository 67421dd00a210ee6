"""A short question to a program: its answer within a limit, and nothing of it left running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence


def ask(
    arguments: Sequence[str],
    limit_s: float,
    environment: Mapping[str, str] | None = None,
    stderr: int = subprocess.STDOUT,
) -> subprocess.CompletedProcess[str]:
    """What the program prints, and its exit code.

    Raises subprocess.TimeoutExpired after ``limit_s``, and OSError where it cannot be started.
    """
    process = subprocess.Popen(
        list(arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit_s)
        return subprocess.CompletedProcess(process.args, process.returncode, output)
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Kills a program that leads a process group, and all that it started: that may outlive it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
