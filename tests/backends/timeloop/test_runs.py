"""Run folders: what is kept, what is swept, and that a run killed at any moment goes on from what is finished."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.backends.cases import DATA, MAPPER_PREFIX, REFERENCE, StandIns, layer, recorded_target
from tests.system.test_programs import alive, wait_for
from tqhw.backends.protocol import Found, Job, Search
from tqhw.backends.timeloop import Timeloop
from tqhw.backends.timeloop.runs import DONE, RunFolders
from tqhw.errors import TqhwError
from tqhw.options import TimeloopOptions
from tqhw.spec import dump_problem

ROOT = Path(__file__).resolve().parents[3]
# Three layers, one after the other; the stand-in of the second one hangs.
SEARCH = """
import sys
from pathlib import Path
from tests.backends.timeloop.test_runs import search
search(Path(sys.argv[1]))
"""


def search(kept: Path) -> list[Found]:
    target = recorded_target("mapper_eyeriss_like", MAPPER_PREFIX, "eyeriss_like")
    engine = Timeloop(TimeloopOptions(jobs=1, victory_condition=7), folder=kept, use_front_end=False)
    found = [engine.search([Job(layer(), target)], Search(objective))[0] for objective in ("energy", "latency", "edp")]
    return [one for one in found if isinstance(one, Found)]


def test_a_run_has_its_place_when_it_is_done(tmp_path: Path) -> None:
    runs = RunFolders(tmp_path)
    with runs.open("key", "model") as folder:
        assert list(folder.parent.glob("key.*")) == [folder]
        (folder / "result").write_text("x")
        assert runs.finished("key") is None
        runs.finish(folder, 1.5)
    assert runs.finished("key") == (tmp_path / "key", 1.5)
    assert sorted(path.name for path in (tmp_path / "key").iterdir()) == [DONE, "result"]
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_failed_run_is_kept_until_it_is_started_again(tmp_path: Path) -> None:
    runs = RunFolders(tmp_path)
    with pytest.raises(TqhwError, match="it failed"), runs.open("key", "model") as failed:
        raise TqhwError("it failed")
    assert failed.is_dir()
    with runs.open("key", "model") as folder:
        assert folder != failed
        assert not failed.exists()


def test_many_runs_with_one_key_leave_each_other_alone(tmp_path: Path) -> None:
    """Also in the moment in which their folders are made."""

    def run(_: int) -> None:
        runs = RunFolders(tmp_path)
        with runs.open("key", "model") as folder:
            (folder / "result").write_text("x")
            runs.finish(folder, 1.5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(400)))
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key" / "result").read_text() == "x"


def test_two_runs_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    first, second = RunFolders(tmp_path), RunFolders(tmp_path)
    with first.open("key", "model") as mine, second.open("key", "model") as other:
        assert mine != other
        (mine / "result").write_text("first")
        second.finish(other, 1.0)
        assert (mine / "result").read_text() == "first"
        first.finish(mine, 2.0)
    assert second.finished("key") == (tmp_path / "key", 2.0)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_run_that_was_killed_goes_on_from_what_is_finished(stand_ins: StandIns, tmp_path: Path) -> None:
    kept, log = tmp_path / "kept", tmp_path / "log"
    body = f"""
if [ ! -e '{tmp_path}/go' ] && grep -q 'metrics: .delay' input.yaml; then echo $$ > '{tmp_path}/pid'; exec sleep 60; fi
grep -o 'optimization_metrics.*' input.yaml >> '{log}'
cp '{DATA}'/mapper_eyeriss_like/timeloop-mapper.* .
echo '[0] INVALID 41 5 36'
"""
    stand_ins.put(MAPPER_PREFIX, body)
    process = subprocess.Popen([sys.executable, "-c", SEARCH, str(kept)], cwd=ROOT)
    end = time.monotonic() + 60
    while not (tmp_path / "pid").is_file() and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()
    process.wait()
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not alive(pid), "the program lives on")
    # What it left may not get in the way of the next run.
    assert len(list(kept.glob(f"*/{DONE}"))) == 1
    assert len(list(kept.iterdir())) == 2
    (tmp_path / "go").touch()
    assert len(search(kept)) == 3
    assert [line.split("[")[1].strip(" ]") for line in log.read_text().splitlines()] == ["energy", "delay", "edp"]
    assert len(list(kept.glob(f"*/{DONE}"))) == len(list(kept.iterdir())) == 3


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_no_program_outlives_the_command(stand_ins: StandIns, tmp_path: Path, number: int, code: int) -> None:
    stand_ins.put(MAPPER_PREFIX, f"sleep 60 & echo $! > '{tmp_path}/pid'; wait")
    problem, tables = tmp_path / "layer.yaml", DATA / "mapper_eyeriss_like"
    problem.write_text(dump_problem(layer()), encoding="utf-8")
    command = [sys.executable, "-m", "tqhw.cli", "map", "--backend", "timeloop", "--problem", str(problem)]
    command += ["--arch", str(REFERENCE / "arch" / "eyeriss_like.yaml")]
    command += ["--ert", str(tables / f"{MAPPER_PREFIX}.ERT.yaml"), "--art", str(tables / f"{MAPPER_PREFIX}.ART.yaml")]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not ((tmp_path / "pid").is_file() and (tmp_path / "pid").read_text().strip()) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.count("\n")) == (code, 0 if number == signal.SIGKILL else 1)
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not alive(pid), "the program lives on")
