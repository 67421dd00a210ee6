"""Which programs there are, and whether they are of the make that we read."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tqhw.backends.ask import ask
from tqhw.backends.timeloop.process import clean_environment, interpreter
from tqhw.errors import TqhwError

PROGRAMS = ("timeloop-model", "timeloop-mapper", "accelergy")
SUPPORTED = "Timeloop with v0.4 inputs (NVlabs/timeloop, tested at 4cf6d4c) and Accelergy 0.4 (tested at 6911d15)"
INSTALL = "install Timeloop and Accelergy and put them on PATH, or take --backend container"
_QUESTION_S = 30.0


@dataclass(frozen=True)
class Programs:
    """Where the three programs are."""

    model: Path
    mapper: Path
    accelergy: Path

    def versions(self) -> dict[str, str]:
        """What identifies them: Timeloop prints no version, so the digest of the program stands for it."""
        return {path.name: version_of(path) for path in (self.model, self.mapper, self.accelergy)}


def find_programs() -> Programs:
    """The programs on PATH. Raises TqhwError that names the missing ones."""
    found = {name: shutil.which(name) for name in PROGRAMS}
    if missing := [name for name, path in found.items() if path is None]:
        raise TqhwError(f"{', '.join(missing)} not found on PATH", place="backend timeloop", lever=INSTALL)
    return Programs(*(Path(str(found[name])) for name in PROGRAMS))


def version_of(program: Path) -> str:
    """What identifies one of :data:`PROGRAMS`."""
    return accelergy_version(program) if program.name == "accelergy" else f"sha256 {_digest(program)}"


def _digest(path: Path) -> str:
    """Of the program and the libraries of the same name beside it, where the model's code is in newer builds."""
    digest = hashlib.sha256()
    real = path.resolve()
    try:
        for file in sorted({real, *real.parent.glob(f"lib{path.name}*.so")}):
            digest.update(file.read_bytes())
    except OSError as error:
        raise TqhwError(f"cannot be read: {error.strerror}", place=str(path), lever=INSTALL) from None
    return digest.hexdigest()[:16]


def accelergy_version(program: Path) -> str:
    """Asks the interpreter that the script names: accelergy itself does not say.

    "0.4" is the version of the installed package; "unknown" where the program is no Python script of the usual make.
    """
    python = interpreter(program)
    if "python" not in python:
        return "unknown"
    question = "from importlib.metadata import version; print(version('accelergy'))"
    try:
        answer = ask([*python.split(), "-c", question], _QUESTION_S, clean_environment(), subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return answer.stdout.strip() if answer.returncode == 0 and answer.stdout.strip() else "unknown"


def check_accelergy(version: str) -> None:
    """Raises TqhwError for a version of Accelergy that is known to be another one."""
    if version != "unknown" and not version.startswith("0.4"):
        raise TqhwError(f"Accelergy {version} is not supported", place="accelergy", lever=f"supported: {SUPPORTED}")
