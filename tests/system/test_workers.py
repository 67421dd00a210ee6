"""Processes beside this one: answers in order, steps added up, failures as one message."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tqhw.errors import TqhwError
from tqhw.system import signals
from tqhw.system.workers import as_done, aside


def double(tell: Callable[[int], None], number: int) -> int:
    for step in (1, 2):
        tell(step)
    return 2 * number


def refuse(tell: Callable[[int], None], number: int) -> int:
    raise TqhwError(f"{number} is too much", place="here", lever="give less")


def die(tell: Callable[[int], None]) -> None:
    os._exit(3)


def sleep(tell: Callable[[int], None]) -> None:
    time.sleep(600)


def test_answers_come_in_the_order_of_the_calls() -> None:
    seen: list[int] = []

    def tick(done: int | None = None) -> None:
        seen.append(done or 0)

    with aside(double, [(3,), (1,), (2,)]) as others:
        assert others.results(tick) == [6, 2, 4]
    assert seen == sorted(seen)
    assert seen[-1] == 6


def test_what_a_call_refuses_is_refused_here() -> None:
    with pytest.raises(TqhwError, match=r"here: 7 is too much \(give less\)"), aside(refuse, [(7,)]) as others:
        others.results(lambda done=None: None)


def test_a_process_that_dies_is_one_message() -> None:
    with pytest.raises(TqhwError, match=r"a process ended with code 3 before it was done"), aside(die, [()]) as others:
        others.results(lambda done=None: None)


def test_leaving_the_block_ends_what_still_runs() -> None:
    with pytest.raises(KeyboardInterrupt), aside(sleep, [()]):
        assert len(multiprocessing.active_children()) == 1
        raise KeyboardInterrupt
    assert multiprocessing.active_children() == []


def note_and_wait(tell: Callable[[int], None], place: str) -> None:
    Path(place).write_text(str(os.getpid()))
    time.sleep(60)


KILLED = """
import sys, time
from tests.system.test_workers import note_and_wait
from tqhw.system.workers import aside, as_done
if __name__ == "__main__":
    with aside(note_and_wait, [(sys.argv[1],)]):
        time.sleep(60)
"""


def test_a_process_ends_with_the_one_that_started_it_even_by_sigkill(tmp_path: Path) -> None:
    program, place = tmp_path / "program.py", tmp_path / "pid"
    program.write_text(KILLED)
    parent = subprocess.Popen(
        [sys.executable, str(program), str(place)], env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    while not (place.exists() and place.read_text()):
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    stat = Path("/proc") / place.read_text() / "stat"
    for _ in range(100):
        if not stat.exists() or stat.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("it goes on")


def test_what_is_done_comes_as_it_ends() -> None:
    ends = [threading.Event() for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        futures = {pool.submit(end.wait): number for number, end in enumerate(ends)}
        done = as_done(futures)
        for number in (2, 0, 1):
            ends[number].set()
            assert futures[next(done)] == number
        assert list(done) == []


def test_a_signal_that_another_thread_got_ends_the_wait() -> None:
    """The system gives it to any thread that takes it, and that does not wake the one in which Python raises."""
    end = threading.Event()

    def signalled() -> None:
        time.sleep(0.3)  # the main thread waits by then
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        end.wait(20)

    start = time.monotonic()
    with pytest.raises(signals.StopError, match="SIGTERM"), signals.handled(), ThreadPoolExecutor(1) as pool:
        try:
            list(as_done([pool.submit(signalled)]))
        finally:
            waited = time.monotonic() - start
            end.set()
    assert waited < 10
