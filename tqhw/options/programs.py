"""How the real Timeloop is run, on PATH or in a container."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from tqhw.options.section import AboveZero, Positive, refused, section
from tqhw.system.processors import processors

Algorithm = Literal["random_pruned", "linear_pruned", "hybrid", "random", "exhaustive"]

MAX_COUNT: Final = 2**32 - 1  # timeloop-mapper reads its counts into 32 bits
MAX_THREADS: Final = 256  # every thread has a mapspace and an engine of its own: so many take seconds to start
DEFAULT_IMAGE: Final = "tqhw"


@section
class TimeloopOptions:
    """Options of timeloop-mapper, and the limits that we set."""

    algorithm: Algorithm = "random_pruned"
    """How the mapspace is walked."""
    victory_condition: Annotated[int, Field(strict=True, ge=0, le=MAX_COUNT)] = 500
    """Valid mappings in a row that are no better, after which a thread ends; 0 for no such end."""
    timeout: Annotated[int, Field(strict=True, ge=1, le=MAX_COUNT)] = 20_000
    """Invalid mappings in a row after which a thread ends."""
    search_size: Annotated[int, Field(strict=True, ge=0, le=MAX_COUNT)] = 0
    """Valid mappings after which a search ends, shared out to its threads; 0 for no such end."""
    num_threads: Annotated[int, Field(strict=True, ge=1, le=MAX_THREADS)] = 1
    """Threads of one search. Their number decides what is found, so it is fixed."""
    jobs: Positive | None = None
    """Searches side by side; null for as many as the run may use."""
    budget_s: AboveZero | None = None
    """Wall-clock seconds of one search, after which its best so far is taken; null for no limit."""
    model_budget_s: AboveZero = 300.0
    """Wall-clock seconds after which one evaluation, or Accelergy, is given up."""

    def __post_init__(self) -> None:
        endless = self.victory_condition == 0 and self.search_size == 0 and self.budget_s is None
        if endless and self.algorithm in ("random", "random_pruned"):
            raise refused(
                "a random search without victory_condition, search_size and budget never ends",
                "algorithm",
                "set one of the three",
            )

    @property
    def side_by_side(self) -> int:
        """How many evaluations run at a time."""
        if self.jobs is not None:
            return self.jobs
        return max(1, processors() // self.num_threads)


@section
class ContainerOptions:
    """The container that the real Timeloop runs in."""

    image: str = DEFAULT_IMAGE
    """Name or id of the image; `tqhw docker build` makes it."""
    engine: Literal["docker", "podman"] | None = None
    """The container engine; null for the first that works, docker before podman."""
    memory_mb: Annotated[int, Field(strict=True, ge=64)] = 4096
    """Memory of the container."""
    time_limit_s: AboveZero | None = None
    """Seconds that one container may run; null for no limit."""
