"""What workers do: one table, one search or one training, from its inputs alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tqhw import engine, mapper
from tqhw.backends import Design, Found, Goal, Job, Search, Settings, Target, backend
from tqhw.backends.costing import costed
from tqhw.errors import TqhwError
from tqhw.options import EnergyOptions
from tqhw.spec import Invalid
from tqhw.version import __version__

if TYPE_CHECKING:
    from tqhw.pipeline.training import Measured, TrainingTask  # load PyTorch

TABLE, SEARCH, TRAINING = "table", "search", "training"


@dataclass(frozen=True)
class SweepTask:
    """A piece of work. ``key``: equal where the answer is; ``arguments``: of the function of its ``kind``.

    ``size``: the larger ones are begun first.
    """

    kind: str
    key: str
    arguments: tuple[Any, ...]
    size: float = 0.0


@dataclass(frozen=True)
class TaskOutcome:
    """What came of a task: a ``value``, or why there is none (``refused``).

    ``misfit``: the worker is of another version, and did nothing. ``seconds``: how long it worked.
    """

    value: Any = None
    refused: str | None = None
    misfit: str | None = None
    seconds: float = 0.0


def versions() -> dict[str, str]:
    """What two machines must have in common for their answers to be one sweep's."""
    return {"tqhw": __version__, "engine": engine.VERSION, "search": mapper.VERSION}


def work(expected: Mapping[str, str], kind: str, arguments: tuple[Any, ...]) -> TaskOutcome:
    """Runs on a worker. Whatever goes wrong is an outcome."""
    if (found := versions()) != dict(expected):
        return TaskOutcome(misfit=f"a worker has {_told(found)}, this sweep is of {_told(expected)}")
    started = time.perf_counter()
    try:
        value, refused = _WORK[kind](*arguments), None
    except TqhwError as error:
        value, refused = None, str(error)
    except Exception as error:  # noqa: BLE001 - a fault that one point meets is not the end of the others
        value, refused = None, f"{kind} ended by {type(error).__name__}: {error}"
    return TaskOutcome(value, refused, seconds=time.perf_counter() - started)


def _told(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _table(name: str, settings: Settings, design: Design, options: EnergyOptions | None) -> Target:
    return costed(backend(name, settings), [design], options)[0]


def _search(name: str, settings: Settings, job: Job, objective: Goal, cache: bool) -> Found | Invalid:
    (found,) = backend(name, settings).search([job], Search(objective, cache=cache))
    return found


def _training(task: TrainingTask) -> Measured:
    return task.run(lambda steps: None)


_WORK: dict[str, Callable[..., Any]] = {TABLE: _table, SEARCH: _search, TRAINING: _training}
