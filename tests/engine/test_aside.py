"""Kernels that another process compiles: the answer is the same whatever becomes of that process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tqhw.engine import aside
from tqhw.engine.aside import CompilingProcess, compile_aside

ROOT = Path(__file__).parent.parent.parent

KERNEL = """
from tqhw.engine.jit import jit


@jit
def total(values, weight):
    found = 0.0
    for i in range(values.shape[0]):
        found += weight * values[i]
    return found
"""
MAIN = """
import sys
from pathlib import Path
import numpy as np
from tqhw.engine import aside

{0}
from kernel import total

total.compile_aside(np.zeros(1), 1.0)
started = total._aside is not None
value = total(np.arange(4.0), 2.0)
print(started, value, sum(total.compiled.stats.cache_hits.values()), aside.CompilingProcess.running)
"""


def run(folder: Path, before: str = "aside.processors = lambda: 2", **environment: str) -> str:
    """Whether a process was started, the value, kernels loaded from disk, and processes still there."""
    (folder / "kernel.py").write_text(KERNEL)
    (folder / "main.py").write_text(MAIN.format(before))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]), **environment}
    env = {k: v for k, v in env.items() if v or k != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "main"], env=env, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_the_first_time_is_told_of_and_no_other(tmp_path: Path) -> None:
    cache, told = str(tmp_path / "cache"), "logging.basicConfig(level='INFO', stream=sys.stdout, format='%(message)s')"
    first, *_ = run(tmp_path, f"import logging; {told}", NUMBA_CACHE_DIR=cache).splitlines()
    assert first == aside.NOTICE
    assert aside.NOTICE not in run(tmp_path, f"import logging; {told}", NUMBA_CACHE_DIR=cache)


def test_another_process_compiles_and_this_one_loads(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    assert run(tmp_path, NUMBA_CACHE_DIR=cache) == "True 12.0 1 0"
    assert run(tmp_path, NUMBA_CACHE_DIR=cache) == "False 12.0 1 0"  # it is kept: there is nothing to compile


@pytest.mark.parametrize(
    "before",
    [
        "aside.processors = lambda: 1",
        "aside.processors, aside.CompilingProcess.running = lambda: 3, 2",
        "aside.processors = lambda: 2\naside.subprocess.Popen = lambda *a, **k: Path('no such file').open()",
    ],
)
def test_without_a_processor_or_a_process_nothing_is_started(before: str, tmp_path: Path) -> None:
    assert run(tmp_path, before, NUMBA_CACHE_DIR=str(tmp_path / "cache")).startswith("False 12.0 0 ")


@pytest.mark.parametrize(
    "before",
    [
        "aside.pickle.dumps = lambda job: b'no job'",  # the process fails
        "sys.executable = '/bin/true'",
        "aside.PATIENCE_S = 0.0",  # it is late
    ],
)
def test_a_process_that_fails_is_done_without(before: str, tmp_path: Path) -> None:
    before = f"aside.processors = lambda: 2\n{before}"
    assert run(tmp_path, before, NUMBA_CACHE_DIR=str(tmp_path / "cache")) == "True 12.0 0 0"


def test_where_compiled_code_cannot_be_kept_nothing_is_started(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").write_text("a file, so no folder can be made here")
    nowhere = str(tmp_path / "__pycache__" / "x")
    output = run(tmp_path, NUMBA_CACHE_DIR="", HOME=nowhere, XDG_CACHE_HOME=nowhere, PYTHONDONTWRITEBYTECODE="1")
    assert output == "False 12.0 0 0"


def test_python_without_the_compiler_has_nothing_to_compile() -> None:
    assert compile_aside(lambda values: values, (np.zeros(1),)) is None


def test_a_process_that_nobody_waits_for_ends_with_this_one() -> None:
    started = CompilingProcess(b"")
    assert CompilingProcess.running == 1
    started.end()
    assert started.process.poll() is not None
    assert CompilingProcess.running == 0
    assert aside.processors() >= 1
