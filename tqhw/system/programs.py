"""Running the real programs: an argument list, a log, a wall-clock budget, and nothing left behind however we end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqhw.errors import TqhwError
from tqhw.system.ask import end_group

GRACE_S = 20.0  # from the polite signal to the one that nobody survives
MAX_LOG_BYTES = 256 * 1024 * 1024
_POLL_S = 0.02
_LEAST_FREE_BYTES = 64 * 1024
# Switches that change what Timeloop counts or prints; runs are made with its defaults, whatever the shell says.
_KEPT_SWITCHES = ("TIMELOOP_BASE_PATH", "TIMELOOP_DIR", "TIMELOOP_PROBLEM_SHAPE_DIR", "TIMELOOP_PROBLEM_SHAPE_DIRS")


class StoppedError(TqhwError):
    """The program was stopped because everything is: not an error of its own."""


@dataclass(frozen=True)
class Ended:
    """How a program ended. ``timed_out``: our budget was over and it was asked to stop."""

    returncode: int
    seconds: float
    timed_out: bool
    log: str


class Children:
    """The programs that run now, so that all of them can be stopped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.stopping = threading.Event()

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        log: Path,
        budget_s: float | None = None,
        grace_s: float = GRACE_S,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        """Runs a program in ``folder`` with its output in ``log``; after ``budget_s`` it gets SIGINT, then SIGKILL.

        (timeloop-mapper answers SIGINT with its best mapping so far.) Raises TqhwError where it cannot be started,
        writes a log beyond all measure, has filled the disk, or :meth:`stop` was called.
        """
        start = time.perf_counter()
        timed_out = False
        try:
            with log.open("wb") as stream:
                process = self._start(arguments, folder, stream.fileno(), environment)
                guard = None
                try:
                    guard = _guard(process)
                    while (code := self._poll(process)) is None:
                        late = time.perf_counter() - start - (budget_s if budget_s is not None else float("inf"))
                        if late > 0 and not timed_out:
                            timed_out = True
                            _signal(process, signal.SIGINT)
                        if late > grace_s:
                            _signal(process, signal.SIGKILL)
                        if os.fstat(stream.fileno()).st_size > MAX_LOG_BYTES:
                            raise TqhwError(
                                f"{Path(arguments[0]).name} wrote more than {MAX_LOG_BYTES // 1024 // 1024} MiB of log",
                                place=str(log),
                                lever="it was stopped; see the end of the log, or lower search_size",
                            )
                finally:
                    self._end(process)
                    _dismiss(guard)
        except OSError as error:
            raise _cannot_run(error, arguments, folder) from None
        if self.stopping.is_set():
            raise StoppedError("stopped", place=str(folder))
        seconds = time.perf_counter() - start
        try:
            _check_space(folder, Path(arguments[0]).name)
            return Ended(code, seconds, timed_out, _tail(log))
        except OSError as error:
            message = f"the run folder was taken away while {Path(arguments[0]).name} ran: {error.strerror}"
            raise TqhwError(message, place=str(folder), lever="run it again") from None

    def stop(self) -> None:
        """Kills every program that runs, and lets none start any more."""
        self.stopping.set()
        with self._lock:
            running = list(self._running)
        for process in running:
            _signal(process, signal.SIGKILL)

    def _start(
        self, arguments: Sequence[str], folder: Path, log: int, environment: Mapping[str, str] | None
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.stopping.is_set():
                raise StoppedError("stopped", place=str(folder))
            process = subprocess.Popen(
                list(arguments),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment() if environment is None else dict(environment),
                start_new_session=True,  # Ctrl-C of the terminal comes to us, who pass on what is meant for them
            )
            self._running.add(process)
            return process

    def _poll(self, process: subprocess.Popen[bytes]) -> int | None:
        try:
            return process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            return None

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        end_group(process)
        with self._lock:
            self._running.discard(process)


def _guard(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes] | None:
    """A shell that kills the program and its group when we are gone, by SIGKILL too; None where there is no shell.

    Its input ends with us. (Linux could tell the program itself, but only of the end of the thread that started it.)
    """
    wait = ["/bin/sh", "-c", 'read _; kill -s KILL -- "-$1"', "sh", str(process.pid)]
    quiet = subprocess.DEVNULL
    try:
        return subprocess.Popen(wait, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True)
    except OSError:
        return None


def _dismiss(guard: subprocess.Popen[bytes] | None) -> None:
    """Ends the guard of a program that has ended, before its input does: the number may be another program's by now."""
    if guard is not None:
        guard.kill()
        guard.communicate()


def clean_environment() -> dict[str, str]:
    """Our environment without the switches that would make Timeloop count or print otherwise.

    Accelergy's Python is told to read and write UTF-8 in every locale: it prints more than ASCII.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TIMELOOP_") or k in _KEPT_SWITCHES}
    return {**kept, "PYTHONUTF8": "1"}


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Sends a signal to the program and all that it started; it leads a process group of its own."""
    try:
        if process.poll() is None:
            os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def _check_space(folder: Path, program: str) -> None:
    """On a full disk the programs die of something else, or write half a file and end as if all were well."""
    left = shutil.disk_usage(folder).free
    if left < _LEAST_FREE_BYTES:
        raise TqhwError(
            f"the disk is full: {program} left {left} bytes on it",
            place=str(folder),
            lever="free some space, or choose another folder",
        )


def _tail(log: Path, limit: int = 1_000_000) -> str:
    with log.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - limit))
        return stream.read().decode("utf-8", errors="replace")


def _cannot_run(error: OSError, arguments: Sequence[str], folder: Path) -> TqhwError:
    program = Path(arguments[0])
    if isinstance(error, FileNotFoundError) and program.is_file() and folder.is_dir():
        # The system says of the program what is true of the interpreter that it needs.
        message = f"cannot be run: {interpreter(program) or 'the interpreter that it needs'} is missing"
        return TqhwError(message, place=str(program), lever="install the program again")
    if isinstance(error, FileNotFoundError) and not Path(str(error.filename)).is_relative_to(folder):
        return TqhwError(f"'{program}' was not found", lever="put it on PATH; `tqhw doctor` says what is missing")
    return TqhwError(f"{program.name} cannot be run: {error.strerror}", place=str(error.filename or folder))


def interpreter(program: Path) -> str:
    """What a script's first line names, with its arguments; "" for what is no script or cannot be read."""
    try:
        with program.open("rb") as stream:
            first = stream.readline(512).decode("utf-8", errors="replace").strip()
    except OSError:
        return ""
    return first[2:].strip() if first.startswith("#!") else ""
