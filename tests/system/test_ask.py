from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tqhw.system.ask import ask


def test_the_answer_and_the_exit_code() -> None:
    found = ask(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], 20)
    assert (found.stdout, found.returncode) == ("out\nerr\n", 3)
    assert ask(["/bin/sh", "-c", "echo err >&2"], 20, stderr=subprocess.DEVNULL).stdout == ""


def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    for ending, limit_s in (("exit 0", 20.0), ("wait", 0.5)):
        script = f"sh -c 'sleep 1; touch late' >/dev/null 2>&1 & {ending}"
        arguments = ["/bin/sh", "-c", f"cd '{tmp_path}'; {script}"]
        if ending == "wait":
            with pytest.raises(subprocess.TimeoutExpired):
                ask(arguments, limit_s)
        else:
            ask(arguments, limit_s)
    time.sleep(1.5)
    assert not (tmp_path / "late").exists()
