"""How a stage says how far it is, without knowing who watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

EVERY_S = 30.0  # between two lines of a stage in a log


class Tick(Protocol):
    """One more unit of the stage is done, or ``done`` of them in all; ``note`` says how it goes."""

    def __call__(self, done: int | None = None, note: str = "") -> None: ...


class Watcher(Protocol):
    """Opens a stage of ``total`` units."""

    def __call__(self, stage: str, total: int) -> AbstractContextManager[Tick]: ...


@contextmanager
def unwatched(stage: str, total: int) -> Iterator[Tick]:
    """Nobody watches."""
    yield lambda done=None, note="": None


def saying(watch: Watcher, say: Callable[[], None]) -> Watcher:
    """``watch``, but that ``say`` is called once, when the first unit of work is done: what is refused has none."""
    left = [say]

    @contextmanager
    def told(stage: str, total: int) -> Iterator[Tick]:
        with watch(stage, total) as tick:

            def first(done: int | None = None, note: str = "") -> None:
                if left:
                    left.pop()()
                tick(done, note)

            yield first

    return told


def bars(console: Console) -> Watcher:
    """A progress bar per stage, with the time it took and the time left; where nobody watches, a line per stage, and
    one now and then in a long one."""
    return _bar(console) if console.is_terminal else _line(console)


def _bar(console: Console) -> Watcher:
    @contextmanager
    def watch(stage: str, total: int) -> Iterator[Tick]:
        columns = (
            TextColumn("{task.description:<28}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(stage, total=total, note="")

            def tick(done: int | None = None, note: str = "") -> None:
                if done is None:
                    progress.advance(task)
                progress.update(task, completed=done, note=note)

            yield tick
            progress.update(task, completed=total)  # what was kept from an earlier run is done too

    return watch


def _line(console: Console) -> Watcher:
    @contextmanager
    def watch(stage: str, total: int) -> Iterator[Tick]:
        started = told = time.perf_counter()
        at = 0

        def tick(done: int | None = None, note: str = "") -> None:
            nonlocal at, told
            at = at + 1 if done is None else done
            now = time.perf_counter()
            if now - told >= EVERY_S:
                told = now
                console.print(f"{stage}: {at} of {total} after {now - started:.0f} s {note}".rstrip(), highlight=False)

        yield tick
        console.print(f"{stage}: {time.perf_counter() - started:.1f} s", highlight=False)

    return watch
