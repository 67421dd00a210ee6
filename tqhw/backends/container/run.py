"""One container: its arguments, its time limit, its end."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tqhw.backends.container.engines import Engine
from tqhw.backends.container.exchange import PROGRESS
from tqhw.errors import TqhwError
from tqhw.system.programs import Ended

MOUNT = "/run/tqhw"
PYTHON = "/opt/tqhw/bin/python"
LOG = "container.log"
CANNOT_START = 125  # the exit code of docker and podman where they start no container
_POLL_S = 0.05
_KILL_AGAIN_S = 0.5
_PATIENCE_S = 20.0  # a client that has not ended by then is killed itself
_SCRATCH_MB = 1024
_PIDS = 512


def container_name(folder: Path) -> str:
    """One folder, one container: what a run left that was killed is found by its name."""
    return f"tqhw-{hashlib.sha256(bytes(folder)).hexdigest()[:12]}"


def run_arguments(engine: Engine, image: str, folder: Path, name: str, memory_mb: int) -> list[str]:
    """The argument list of a container that sees ``folder`` and nothing else of this machine.

    Raises TqhwError for a folder whose path the engine could not read.
    """
    if ":" in str(folder):
        raise TqhwError("a ':' in its path cannot be mounted", place=str(folder), lever="choose another folder")
    # Without a daemon, and not as root, podman's container has users of its own: keep-id makes ours the same.
    namespace = ["--userns", "keep-id"] if engine.rootless_podman else []
    return [
        str(engine.path),
        "run",
        "--rm",
        *("--name", name),
        *("--stop-timeout", "0"),  # podman's `rm --force` would wait ten seconds before it kills
        *("--pull", "never"),
        *("--network", "none"),
        "--read-only",
        *("--tmpfs", f"/tmp:rw,exec,mode=1777,size={_SCRATCH_MB}m"),
        *("--volume", f"{folder}:{MOUNT}:rw,Z"),
        *("--workdir", MOUNT),
        *("--user", f"{os.getuid()}:{os.getgid()}"),
        *namespace,
        *("--cap-drop", "ALL"),
        *("--security-opt", "no-new-privileges"),
        *("--memory", f"{memory_mb}m"),
        *("--pids-limit", str(_PIDS)),
        *("--env", "HOME=/tmp"),
        # Compiled kernels stay with the run folder: the scratch folder is empty in every container.
        *("--env", f"NUMBA_CACHE_DIR={MOUNT}/numba"),
        *("--entrypoint", PYTHON),
        image,
        *("-m", "tqhw.backends.container.worker", MOUNT),
    ]


def run_container(
    engine: Engine,
    image: str,
    folder: Path,
    name: str,
    memory_mb: int,
    time_limit_s: float | None,
    done: Callable[[int], None] | None = None,
) -> Ended:
    """Runs a container to its end, its output in ``folder``/container.log.

    ``done`` is called after every task that the worker finishes, with how many were finished before it. After
    ``time_limit_s``, and on Ctrl-C, the container itself is killed: the engine's client alone would leave it running.
    """
    arguments = run_arguments(engine, image, folder, name, memory_mb)
    start = time.perf_counter()
    reported, timed_out = 0, False
    log = folder / LOG
    try:
        with log.open("wb") as stream:
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                while (code := _poll(process, start, time_limit_s)) is None:
                    reported = _report(folder, reported, done)
                    if time_limit_s is not None and time.perf_counter() - start >= time_limit_s:
                        timed_out = True
                        break
            finally:
                if process.poll() is None:
                    _end(engine, name, process)
    except OSError as error:
        raise TqhwError(f"{engine.name} cannot be run: {error.strerror}", place=str(error.filename)) from None
    _report(folder, reported, done)
    seconds = time.perf_counter() - start
    returncode = process.returncode if code is None else code
    return Ended(returncode, seconds, timed_out, log.read_bytes()[-100_000:].decode("utf-8", errors="replace"))


def kill(engine: Engine, name: str) -> None:
    """Kills a container and takes it away; one that is gone already is fine."""
    with contextlib.suppress(TqhwError):
        engine.ask("kill", name)
    with contextlib.suppress(TqhwError):
        engine.ask("rm", "--force", name)


def _poll(process: subprocess.Popen[bytes], start: float, time_limit_s: float | None) -> int | None:
    left = _POLL_S if time_limit_s is None else max(0.0, start + time_limit_s - time.perf_counter())
    try:
        return process.wait(min(_POLL_S, left))
    except subprocess.TimeoutExpired:
        return None


def _end(engine: Engine, name: str, process: subprocess.Popen[bytes]) -> None:
    """Kills the container, again and again until its client has ended: while it is being made there is none to kill."""
    start = time.perf_counter()
    while time.perf_counter() - start < _PATIENCE_S:
        kill(engine, name)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_KILL_AGAIN_S)
            return
    process.kill()
    process.wait()
    kill(engine, name)


def _report(folder: Path, reported: int, done: Callable[[int], None] | None) -> int:
    try:
        finished = (folder / PROGRESS).stat().st_size
    except OSError:
        return reported
    for number in range(reported, finished):
        if done is not None:
            done(number)
    return max(reported, finished)
