"""What a stopwatch shows: work, and none of the time in which kernels are compiled."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from numba.core.caching import NullCache

from tqhw.engine import stopwatch
from tqhw.engine.jit import jit
from tqhw.engine.stopwatch import Stopwatch, compiling


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(stopwatch, "time", found)
    return found


def test_compiling_is_not_on_the_watch(clock: Clock) -> None:
    clock.now = 5.0
    watch = Stopwatch()
    clock.now += 1.0
    with compiling():
        clock.now += 10.0
        with compiling():  # of a part, in a kernel
            clock.now += 10.0
        clock.now += 10.0
    clock.now += 2.0
    assert watch.seconds() == 3.0
    assert Stopwatch().seconds() == 0.0


def test_what_fails_to_compile_is_left_out_too(clock: Clock) -> None:
    watch = Stopwatch()
    with pytest.raises(TypeError), compiling():
        clock.now += 10.0
        raise TypeError
    clock.now += 1.0
    assert watch.seconds() == 1.0


def test_other_threads_compile_for_themselves(clock: Clock) -> None:
    watch, ready, done = Stopwatch(), threading.Event(), threading.Event()

    def work() -> None:
        with compiling():
            ready.set()
            done.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(60)
    clock.now += 4.0
    done.set()
    thread.join()
    assert watch.seconds() == 4.0


@jit
def triple(a: float) -> float:
    return a * 3.0


class Late:
    """A process that compiles aside."""

    def wait(self) -> None:
        time.sleep(0.3)


def test_the_first_call_of_a_kernel_is_timed_without_its_compilation() -> None:
    kernel: Any = triple
    kernel._aside = Late()
    begin, watch = time.perf_counter(), Stopwatch()
    kernel.compiled._cache = NullCache()
    assert triple(2.0) == 6.0
    seconds, passed = watch.seconds(), time.perf_counter() - begin
    assert len(kernel.compiled.overloads) == 1
    assert passed > 0.3
    assert seconds < 0.3 * passed
