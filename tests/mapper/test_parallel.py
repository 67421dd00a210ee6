"""Searches in processes end with the command that asked for them."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import BrokenExecutor

import pytest

from tqhw.mapper.parallel import _pool


def test_an_interrupt_ends_a_search_in_its_middle() -> None:
    with pytest.raises(KeyboardInterrupt), _pool(1) as pool:
        running, waiting = (pool.submit(time.sleep, 60) for _ in range(2))
        while not running.running():
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert waiting.cancelled() or isinstance(waiting.exception(), BrokenExecutor)
    assert isinstance(running.exception(), BrokenExecutor)
    deadline = time.monotonic() + 10  # the executor's own thread takes note of an end a moment after it
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not multiprocessing.active_children()
