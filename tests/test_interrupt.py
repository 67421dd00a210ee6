"""Ctrl-C waits, and does not reach processes that were started meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tqhw import interrupt

SENDS_ITSELF = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('lives')"


def test_it_waits_for_the_end_of_the_block() -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt), interrupt.held():
        os.kill(os.getpid(), signal.SIGINT)
        seen.append("whole")
    assert seen == ["whole"]


def test_it_waits_too_where_another_thread_gets_the_signal() -> None:
    seen, done = [], threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt), interrupt.held():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            seen.append("whole")
    finally:
        done.set()
        other.join()
    assert seen == ["whole"]


def test_processes_started_meanwhile_do_not_see_it() -> None:
    with interrupt.held():
        found = subprocess.run([sys.executable, "-c", SENDS_ITSELF], capture_output=True, text=True, check=True)
    assert found.stdout == "lives\n"
    unheld = subprocess.run([sys.executable, "-c", SENDS_ITSELF], capture_output=True, text=True, check=False)
    assert unheld.returncode != 0
