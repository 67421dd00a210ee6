"""Processes beside this one: answers in order, steps added up, failures as one message."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable

import pytest

from tqhw.errors import TqhwError
from tqhw.pipeline.aside import aside


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
