"""Running programs: budgets, signals, logs. The programs are small stand-ins."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tqhw.errors import TqhwError
from tqhw.system.programs import Children, StoppedError, clean_environment


def script(folder: Path, body: str) -> Path:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: object, what: str) -> None:
    end = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, what
        time.sleep(0.01)


def test_output_and_exit_code(tmp_path: Path) -> None:
    ended = Children().run([str(script(tmp_path, "echo out; echo err >&2; exit 3"))], tmp_path, tmp_path / "log")
    assert (ended.returncode, ended.timed_out, ended.log) == (3, False, "out\nerr\n")


def test_arguments_are_not_read_by_a_shell(tmp_path: Path) -> None:
    program = script(tmp_path, 'printf "%s" "$1"')
    ended = Children().run([str(program), "a; echo $HOME > x"], tmp_path, tmp_path / "log")
    assert ended.log == "a; echo $HOME > x"
    assert not (tmp_path / "x").exists()


def test_a_late_program_is_asked_to_stop_and_may_finish(tmp_path: Path) -> None:
    program = script(tmp_path, "trap 'echo best so far; exit 0' INT; while :; do sleep 0.02; done")
    ended = Children().run([str(program)], tmp_path, tmp_path / "log", budget_s=0.3)
    assert (ended.returncode, ended.timed_out) == (0, True)
    assert "best so far" in ended.log


def test_a_program_that_will_not_stop_is_killed_with_its_children(tmp_path: Path) -> None:
    program = script(tmp_path, "trap '' INT; sh -c \"trap '' INT; sleep 60\" & echo $! > pid; wait")
    ended = Children().run([str(program)], tmp_path, tmp_path / "log", budget_s=0.2, grace_s=0.2)
    assert (ended.returncode, ended.timed_out) == (-9, True)
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not alive(pid), "the child lives on")


def test_stop_kills_what_runs_and_lets_nothing_start(tmp_path: Path) -> None:
    program = script(tmp_path, "echo $$ > pid; sleep 60")
    children = Children()
    errors: list[Exception] = []

    def run() -> None:
        try:
            children.run([str(program)], tmp_path, tmp_path / "log")
        except StoppedError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "it did not start")
    children.stop()
    thread.join(timeout=20)
    assert len(errors) == 1
    wait_for(lambda: not alive(int((tmp_path / "pid").read_text())), "it lives on")
    with pytest.raises(StoppedError):
        children.run([str(program)], tmp_path, tmp_path / "log")


def test_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match=r"'no-such-program' was not found.*tqhw doctor"):
        Children().run(["no-such-program"], tmp_path, tmp_path / "log")


def test_a_program_that_may_not_be_run(tmp_path: Path) -> None:
    program = script(tmp_path, "exit 0")
    program.chmod(0o644)
    with pytest.raises(TqhwError, match="program cannot be run: Permission denied"):
        Children().run([str(program)], tmp_path, tmp_path / "log")


def test_an_endless_log_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqhw.system.programs.MAX_LOG_BYTES", 100_000)
    with pytest.raises(TqhwError, match=r"program wrote more than 0 MiB of log.*stopped"):
        Children().run([str(script(tmp_path, "while :; do echo line of a log; done"))], tmp_path, tmp_path / "log")


def test_a_disk_that_a_program_has_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As the real Accelergy ends then: half of its files, and a log that breaks off somewhere.
    program = script(tmp_path, "echo 'INFO  Scaled aladdin_adder'; exit 0")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=4096))
    message = r"the disk is full: program left 4096 bytes on it \(free some space, or choose another folder"
    with pytest.raises(TqhwError, match=message) as caught:
        Children().run([str(program)], tmp_path, tmp_path / "log")
    assert caught.value.place == str(tmp_path)


def test_a_run_folder_that_is_taken_away_meanwhile(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    program = script(tmp_path, f"rm -r '{folder}'")
    with pytest.raises(TqhwError, match="run: the run folder was taken away while program ran: No such file"):
        Children().run([str(program)], folder, folder / "log")


def test_switches_that_change_the_counts_do_not_reach_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMELOOP_DISABLE_LINK_TRANSFERS", "1")
    monkeypatch.setenv("TIMELOOP_BASE_PATH", "/opt/timeloop")
    assert "TIMELOOP_DISABLE_LINK_TRANSFERS" not in clean_environment()
    assert clean_environment()["TIMELOOP_BASE_PATH"] == "/opt/timeloop"
    ended = Children().run([str(script(tmp_path, "env | grep -c LINK_TRANSFERS"))], tmp_path, tmp_path / "log")
    assert ended.log.strip() == "0"


def test_a_python_program_writes_utf_8_in_every_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}.items():
        monkeypatch.setenv(name, value)
    text = "import pathlib; pathlib.Path('written').write_text(chr(0xb5)); print(chr(0xb5))"
    ended = Children().run([sys.executable, "-c", text], tmp_path, tmp_path / "log")
    assert (ended.returncode, ended.log) == (0, "\u00b5\n")
    assert (tmp_path / "written").read_bytes() == b"\xc2\xb5"
