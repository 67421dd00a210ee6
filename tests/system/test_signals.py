"""Ctrl-C waits, and does not reach processes that were started meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tqhw.system import signals

SENDS_ITSELF = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('lives')"


def test_it_waits_for_the_end_of_the_block() -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt), signals.held():
        os.kill(os.getpid(), signal.SIGINT)
        seen.append("whole")
    assert seen == ["whole"]


def test_it_waits_too_where_another_thread_gets_the_signal() -> None:
    seen, done = [], threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt), signals.held():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            seen.append("whole")
    finally:
        done.set()
        other.join()
    assert seen == ["whole"]


def test_processes_started_meanwhile_do_not_see_it() -> None:
    with signals.held():
        found = subprocess.run([sys.executable, "-c", SENDS_ITSELF], capture_output=True, text=True, check=True)
    assert found.stdout == "lives\n"
    unheld = subprocess.run([sys.executable, "-c", SENDS_ITSELF], capture_output=True, text=True, check=False)
    assert unheld.returncode != 0


def test_sigterm_waits_too_and_still_reaches_processes_started_meanwhile() -> None:
    seen = []
    with pytest.raises(signals.StopError) as caught, signals.handled(), signals.held():
        os.kill(os.getpid(), signal.SIGTERM)
        seen.append("whole")
    assert (seen, caught.value.number) == (["whole"], signal.SIGTERM)
    for number in signals.SIGNALS:  # after a stop they stay handled; here the process goes on
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    with signals.held():
        kills = SENDS_ITSELF.replace("SIGINT", "SIGTERM")
        found = subprocess.run([sys.executable, "-c", kills], capture_output=True, text=True, check=False)
    assert found.returncode == -signal.SIGTERM


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in signals.SIGNALS]
    with signals.handled():
        assert [signal.getsignal(number) for number in signals.SIGNALS] != before
    assert [signal.getsignal(number) for number in signals.SIGNALS] == before


# A command that cleans up for a while; then it says so.
CLEANS_UP = """
import sys, time
from tqhw import cli
from tqhw.cli.common import guarded

@guarded
def work() -> None:
    try:
        print("works", flush=True)
        time.sleep(60)
    finally:
        print("cleans", flush=True)
        for _ in range(int(sys.argv[1])):
            time.sleep(0.1)
        print("clean", flush=True)

cli.app.command("work")(work)
cli.main(["work"])
"""


_started: list[subprocess.Popen[str]] = []


def commanded(tenths: int, *arguments: str) -> subprocess.Popen[str]:
    command = [*arguments, sys.executable, "-c", CLEANS_UP, str(tenths)]
    _started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    return _started[-1]


@pytest.fixture(autouse=True)
def _none_is_left() -> Iterator[None]:
    """A test that fails leaves no process behind, which a later one would be blamed for."""
    yield
    while _started:
        process = _started.pop()
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_every_signal_to_end_cleans_up_and_has_its_exit_code(number: int, code: int) -> None:
    process = commanded(0)
    assert process.stdout is not None
    assert process.stdout.readline() == "works\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (code, "cleans\nclean\n")
    assert err == "tqhw: interrupted; what was finished is kept, earlier results are untouched\n"


def test_a_second_one_lets_the_cleaning_end() -> None:
    process = commanded(5)
    assert process.stdout is not None
    assert process.stdout.readline() == "works\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "cleans\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "clean\n")
    assert err.splitlines()[0] == "tqhw: cleaning up; once more ends it at once"
    assert len(err.splitlines()) == 2


def test_a_third_one_ends_it_at_once_without_a_traceback() -> None:
    process = commanded(600)
    assert process.stdout is not None
    assert process.stdout.readline() == "works\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "cleans\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "once more" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")


def test_a_terminal_that_is_closed_does_not_disturb_the_cleaning() -> None:
    with commanded(5) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "works\n"
        process.stderr.close()
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "cleans\n"
        process.send_signal(signal.SIGHUP)
        assert process.stdout.read() == "clean\n"
        assert process.wait(30) == 129


def test_without_stderr_the_exit_code_is_the_same() -> None:
    process = commanded(0, "sh", "-c", 'exec "$@" 2>&-', "sh")
    assert process.stdout is not None
    assert process.stdout.readline() == "works\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "cleans\nclean\n"
    assert process.returncode == 143


def test_nohup_is_heeded() -> None:
    process = commanded(0, "sh", "-c", 'trap "" HUP; exec "$@"', "sh")
    assert process.stdout is not None
    assert process.stdout.readline() == "works\n"
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143


def test_in_the_background_of_a_script_these_tests_hold_too() -> None:
    """There a shell has SIGINT ignored; tests/conftest.py restores it for what the tests start."""
    asked = "tests/system/test_signals.py::test_a_second_one_lets_the_cleaning_end"
    script = f"'{sys.executable}' -m pytest -q -p no:cacheprovider {asked} & wait $!"
    root = Path(__file__).parents[2]
    found = subprocess.run(["sh", "-c", script], cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert (found.returncode, "1 passed" in found.stdout) == (0, True), found.stdout + found.stderr
