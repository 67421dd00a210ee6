"""How fast a sweep goes, and how long it will take: for the screen, and in a log beside the results."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqhw.errors import TqhwError

EVERY_S = 10.0  # between two lines of the log
RECENT = 200  # the rate is that of so many last tasks


class Rate:
    """Counts what is done; the log gets a line now and then, the first and the last in any case."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.total = self.points = self.tasks_done = self.points_done = 0
        self._times: deque[float] = deque(maxlen=RECENT)
        self._told = 0.0

    @contextmanager
    def of(self, tasks: int, points: int) -> Iterator[Rate]:
        """Starts to count up to so many searches and trainings, and points."""
        self.total, self.points, self.tasks_done, self.points_done = tasks, points, 0, 0
        self._times.append(time.monotonic())
        self._write(f"started: {tasks} searches and trainings to do for {points} points")
        try:
            yield self
        except BaseException as error:
            self._write(f"ended by {type(error).__name__}: {self.text()}")
            raise
        self._write(f"done: {self.text()}")

    def done(self, points: int) -> str:
        """One more task is done, and so many points with it; says how it goes."""
        self.tasks_done += 1
        self.points_done += points
        self._times.append(time.monotonic())
        if self._times[-1] - self._told >= EVERY_S:
            self._told = self._times[-1]
            self._write(self.text())
        return f"{self.points_done} of {self.points} points, {self._rate():.3g}/s"

    def text(self) -> str:
        """Counts, rate and time left."""
        rate = self._rate()
        left = f", {(self.total - self.tasks_done) / rate:.0f} s left" if rate else ""
        counts = f"{self.tasks_done} of {self.total} searches and trainings, {self.points_done} of {self.points} points"
        return f"{counts}, {rate:.3g}/s{left}"

    def _rate(self) -> float:
        spent = self._times[-1] - self._times[0] if self._times else 0.0
        return (len(self._times) - 1) / spent if spent else 0.0

    def _write(self, text: str) -> None:
        try:
            with self.log.open("a", encoding="utf-8") as stream:
                stream.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n")
        except OSError as error:
            raise TqhwError(f"cannot be written: {error.strerror}", place=str(self.log)) from None
