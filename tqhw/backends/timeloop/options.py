"""How the real programs are run: the mapper's own search options, and our limits around it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqhw.errors import TqhwError, unknown

Algorithm = Literal["random", "exhaustive", "linear_pruned", "hybrid", "random_pruned"]
ALGORITHMS: tuple[Algorithm, ...] = ("random_pruned", "linear_pruned", "hybrid", "random", "exhaustive")

MAX_COUNT = 2**32 - 1  # timeloop-mapper reads its counts into 32 bits
MAX_THREADS = 256  # every thread has a mapspace and an engine of its own: so many take seconds to start


@dataclass(frozen=True)
class Options:
    """Options of timeloop-mapper, and the limits that we set.

    ``algorithm``: how the mapspace is walked. ``victory_condition``: valid mappings in a row that are no better,
    after which a thread ends; 0 for no such end. ``timeout``: invalid mappings in a row after which a thread ends.
    ``search_size``: valid mappings after which the search ends, shared out to its threads; 0 for no such end.
    ``num_threads``: of one mapper; their number decides what is found, so it is fixed. ``jobs``: programs side by
    side; None for as many as a search is allowed, and for evaluations as the processors hold. ``budget_s``:
    wall-clock seconds of one search, after which the best mapping so far is taken; None for no limit.
    ``model_budget_s``: seconds after which one evaluation, or Accelergy, is given up. ``folder``: where finished
    runs are kept for the next time; None keeps none. Raises TqhwError for values that the program cannot take.
    """

    algorithm: Algorithm = "random_pruned"
    victory_condition: int = 500
    timeout: int = 20_000
    search_size: int = 0
    num_threads: int = 1
    jobs: int | None = None
    budget_s: float | None = None
    model_budget_s: float = 300.0
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise unknown("search algorithm", self.algorithm, ALGORITHMS, "algorithm")
        for key, least, most, lever in (
            ("victory_condition", 0, MAX_COUNT, "0 searches without this end"),
            ("timeout", 1, MAX_COUNT, "the program holds no larger one"),
            ("search_size", 0, MAX_COUNT, "0 searches without this end"),
            ("num_threads", 1, MAX_THREADS, "`jobs` is how many searches run side by side"),
        ):
            value = getattr(self, key)
            if not least <= value <= most:
                raise TqhwError(f"{key} {value} must be from {least} to {most}", place=key, lever=lever)
        if self.jobs is not None and self.jobs < 1:
            raise TqhwError(f"jobs {self.jobs} must be at least 1", place="jobs")
        for key in ("budget_s", "model_budget_s"):
            value = getattr(self, key)
            if value is not None and not value > 0:
                raise TqhwError(f"a budget of {value} s leaves no time", place=key, lever="give more than 0 seconds")
        endless = self.victory_condition == 0 and self.search_size == 0 and self.budget_s is None
        if endless and self.algorithm in ("random", "random_pruned"):
            raise TqhwError(
                "a random search without victory_condition, search_size and budget never ends",
                place="algorithm",
                lever="set one of the three",
            )

    @property
    def side_by_side(self) -> int:
        """How many evaluations run at a time."""
        if self.jobs is not None:
            return self.jobs
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // self.num_threads)
