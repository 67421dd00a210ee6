"""What tqhw relies on in numba: uncounted references, compiled code on disk, and what happens without a disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit
from numba.core.caching import NullCache
from numba.core.errors import NumbaError
from numba.np import arrayobj

from tqhw.engine.compiler import _QuickFlags
from tqhw.engine.jit import jit, part

ROOT = Path(__file__).parent.parent.parent

MODULE = """
from tqhw.engine.jit import inline, jit, part
from helper import offset


@jit
def add(a, b):
    return offset(a) + b


print(add(1, 2), sum(add.compiled.stats.cache_hits.values()), type(add.compiled._cache).__name__)
"""
HELPER = """
from tqhw.engine.jit import part


@part
def offset(a):
    return a + {0}
"""


def run(folder: Path, module: str = "module", **environment: str) -> str:
    """What the module prints: result, functions loaded from disk, kind of cache."""
    paths = os.pathsep.join([str(ROOT), str(folder)])
    env = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    env = {k: v for k, v in env.items() if v or k != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", module], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write(folder: Path, constant: int) -> None:
    (folder / "module.py").write_text(MODULE)
    (folder / "helper.py").write_text(HELPER.format(constant))


def test_compiled_code_is_kept_until_any_source_of_the_folder_changes(tmp_path: Path) -> None:
    write(tmp_path, 10)
    cache = str(tmp_path / "cache")
    assert run(tmp_path, NUMBA_CACHE_DIR=cache) == "13 0 FunctionCache"
    assert run(tmp_path, NUMBA_CACHE_DIR=cache) == "13 1 FunctionCache"
    (tmp_path / "helper.py").write_text(HELPER.format(20))  # module.py is untouched
    assert run(tmp_path, NUMBA_CACHE_DIR=cache) == "23 0 FunctionCache"


@pytest.mark.parametrize("content", [b"", b"no pickle", "moved"])
def test_a_list_of_compiled_code_that_cannot_be_read_is_out_of_date(content: bytes | str, tmp_path: Path) -> None:
    write(tmp_path, 10)
    cache = str(tmp_path / "cache")
    assert run(tmp_path, NUMBA_CACHE_DIR=cache) == "13 0 FunctionCache"
    (index,) = Path(cache).rglob("*.nbi")
    if isinstance(content, str):  # a class that was there when it was written
        content = index.read_bytes().replace(b"numba.core.types.scalars", b"numba.core.types.nowhere")
    index.write_bytes(content)
    assert run(tmp_path, NUMBA_CACHE_DIR=cache) == "13 0 FunctionCache"
    assert run(tmp_path, NUMBA_CACHE_DIR=cache) == "13 1 FunctionCache"


def test_a_change_in_another_folder_of_the_same_room_is_seen(tmp_path: Path) -> None:
    """Kernels of one room call each other across its subfolders."""
    package = tmp_path / "package"
    for folder in ("", "room", "room/inner", "room/other"):
        (package / folder).mkdir()
        (package / folder / "__init__.py").write_text("")
    (package / "room/inner/module.py").write_text(MODULE.replace("from helper", "from package.room.other.helper"))
    helper, cache = package / "room/other/helper.py", str(tmp_path / "cache")
    for constant, printed in ((10, "13 0"), (10, "13 1"), (20, "23 0")):
        helper.write_text(HELPER.format(constant))
        assert run(tmp_path, "package.room.inner.module", NUMBA_CACHE_DIR=cache) == f"{printed} FunctionCache"


def test_without_a_folder_to_write_to_kernels_are_compiled_each_time(tmp_path: Path) -> None:
    write(tmp_path, 10)
    (tmp_path / "__pycache__").write_text("a file, so no folder can be made here")
    nowhere = str(tmp_path / "__pycache__" / "x")
    output = run(tmp_path, NUMBA_CACHE_DIR="", HOME=nowhere, XDG_CACHE_HOME=nowhere)
    assert output == "13 0 NullCache"


def test_a_read_only_install_uses_the_users_cache_folder(tmp_path: Path) -> None:
    write(tmp_path, 10)
    (tmp_path / "__pycache__").write_text("a file, so no folder can be made here")
    home = str(tmp_path / "home")
    for hits in (0, 1):
        assert run(tmp_path, NUMBA_CACHE_DIR="", HOME=home, XDG_CACHE_HOME=home) == f"13 {hits} FunctionCache"


def test_kernels_are_python_without_the_compiler() -> None:
    """The same values, proofs and counts, by functions that a debugger can step through."""
    printed = [
        subprocess.run(
            [sys.executable, "-W", "error", "-m", "tests.engine.without_compiler"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_DISABLE_JIT": disabled},
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout
        for disabled in ("0", "1")
    ]
    assert printed[0] == printed[1]
    assert printed[0].count("True") == 3


@part
def half(a: float) -> float:
    return a * 0.5


@jit
def quarter(a: float) -> float:
    return half(half(a))


def compiled_anew(kernel: Any) -> Any:
    """A kernel that is not loaded from disk, where an earlier run may have kept it."""
    kernel.compiled._cache = NullCache()
    return kernel


def test_parts_are_compiled_in_their_kernels_only() -> None:
    """Numba would optimize and compile each by itself, and again in all its callers."""
    compiled_anew(quarter)
    assert quarter(3.0) == 0.75
    (of_part,) = half.compiled.overloads.values()
    (of_kernel,) = quarter.compiled.overloads.values()
    assert of_part.library.get_pointer_to_function(of_part.fndesc.llvm_func_name) == 0
    assert of_kernel.library.get_pointer_to_function(of_kernel.fndesc.llvm_func_name) != 0


@part
def scaled(a: float, times: int, negative: bool) -> float:
    return -a * times if negative else a * times


@jit
def sums(a: float, times: int) -> float:
    return scaled(a, times, False) + scaled(a, 2, False) + scaled(a, 3, True)


def test_a_part_is_compiled_once_whatever_constants_it_is_called_with() -> None:
    compiled_anew(sums)
    assert sums(2.0, 5) == 2.0 * (5 + 2 - 3)
    assert len(scaled.compiled.overloads) == 1


def test_the_compiler_of_others_is_left_alone() -> None:
    """What operators make of types is remembered while a kernel of tqhw compiles, and no longer."""
    assert quarter(1.0) == 0.25
    assert "resolve_function_type" not in vars(half.compiled.typingctx)
    flags = _QuickFlags()
    flags.nrt = True
    assert flags != _QuickFlags()
    assert flags == flags.copy()
    assert hash(flags) == hash(flags.copy())


def test_the_functions_of_others_count_from_the_end_of_an_array() -> None:
    """Indices are taken as they stand while a kernel of tqhw compiles, and no longer, also where that fails."""
    asked = arrayobj.fix_integer_index

    @jit
    def broken(values: Any) -> float:
        return float(values[0].nothing)

    with pytest.raises(NumbaError, match="nothing"):
        broken(np.arange(3.0))
    compiled_anew(quarter)
    assert quarter(1.0) == 0.25
    assert arrayobj.fix_integer_index is asked
    assert njit(lambda values: values[-1])(np.arange(3)) == 2


def test_a_kernel_cannot_make_an_array() -> None:
    """So `_nrt=False` is in force: a numba that ignored it would count references and cost the speed."""

    @jit
    def make(n: int) -> float:
        return float(np.zeros(n)[0])

    with pytest.raises(NumbaError, match="Only accept returning of array passed into the function"):
        make(3)


def test_arithmetic_is_ieee() -> None:
    @jit
    def divide(a: float, b: float) -> float:
        return a / b

    assert divide(1.0, 0.0) == np.inf
    assert divide(1.0, 3.0) == 1.0 / 3.0
