"""Which programs there are, and whether they are of the make that we read."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tqhw.backends.timeloop.process import clean_environment
from tqhw.errors import TqhwError

PROGRAMS = ("timeloop-model", "timeloop-mapper", "accelergy")
SUPPORTED = "Timeloop with v0.4 inputs (NVlabs/timeloop, tested at 4cf6d4c) and Accelergy 0.4 (tested at 6911d15)"
INSTALL = "install Timeloop and Accelergy and put them on PATH, or take --backend container"


@dataclass(frozen=True)
class Programs:
    """Where the three programs are."""

    model: Path
    mapper: Path
    accelergy: Path

    def versions(self) -> dict[str, str]:
        """What identifies them: Timeloop prints no version, so the digest of the program stands for it."""
        found = {path.name: f"sha256 {_digest(path)}" for path in (self.model, self.mapper)}
        return {**found, "accelergy": accelergy_version(self.accelergy)}


def find_programs() -> Programs:
    """The programs on PATH. Raises TqhwError that names the missing ones."""
    found = {name: shutil.which(name) for name in PROGRAMS}
    if missing := [name for name, path in found.items() if path is None]:
        raise TqhwError(f"{', '.join(missing)} not found on PATH", place="backend timeloop", lever=INSTALL)
    return Programs(*(Path(str(found[name])) for name in PROGRAMS))


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
    interpreter = _interpreter(program)
    if interpreter is None:
        return "unknown"
    question = "from importlib.metadata import version; print(version('accelergy'))"
    try:
        answer = subprocess.run(
            [*interpreter, "-c", question],
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return answer.stdout.strip() if answer.returncode == 0 and answer.stdout.strip() else "unknown"


def _interpreter(program: Path) -> list[str] | None:
    try:
        with program.open("rb") as stream:
            first = stream.readline(512).decode("utf-8", errors="replace").strip()
    except OSError:
        return None
    if not first.startswith("#!") or "python" not in first:
        return None
    return first[2:].split()


def check_accelergy(version: str) -> None:
    """Raises TqhwError for a version of Accelergy that is known to be another one."""
    if version != "unknown" and not version.startswith("0.4"):
        raise TqhwError(f"Accelergy {version} is not supported", place="accelergy", lever=f"supported: {SUPPORTED}")
