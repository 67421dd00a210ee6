"""Sweeps on Dask: this machine's processes, and a scheduler with workers that somebody else started."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("distributed")

from tests.sweep.sample import content, done, given, write
from tqhw.errors import TqhwError
from tqhw.sweep import connected, local, run
from tqhw.sweep import tasks as work_of_workers
from tqhw.sweep.cluster import Cluster, _starting
from tqhw.sweep.tasks import SweepTask, TaskOutcome
from tqhw.system.progress import unwatched

ROOT = Path(__file__).parents[2]
START_S = 120.0


def _sleep(name: str, seconds: float) -> str:
    time.sleep(seconds)
    return name


def _die_unless(marker: str, name: str) -> str:
    """Takes its process with it, the first time."""
    if not Path(marker).exists():
        Path(marker).touch()
        os._exit(1)
    return name


def _always_die() -> None:
    os._exit(1)


def _refuse() -> None:
    raise TqhwError("not today", place="here")


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds of work for these tests; workers get them with their tasks."""
    monkeypatch.setattr(work_of_workers, "_WORK", {})


def _tasks(*calls: tuple[Any, ...]) -> list[SweepTask]:
    return [SweepTask("call", str(number), (function, *rest)) for number, (function, *rest) in enumerate(calls)]


@contextmanager
def _started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program of Dask, by hand."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def _scheduler(folder: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A scheduler on a free port of this machine, and the file that says which."""
    file = folder / "scheduler.json"
    options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0")
    with _started("distributed.cli.dask_scheduler", *options, "--scheduler-file", str(file)) as process:
        end = time.monotonic() + START_S
        while not file.exists() and time.monotonic() < end:
            time.sleep(0.1)
        yield file, process


@contextmanager
def _worker(file: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    quiet = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--nthreads", "1", "--no-nanny")
    place = ("--scheduler-file", str(file), "--host", "127.0.0.1", "--local-directory", str(file.parent))
    with _started("distributed.cli.dask_worker", *place, *quiet, *options) as process:
        yield process


def test_a_scheduler_with_two_workers_started_by_hand_gives_the_same_file(tmp_path: Path) -> None:
    done(given(tmp_path), tmp_path / "here")
    with _scheduler(tmp_path) as (file, _), _worker(file), _worker(file):
        sweep = given(tmp_path)
        counts = run(sweep, tmp_path / "there", lambda: connected(str(file)), watch=unwatched, keep_trainings=False)
    assert counts == {"done": 4}
    assert content(tmp_path / "there") == content(tmp_path / "here")


def test_a_sweep_that_is_killed_goes_on(tmp_path: Path) -> None:
    done(given(tmp_path), tmp_path / "here")
    out = tmp_path / "there"
    command = [
        sys.executable,
        "-m",
        "tqhw",
        "sweep",
        str(write(tmp_path)),
        "--out",
        str(out),
        "--jobs",
        "2",
        "--no-reports",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as first:
        end = time.monotonic() + START_S
        while _answers(out) < 2 and first.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
    kept = _answers(out)
    assert kept >= 2
    second = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)
    assert second.returncode == 0, second.stderr
    assert content(out) == content(tmp_path / "here")
    started = re.findall(r"started: (\d+) searches", (out / "sweep.log").read_text())
    assert [int(number) for number in started] == [12, 12 - kept][: len(started)]
    assert (out / "sweep.html").is_file()


def _answers(out: Path) -> int:
    from tqhw.sweep.store import opened

    try:
        with opened(out) as store:
            return len(store.known("searches"))
    except TqhwError:
        return 0


@pytest.fixture(scope="module")
def processes() -> Iterator[Cluster]:
    with local(2) as cluster:
        cluster.client.wait_for_workers(2, timeout=START_S)
        yield cluster


def _outcomes(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *calls: tuple[Any, ...]) -> dict[str, TaskOutcome]:
    monkeypatch.setattr("tqhw.sweep.cluster.work", _call)
    return {task.key: outcome for task, outcome in cluster.outcomes(_tasks(*calls))}


def _call(expected: object, kind: str, arguments: tuple[Any, ...]) -> TaskOutcome:
    """What workers do here: call what they are sent."""
    function, *rest = arguments
    try:
        return TaskOutcome(function(*rest))
    except TqhwError as error:
        return TaskOutcome(refused=str(error))


def test_no_port_is_open_to_anybody(processes: Cluster) -> None:
    addresses = [processes.client.scheduler.address, *processes.client.scheduler_info(n_workers=-1)["workers"]]
    assert len(addresses) == 3
    for address in addresses:
        assert address.startswith("unix://")
        path = Path(address.removeprefix("unix://"))
        assert path.is_socket()
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0
    ours = {os.getpid(), *processes.client.run(os.getpid).values()}
    assert len(ours) == 3
    assert _listening(ours) == []


def _listening(pids: set[int]) -> list[str]:
    """TCP sockets that these processes listen on, by what Linux says of them."""
    if not Path("/proc/net/tcp").exists():
        pytest.skip("needs Linux")
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(descriptor.readlink()))
            except OSError:
                continue
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]


