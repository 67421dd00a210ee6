"""Dask: a cluster of this machine's processes, or any that is there already."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from tqhw.errors import TqhwError
from tqhw.sweep.tasks import TRAINING, SweepTask, TaskOutcome, versions, work
from tqhw.system import signals
from tqhw.system.files import scratch
from tqhw.system.json_files import read_json

WINDOW = 2_000
"""So many tasks are with the scheduler at a time: enough to keep a thousand workers busy, and no more than that."""
REACH_S = 15.0
RESTART_S = 300.0
"""So long may it take, under load, until a process of this machine that died is there again."""
_ENCRYPTED = ("tls://", "wss://")
_MEMORY = "as happens where memory runs out"
_DIED = f"every process that tried it died, {_MEMORY}"
_ENDS = "it can be started again and goes on from what is kept"


class Cluster:
    """A Dask client. ``local``: its workers are processes of this machine, made for it, and end with it."""

    def __init__(self, client: Any, local: bool, training: Mapping[str, float], place: str) -> None:
        self.client, self.local, self.training, self.place = client, local, dict(training), place
        self.versions = versions()

    def outcomes(self, tasks: Iterable[SweepTask]) -> Iterator[tuple[SweepTask, TaskOutcome]]:
        """Every task with what came of it, as they come.

        A worker that dies may have been killed by any of the tasks that it had. Those that Dask gives up are tried once
        more, each alone; one whose workers die even then is refused, and no other one with it. Raises TqhwError where
        the scheduler is gone, where it gives up waiting for workers, and where a worker is of another version.
        """
        given_up: list[SweepTask] = []
        yield from self._together(tasks, given_up)
        for task in given_up:
            lost: list[SweepTask] = []
            yield from self._together([task], lost)
            if lost:
                yield task, TaskOutcome(refused=_DIED)

    def _together(
        self, tasks: Iterable[SweepTask], given_up: list[SweepTask]
    ) -> Iterator[tuple[SweepTask, TaskOutcome]]:
        from distributed import KilledWorker, as_completed

        waiting, names = iter(tasks), uuid4().hex
        running: dict[str, SweepTask] = {}
        coming = as_completed([], loop=self.client.loop)
        try:
            self._submit(waiting, running, coming, names)
            for future in coming:
                task = running.pop(future.key)
                try:
                    outcome = self._outcome(future)
                except KilledWorker:
                    given_up.append(task)
                    self._submit(waiting, running, coming, names)
                    continue
                future.release()
                if outcome.misfit is not None:
                    raise TqhwError(outcome.misfit, place=self.place, lever="install the same on all of them")
                self._submit(waiting, running, coming, names)
                yield task, outcome
        finally:
            if running and self.client.status == "running":
                self.client.cancel([*running], force=True)

    def _submit(self, waiting: Iterator[SweepTask], running: dict[str, SweepTask], coming: Any, names: str) -> None:
        """Sends more tasks, many at once: Dask takes as long for one message as for a thousand tasks in it.

        Tasks of one name are one task to a scheduler, whoever sent them. Ours have ``names`` of their own: another
        sweep with the same search may have other settings, and may take it back. So has a second try.
        """
        if len(running) > WINDOW // 2:
            return
        batch = list(islice(waiting, WINDOW - len(running)))
        trainings = [task for task in batch if task.kind == TRAINING]
        others = [task for task in batch if task.kind != TRAINING]
        for tasks, resources in ((trainings, self.training or None), (others, None)):
            if not tasks:
                continue
            futures = self.client.map(
                work,
                [self.versions] * len(tasks),
                [task.kind for task in tasks],
                [task.arguments for task in tasks],
                key=[f"tqhw-{task.kind}-{task.key}-{names}" for task in tasks],
                pure=False,
                resources=resources,
            )
            running.update({future.key: task for future, task in zip(futures, tasks, strict=True)})
            coming.update(futures)

    def _outcome(self, future: Any) -> TaskOutcome:
        from concurrent.futures import CancelledError as Cancelled

        from distributed import KilledWorker
        from distributed.client import FutureCancelledError
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import NoValidWorkerError, NoWorkerError

        try:
            found: TaskOutcome = future.result()
        except (FutureCancelledError, Cancelled, CommClosedError, OSError, TimeoutError) as error:
            told = f"the scheduler went away ({type(error).__name__})"
            raise TqhwError(told, place=self.place, lever=_ENDS) from None
        except ModuleNotFoundError as error:
            told = f"a worker has no module {error.name}"
            raise TqhwError(told, place=self.place, lever="install it there") from None
        except (NoWorkerError, NoValidWorkerError) as error:
            told = f"no worker was there for {error.timeout:g} s, {_MEMORY}"
            raise TqhwError(told, place=self.place, lever=_ENDS) from None
        except KilledWorker:
            raise
        except Exception as error:  # noqa: BLE001 - `work` raises nothing: scheduler or worker cannot read what they are sent
            told = f"a task cannot be read there ({type(error).__name__}: {' '.join(str(error).split())})"
            raise TqhwError(told, place=self.place, lever="install the same tqhw on all of them") from None
        return found


@contextmanager
def local(jobs: int, training: Mapping[str, float] | None = None) -> Iterator[Cluster]:
    """``jobs`` processes of this machine. They talk over files in a folder of ours: no port is open to anybody.

    One that dies is started again. Raises TqhwError where they cannot be started.
    """
    _imported()
    import dask
    from distributed import Client, Nanny
    from distributed.deploy.spec import SpecCluster

    from tqhw.sweep import unix_sockets

    with ExitStack() as stack:
        stack.enter_context(_quiet())
        # By default Dask ends a process for good that takes 15 s to start again, and waits without an end for others.
        patience = ("distributed.deploy.lost-worker-timeout", "distributed.scheduler.no-workers-timeout")
        stack.enter_context(dask.config.set(dict.fromkeys(patience, f"{RESTART_S} s")))
        folder = stack.enter_context(scratch("tqhw-dask-"))
        where: dict[str, Any] = {"protocol": unix_sockets.PREFIX, "host": f"{folder}/", "dashboard": False}
        options = {
            **where,
            "nthreads": 1,
            "worker_class": unix_sockets.LocalWorker,
            "preload": [unix_sockets.__name__],
            "local_directory": str(folder),
            "memory_limit": 0,
            "resources": dict(training or {}),
            "silence_logs": logging.CRITICAL,
        }
        with _starting(jobs), signals.held():  # a terminal's Ctrl-C is for this process, which ends the others
            cluster = stack.enter_context(
                SpecCluster(
                    scheduler={"cls": unix_sockets.LocalScheduler, "options": {**where, "allowed_failures": 1}},
                    workers={number: {"cls": Nanny, "options": options} for number in range(jobs)},
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(Client(cluster))
        yield Cluster(client, True, training or {}, "--jobs")


@contextmanager
def _starting(jobs: int) -> Iterator[None]:
    """Says in one line what Dask raises where processes do not start."""
    try:
        yield
    except (RuntimeError, OSError, TimeoutError) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        told = " ".join(str(cause).split()) or type(cause).__name__
        lever = "give TMPDIR a shorter path" if "path too long" in told else "fewer of them need less memory"
        raise TqhwError(f"its processes ({jobs}) cannot be started: {told}", place="--jobs", lever=lever) from None


@contextmanager
def connected(scheduler: str, training: Mapping[str, float] | None = None) -> Iterator[Cluster]:
    """A cluster that is there: ``tcp://host:port``, or the file that its scheduler wrote.

    Raises TqhwError where it cannot be reached, or has other versions of Dask.
    """
    _imported()
    from distributed import Client

    is_file = "://" not in scheduler
    if is_file and not Path(scheduler).is_file():
        raise TqhwError(
            f"'{scheduler}' is no address and no file",
            place="--scheduler",
            lever="such as tcp://10.0.0.1:8786, or the file that dask scheduler --scheduler-file wrote",
        )
    place = f"--scheduler {scheduler}"
    address = _address(scheduler) if is_file else scheduler
    with _quiet():
        try:
            _reach(address)
            client = Client(address, timeout=REACH_S, set_as_default=False)
        except (OSError, ValueError, TypeError, KeyError, TimeoutError) as error:
            told = " ".join(str(error).split()) or type(error).__name__
            lever = "is it running?"
            if address.startswith(_ENCRYPTED):
                lever += " are Dask's settings distributed.comm.tls here what they are there?"
            raise TqhwError(f"the scheduler cannot be reached: {told}", place=place, lever=lever) from None
        try:
            cluster = Cluster(client, False, training or {}, place)
            _check_workers(cluster)
            yield cluster
        finally:
            client.close(timeout=2)


def _reach(address: str) -> None:
    """Raises what Dask does where nobody answers: a client that never got through would wait at its end once more."""
    from distributed import Security
    from distributed.comm import connect
    from distributed.utils import LoopRunner

    async def tried() -> None:
        comm = await connect(address, timeout=REACH_S, **Security().get_connection_args("client"))
        await comm.close()

    runner = LoopRunner(asynchronous=False)
    runner.start()
    try:
        runner.run_sync(tried)
    finally:
        runner.stop()


def _address(file: str) -> str:
    """The address in a file that a scheduler wrote."""
    found = read_json(file)
    address = found.get("address") if isinstance(found, dict) else None
    if not isinstance(address, str):
        raise TqhwError("names no address", place=file, lever="give the file of dask scheduler --scheduler-file")
    return address


def _check_workers(cluster: Cluster) -> None:
    """Says what would make tasks wait: no workers yet, or none that has what trainings ask for."""
    workers = cluster.client.scheduler_info(n_workers=-1)["workers"].values()
    log = logging.getLogger("tqhw")
    if not workers:
        log.warning(f"{cluster.place}: no worker is there yet; the sweep waits for one")
    for name, amount in cluster.training.items():
        if workers and all(worker["resources"].get(name, 0) < amount for worker in workers):
            log.warning(f"{cluster.place}: no worker offers {name}={amount:g}, which trainings wait for")


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's own log has nothing that the sweep does not say in its own words."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


def _imported() -> None:
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise TqhwError("Dask is not installed", place="tqhw sweep", lever="pip install 'tqhw[sweep]'") from None
