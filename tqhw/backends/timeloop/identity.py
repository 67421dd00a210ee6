"""What a run's outcome depends on beside its input: the programs, what they load, and what Accelergy reads."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqhw.errors import TqhwError
from tqhw.spec import yamlio
from tqhw.system.ask import ask
from tqhw.system.programs import clean_environment, interpreter

_SYSTEM = ("/lib", "/usr/lib")  # another C library does not change what is counted
_WRITTEN = ("__pycache__", "cacti_inputs_outputs")  # by Python, and by CACTI's plug-in while it runs
_CONFIG = Path("~/.config/accelergy/accelergy_config.yaml")
_LIMIT_S = 30.0
_QUESTION = """
from importlib.metadata import version
from importlib.util import find_spec
print(version("accelergy"))
print(find_spec("accelergy").origin)
"""


def program_digest(program: Path) -> str:
    """Of a program and its libraries: those of its name beside it or in ../lib, and what it loads that is no system's.

    Timeloop prints no version; newer builds have the model's code in libraries. Raises OSError.
    """
    real = program.resolve()
    named = (folder.glob(f"lib{program.name}*.so*") for folder in (real.parent, real.parent.parent / "lib"))
    files = {real, *(file.resolve() for found in named for file in found), *_loaded(real)}
    return _digest((file.name, file) for file in sorted(files))


def _loaded(program: Path) -> Iterator[Path]:
    """By the system's own loader; nothing where there is no ``ldd``, or the program is a script or static."""
    for path in re.findall(r"=> (/.+) \(0x", _ask(["ldd", str(program)])):
        if not path.startswith(_SYSTEM):
            yield Path(path).resolve()


def accelergy_identity(program: Path) -> tuple[str, str]:
    """Its version, and the digest of its package, its configuration and all plug-ins and tables that this names.

    The interpreter that the script names is asked: accelergy itself does not say. "0.4" is the version of the
    installed package; "unknown" where the program is no Python script of the usual make.
    """
    version, package = "unknown", ""
    if "python" in (python := interpreter(program)):
        version, package, *_ = [*_ask([*python.split(), "-c", _QUESTION]).splitlines(), "", ""]
    config = _CONFIG
    with suppress(RuntimeError):  # where nobody knows whose home ~ is, Accelergy has no configuration either
        config = config.expanduser()
    roots = [program, config, *_named_in(config)]
    if package:
        roots.append(Path(package).parent)
    try:
        return version or "unknown", _digest(pair for root in roots for pair in _files(root))
    except OSError as error:
        lever = "mend what accelergy_config.yaml names"
        raise TqhwError(f"cannot be read: {error.strerror}", place=str(error.filename), lever=lever) from None


def _ask(command: list[str]) -> str:
    """What a command says; nothing where it cannot be run or hangs."""
    try:
        return ask(command, _LIMIT_S, clean_environment(), subprocess.DEVNULL).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _named_in(config: Path) -> Iterator[Path]:
    """The files and folders that the configuration names; Accelergy itself says what is wrong with a bad one."""
    try:
        document = yamlio.load(config)
    except TqhwError:
        return
    for text in _texts(document):
        if text.startswith("/"):
            yield Path(text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """A file, or all files of a folder by their names in it, but for those that a run writes."""
    if root.is_file():
        yield root.name, root
        return
    for file in sorted(root.rglob("*")):
        name = file.relative_to(root)
        if not set(name.parts) & set(_WRITTEN) and file.is_file():
            yield str(name), file


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, file in files:
        content = file.read_bytes()
        digest.update(f"{name} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()[:16]