def test_a_worker_that_dies_loses_its_task_alone(
    processes: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    marker = str(tmp_path / "marker")
    calls = ((_sleep, "a", 0.1), (_die_unless, marker, "b"), (_sleep, "c", 0.1), (_refuse,))
    found = _outcomes(processes, monkeypatch, *calls)
    assert [found[key].value for key in "012"] == ["a", "b", "c"]
    assert found["3"].refused == "here: not today"


def test_a_task_that_kills_every_process_is_refused(processes: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _outcomes(processes, monkeypatch, (_always_die,), (_sleep, "a", 0.0))
    assert found["0"].refused == "every process that tried it died, as happens where memory runs out"
    assert found["1"].value == "a"


def test_workers_of_another_version_are_refused(processes: Cluster) -> None:
    processes.versions, before = {**processes.versions, "engine": "0"}, processes.versions
    try:
        with pytest.raises(TqhwError, match=r"--jobs: a worker has tqhw .*, this sweep is of tqhw .*, engine 0"):
            list(processes.outcomes([SweepTask("search", "x", ())]))
    finally:
        processes.versions = before


def _killed(cluster: Cluster, status: str) -> None:
    """SIGKILL for the one process of a cluster, once Dask calls it so."""
    nanny = cluster.client.cluster.workers[0]
    end = time.monotonic() + START_S
    while nanny.process.status.name != status or nanny.process.pid is None:
        assert time.monotonic() < end, nanny.process.status
        time.sleep(0.02)
    os.kill(nanny.process.pid, signal.SIGKILL)


def test_processes_that_die_while_they_start_are_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than Dask waits for a process by its settings, which are 15 s where nobody changes them."""
    import dask

    with dask.config.set({"distributed.deploy.lost-worker-timeout": "0.1 s"}), local(1) as cluster:
        _killed(cluster, "running")
        _killed(cluster, "starting")
        assert _outcomes(cluster, monkeypatch, (_sleep, "a", 0.0))["0"].value == "a"


def test_processes_that_do_not_come_back_end_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqhw.sweep.cluster.RESTART_S", 0.3)
    with local(1) as cluster:
        cluster.client.cluster.workers[0].process.Worker = _killed_at_start  # or a quick machine has another in time
        _killed(cluster, "running")
        told = r"--jobs: no worker was there for 0.3 s, as happens where memory .*goes on from what is kept"
        with pytest.raises(TqhwError, match=told):
            _outcomes(cluster, monkeypatch, *((_sleep, "a", 0.0) for _ in range(8)))


def _killed_at_start(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_processes_that_cannot_be_started_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqhw.sweep.unix_sockets.LocalWorker", _killed_at_start)
    told = r"--jobs: its processes \(2\) cannot be started: .* \(fewer of them need less memory\)"
    with pytest.raises(TqhwError, match=told), local(2):
        pass
    with pytest.raises(TqhwError, match=r"too long \(give TMPDIR a shorter path\)"), _starting(1):
        raise RuntimeError("Cluster failed to start") from OSError("AF_UNIX path too long")


class _Unreadable:
    """What the others cannot read, as those of another version cannot read what they do not know."""

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (_Unreadable, "new_in_this_version")


def test_a_task_that_cannot_be_read_where_it_is_sent(processes: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    told = r"--jobs: a task cannot be read there \(RuntimeError: .*\) \(install the same tqhw on all of them"
    with pytest.raises(TqhwError, match=told):
        _outcomes(processes, monkeypatch, (len, _Unreadable()))


def test_two_sweeps_on_one_scheduler_with_the_same_searches(
    processes: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    monkeypatch.setattr("tqhw.sweep.cluster.work", _call)
    with Client(processes.client.scheduler.address, set_as_default=False) as client:
        other = Cluster(client, True, {}, "--jobs")
        with closing(other.outcomes(_tasks(*((_sleep, "theirs", 0.1) for _ in range(8))))) as theirs:
            next(theirs)
            ours = processes.outcomes(_tasks(*((_sleep, "ours", 0.1) for _ in range(8))))
            found = [next(ours)]
        found += ours
    assert [outcome.value for _, outcome in found] == ["ours"] * 8, "neither their answers, nor taken back with theirs"


def test_what_is_left_is_taken_back(processes: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqhw.sweep.cluster.work", _call)
    with closing(processes.outcomes(_tasks((_sleep, "a", 0.0), *((_sleep, "b", 0.2) for _ in range(20))))) as found:
        next(found)
    end = time.monotonic() + 20
    while processes.client.processing() and any(processes.client.processing().values()) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(processes.client.processing().values())


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("tcp://127.0.0.1:1", "--scheduler tcp://127.0.0.1:1: the scheduler cannot be reached: "),
        ("nowhere.json", "--scheduler: 'nowhere.json' is no address and no file"),
        ("tls://127.0.0.1:1", "--scheduler tls://127.0.0.1:1: the scheduler cannot be reached: "),
        ("ftp://127.0.0.1:1", "--scheduler ftp://127.0.0.1:1: the scheduler cannot be reached: "),
    ],
)
def test_a_scheduler_that_cannot_be_reached(address: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqhw.sweep.cluster.REACH_S", 1.0)
    monkeypatch.setattr("distributed.Client", None)  # one that never got through waits 30 s at its end, and complains
    with pytest.raises(TqhwError) as error, connected(address):
        pass
    assert str(error.value).startswith(told)
    assert ("distributed.comm.tls" in str(error.value)) == address.startswith("tls")


def test_a_file_that_no_scheduler_wrote(tmp_path: Path) -> None:
    (tmp_path / "scheduler.json").write_text("{}")
    with (
        pytest.raises(TqhwError, match=r"scheduler\.json: names no address"),
        connected(str(tmp_path / "scheduler.json")),
    ):
        pass


def test_a_scheduler_that_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqhw.sweep.cluster.work", _call)
    with _scheduler(tmp_path) as (file, scheduler), _worker(file), connected(str(file)) as cluster:
        found = cluster.outcomes(_tasks(("a".upper,), (_sleep, "b", 60.0)))
        assert next(found)[1].value == "A"
        scheduler.kill()
        with pytest.raises(TqhwError, match=r"the scheduler went away .*goes on from what is kept"):
            list(found)


def test_trainings_wait_for_what_they_ask_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tqhw.sweep.cluster.work", _call)
    with _scheduler(tmp_path) as (file, _), caplog.at_level(logging.WARNING, "tqhw"):
        with connected(str(file), {"GPU": 1}):
            assert "no worker is there yet; the sweep waits for one" in caplog.text
        with _worker(file):
            with connected(str(file)) as cluster:
                cluster.client.wait_for_workers(1, timeout=START_S)
            with connected(str(file), {"GPU": 1}) as cluster:
                assert "no worker offers GPU=1, which trainings wait for" in caplog.text
                with _worker(file, "--resources", "GPU=1", "--name", "with-gpu"):
                    who = SweepTask("training", "t", (_where,))
                    others = [SweepTask("search", str(n), (_where,)) for n in range(4)]
                    found = {task.key: outcome.value for task, outcome in cluster.outcomes([who, *others])}
    assert found["t"] == "with-gpu"


def _where() -> str:
    from distributed import get_worker

    return str(get_worker().name)
