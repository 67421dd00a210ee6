"""Many layers: the same answers for any number of processes, which end with the command that asked for them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.mapper.places import conv, machine
from tqhw.errors import TqhwError
from tqhw.mapper import MappingCache, NoMapping, SearchResult, Task, search, search_many
from tqhw.mapper.parallel import _pool, in_processes

SMALL = conv(C=4, M=4, R=3, P=4)
OTHER = conv(C=2, M=8, S=3, Q=4)


@pytest.fixture
def eyeriss():
    return machine("eyeriss_like")


def without_room(hardware, words):
    """The same machine with a smaller psum_spad."""
    levels = tuple(replace(v, effective_size=words) if v.name == "psum_spad" else v for v in hardware.levels)
    return replace(hardware, levels=levels)


def test_many_is_the_same_for_any_jobs(eyeriss, tmp_path):
    big = [conv(C=32, M=32, R=3, S=3, P=16, Q=16), conv(C=64, M=32, P=32, Q=32)]
    tasks = [Task(p, *eyeriss) for p in (SMALL, big[0], OTHER, big[1], SMALL)]
    seen: list[int] = []
    one = search_many(tasks, jobs=1)
    two = search_many(tasks, jobs=2, progress=lambda i, _: seen.append(i), cache=MappingCache(tmp_path / "m.sqlite"))
    assert sorted(seen) == [0, 1, 2, 3, 4]
    for a, b in zip(one, two, strict=True):
        assert a.mapping == b.mapping
        assert a.stats == b.stats
    fronts = [search_many(tasks[:3], "energy,latency", jobs=jobs) for jobs in (1, 2)]
    assert [answer.front for answer in fronts[0]] == [answer.front for answer in fronts[1]]
    assert max(len(answer.front.points) for answer in fronts[0]) > 1
    again = search_many(tasks, jobs=2, cache=MappingCache(tmp_path / "m.sqlite"))
    assert all(r.cached for r in again)


def test_many_answers_a_layer_without_mapping(eyeriss):
    hardware, ert = eyeriss
    answers = search_many([Task(SMALL, without_room(hardware, 0), ert), Task(OTHER, hardware, ert)])
    assert isinstance(answers[0], NoMapping)
    assert "psum_spad: the smallest tile of Outputs has 1 words, the capacity is 0" in answers[0].message
    assert answers[1].proved_optimal


def test_many_refuses_no_jobs(eyeriss):
    with pytest.raises(TqhwError, match="0 jobs cannot search"):
        search_many([Task(SMALL, *eyeriss)], jobs=0)


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


def half(number: int, folder: Path) -> int:
    """Half of a number, in a process; an odd one's process is killed until its file says that it was before."""
    if number % 2 and not (folder / f"{number}").exists():
        if number < 100:
            (folder / f"{number}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number // 2


def test_what_a_dying_process_took_along_is_done_alone(tmp_path: Path) -> None:
    calls = {str(n): (n, tmp_path) for n in (2, 4, 5, 6)}
    assert dict(in_processes(half, calls, 2)) == {"2": 1, "4": 2, "5": 2, "6": 3}


def test_what_dies_alone_too_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    calls = {str(n): (n, tmp_path) for n in (101, 2, 4)}
    assert dict(in_processes(half, calls, 2)) == {"101": None, "2": 1, "4": 2}


def test_a_layer_that_loses_its_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    eyeriss = machine("eyeriss_like")
    big = [conv(C=32, M=32, R=3, S=3, P=16, Q=16), conv(C=64, M=32, P=32, Q=32)]
    tasks = [Task(p, *eyeriss) for p in (conv(C=4, M=4, R=3, P=4), *big)]
    kept = search(big[0], *eyeriss)

    def dying(work: object, calls: Mapping[str, Any], jobs: int) -> Iterator[tuple[str, SearchResult | None]]:
        for key, (task, *_) in calls.items():
            yield key, kept if task.problem == big[0] else None

    monkeypatch.setattr("tqhw.mapper.parallel.in_processes", dying)
    seen: list[tuple[int, object]] = []
    with pytest.raises(TqhwError) as caught:
        search_many(tasks, jobs=2, progress=lambda i, answer: seen.append((i, answer.stats)))
    assert str(caught.value) == (
        f"search: the search of {big[1].name} on {eyeriss[0].name} lost its process twice, the second time with no "
        "other beside it, as happens where memory runs out (give this machine more memory, or the layer a budget; what "
        "was found for other layers is kept)"
    )
    assert (1, kept.stats) in seen
